/*
 * filter.h - the --filter keys of `ps` and `container prune`.
 *
 * Room: runtime.  Pure.  Keys AND, values of one key OR, except label and label! which AND.  Names in
 * before, since and ancestor are looked up by the caller, who then fills the row.
 */
#ifndef RT_FILTER_H
#define RT_FILTER_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "oci/types.h"
#include "svc-runtime/status.h"

enum rt_filter_use { RT_FILTER_LIST, RT_FILTER_PRUNE };

enum rt_filter_key {
    RT_F_ID,
    RT_F_NAME,
    RT_F_LABEL,
    RT_F_NOT_LABEL,
    RT_F_EXITED,
    RT_F_STATUS,
    RT_F_ANCESTOR,
    RT_F_BEFORE,
    RT_F_SINCE,
    RT_F_VOLUME,
    RT_F_NETWORK,
    RT_F_PUBLISH,
    RT_F_EXPOSE,
    RT_F_HEALTH,
    RT_F_ISOLATION,
    RT_F_IS_TASK,
    RT_F_UNTIL,
};

struct rt_filter_row {
    enum rt_filter_key key;
    const char *value;
    int64_t number;           /* EXITED: code; BEFORE, SINCE: filled by the caller; UNTIL: all in ns */
    struct bh_strlist images; /* ANCESTOR: ids of it and its descendants, filled by the caller */
    regex_t regex;            /* NAME */
};

struct rt_filter {
    struct rt_filter_row *rows;
    size_t n;
    bool wants_all; /* a key that only stopped containers can have: -a is meant */
};

/* What a filter sees of a container. */
struct rt_filter_item {
    const char *id, *name, *image, *image_id, *network;
    const struct rt_status *status;
    int64_t created_ns;
    const struct bh_pairs *labels;
    const struct bh_strlist *volumes; /* sources and targets of its mounts */
    const struct bh_strlist *ports;   /* exposed: "80/tcp" */
};

/* pairs: key and value as given.  BH_E_INVALID naming the key or value.  Free with rt_filter_fini. */
int rt_filter_parse(const struct bh_pair *pairs, size_t n, enum rt_filter_use use, int64_t now_ns,
                    struct bh_arena *arena, struct rt_filter *out, struct bh_err *err);
void rt_filter_fini(struct rt_filter *f);
bool rt_filter_match(const struct rt_filter *f, const struct rt_filter_item *item);

/* A moment as users write it: RFC 3339 (also without zone, time or both: UTC), seconds since 1970 with a
 * fraction, or a duration before now. */
bool rt_moment_parse(const char *text, int64_t now_ns, int64_t *out_ns);

#endif
