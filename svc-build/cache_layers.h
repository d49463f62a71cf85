/*
 * cache_layers.h - the layers that a cache of RUN --mount is: the change of one step each, and when they become one.
 *
 * Room: build.  Pure.  A cache has a place of its own below /proc, which in a container shows the kernel's files: its
 * layers have it there, so they go into any container as they are, wherever it is mounted.
 */
#ifndef BUILD_CACHE_LAYERS_H
#define BUILD_CACHE_LAYERS_H

#include "store.h"

#define BUILD_CACHE_ROOT "/proc"

struct build_cache_layers {
    struct bh_digest *digest; /* lowest first; in an arena */
    uint64_t *size;           /* of their tars */
    size_t n;
};

/* "/proc/" and the key; NULL: err. */
const char *build_cache_place(const struct bh_digest *key, struct bh_arena *arena, struct bh_err *err);
/* Of a record.  False: it is of the form that layers had before they had a place, with the cache as their root. */
bool build_cache_layers_placed(const struct build_cached *c);
/* With room for BUILD_CACHE_MORE more. */
#define BUILD_CACHE_MORE 2
int build_cache_layers_read(const struct build_cached *c, struct bh_arena *arena, struct build_cache_layers *out,
                            struct bh_err *err);
void build_cache_layers_add(struct build_cache_layers *l, const struct bh_digest *digest, uint64_t size);
/* For a record of them. */
const char *build_cache_layers_note(const struct build_cache_layers *l, struct bh_arena *arena, struct bh_err *err);
/* The first of those that are to become one, up to the highest; l->n: none are. */
size_t build_cache_layers_join(const struct build_cache_layers *l);

#endif
