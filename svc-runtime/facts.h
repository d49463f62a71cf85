/*
 * facts.h - what lists, filters and starts need of a container that does not change: one allocation.
 *
 * Room: runtime.  Made from the request and the config of a container, at create and at load.
 */
#ifndef RT_FACTS_H
#define RT_FACTS_H

#include <stdint.h>

#include "base/err.h"
#include "oci/config.h"
#include "svc-runtime/request.h"

struct rt_facts {
    const char *network;       /* "none", "host" */
    struct bh_strlist command; /* entry point and command joined */
    struct bh_strlist volumes; /* sources and targets of the mounts, for the filter */
    struct bh_strlist ports;   /* exposed */
    struct bh_pairs labels;
    struct rt_req_mount *mounts; /* without options */
    size_t n_mounts;
    bool tty, open_stdin, keep_log;
};

/* Freed with free().  Never fails: sizes were capped where req and config came in. */
struct rt_facts *rt_facts_new(const struct rt_request *req, const struct bh_image_config *config);

#endif
