/*
 * shape.h - replies of the engine in the shape that docker's readers know.
 *
 * Room: client.  Scripts read `inspect` by path ({{.Config.Env}}); the names, the order and what is
 * null are docker 28's (reference: the Engine API 1.51).
 */
#ifndef BH_CLI_SHAPE_H
#define BH_CLI_SHAPE_H

#include <jansson.h>

#include "base/err.h"
#include "bulkhead/bulkhead.h"

/* Repeated strings -> array; NULL or absent -> null. */
json_t *shape_strings(const bulkhead_value *list);
/* Repeated Pair -> object. */
json_t *shape_pairs(const bulkhead_value *pairs);
/* {"80/tcp": {}} of a list of names; null when empty. */
json_t *shape_set(const bulkhead_value *list);
/* "2024-01-02T03:04:05Z"; 0 -> "0001-01-01T00:00:00Z" as Go has it. */
json_t *shape_time(int64_t ns);
json_t *shape_text(const char *s);

/* The Config object of an image (ImageConfig.config). */
json_t *shape_run_config(const bulkhead_value *run_config);
json_t *shape_image(const bulkhead_value *reply); /* ImageInspectReply */
/* RemoteInspectReply with a config; the names it has there, tag NULL: none. */
json_t *shape_remote_image(const bulkhead_value *reply, const char *tag, const char *digest);
/* A descriptor and, when it is not NULL, its platform. */
json_t *shape_descriptor(const bulkhead_value *desc, json_t *take_platform);
/* The platform of a config; of an entry of an index, as that writes it. */
json_t *shape_platform(const bulkhead_value *image_config);
json_t *shape_platform_entry(const json_t *entry);
/* `manifest inspect -v`: of a manifest its Ref, Descriptor, Raw, and its own members by its kind. */
int shape_manifest(const char *ref, const bulkhead_value *document, json_t *take_platform, json_t **out,
                   struct bh_err *err);
json_t *shape_container(const bulkhead_value *reply, bool size); /* ContainerInspectReply */

#endif
