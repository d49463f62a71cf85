/*
 * manifest_list.h - a list of manifests in the making: what `manifest create` begins and `manifest push` sends.
 *
 * Room: client.  A file of the user below the configuration folder, manifests/NAME: an array of descriptors with a
 * platform, and beside it where each came from, "name" as it was written and "repository".
 */
#ifndef BH_CLI_MANIFEST_LIST_H
#define BH_CLI_MANIFEST_LIST_H

#include <jansson.h>

#include "base/err.h"
#include "cli/opt.h"

#define CLI_MANIFEST_LIST_MAX ((size_t)4 << 20)

/* The file of the list of this name, which may not be there.  malloc'd. */
int cli_manifest_list_path(const struct cli_ctx *ctx, const char *name, char **out, struct bh_err *err);
/* BH_E_NOT_FOUND: it is not there. */
int cli_manifest_list_read(const char *path, const char *name, json_t **out, struct bh_err *err);
int cli_manifest_list_write(const char *path, const json_t *list, struct bh_err *err);
/* The entry of this name or digest, or NULL. */
json_t *cli_manifest_list_find(const json_t *list, const char *of);
/* What it is on a registry: docker's list when all its manifests are docker's, else an index; the bytes, malloc'd. */
const char *cli_manifest_list_type(const json_t *list);
char *cli_manifest_list_document(const json_t *list, const char *type);

#endif
