/*
 * cache.h - what steps of builds gave, by the keys that builds make: found again, counted, pruned.
 *
 * Room: store.  A record belongs to an owner and keeps its layers from being collected.  Contexts are counted with
 * them, as "source.local", though they live elsewhere (context.h).  What is over the budget goes, least used first.
 */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include "base/arena.h"
#include "filter.h"
#include "store.h"

#define STORE_CACHE_BUDGET   ((uint64_t)10 << 30) /* at most a fifth of the disk */
#define STORE_CACHE_KEY_MAX  512
#define STORE_CACHE_NOTE_MAX ((size_t)64 << 10)

struct store_cached {
    bool found;
    char **diff_ids; /* in the arena */
    size_t n_diff_ids;
    const void *note;
    size_t n_note;
};
/* What is found is under the lease, and counts as used now. */
int store_cache_get(struct store *s, const struct store_who *who, int64_t lease, const char *key,
                    struct bh_arena *arena, struct store_cached *out, struct bh_err *err);

struct store_cache_new {
    const char *key;
    char *const *diff_ids;
    size_t n_diff_ids;
    const void *note;
    size_t n_note;
    const char *kind;
    const char *description;
    bool replace; /* else what is there stays */
};
/* *out_stays: there was one already, which was not replaced. */
int store_cache_put(struct store *s, const struct store_who *who, int64_t lease, const struct store_cache_new *c,
                    bool *out_stays, struct bh_err *err);

struct store_cache_record {
    int64_t k; /* 0: a context */
    uid_t owner;
    const char *id;
    const char *kind;
    const char *description;
    uint64_t size;
    int64_t created_ns;
    int64_t used_ns;
    uint32_t uses;
    bool shared; /* an image has the layers too */
    bool in_use;
};
/* In the arena; the least used first. */
int store_cache_list(struct store *s, const struct store_who *who, const struct store_filters *filters,
                     struct bh_arena *arena, struct store_cache_record **out, size_t *out_n, struct bh_err *err);

struct store_cache_prune {
    struct store_who who;
    const struct store_filters *filters;
    bool all; /* also records whose layers an image has too */
    uint64_t keep_bytes;
    bool dry_run;
};
int store_cache_prune(struct store *s, const struct store_cache_prune *p, struct bh_arena *arena,
                      struct store_cache_record **out, size_t *out_n, uint64_t *out_bytes, struct bh_err *err);
/* At start: records are not synced, so a power cut may leave some whose layers have no file; those are forgotten. */
int store_cache_recover(struct store *s, struct bh_err *err);
/* Down to the budget of the options; errors are logged. */
void store_cache_budget(struct store *s);

#endif
