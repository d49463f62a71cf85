/*
 * caches.h - who uses which RUN --mount=type=cache at the moment, by the rules of its sharing mode.
 *
 * Room: build.  One table for all builds; a cache belongs to a user and has an id.
 */
#ifndef BUILD_CACHES_H
#define BUILD_CACHES_H

#include <pthread.h>
#include <stdbool.h>

#include "cancel.h"
#include "oci/digest.h"
#include "recipe.h"

struct build_cache_use {
    struct bh_digest key; /* user and id */
    bool counted;         /* it is in the table */
    bool alone;           /* nobody else may begin */
    struct build_cache_use *next;
};

struct build_caches {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct build_cache_use *uses;
    pthread_mutex_t write; /* one writer of records at a time: read, add, write */
};

void build_caches_init(struct build_caches *c);
/* shared: begins at once.  locked: waits until nobody else uses it; then nobody else may.  private: begins at once,
 * *out_own false when somebody uses it, and the caller takes an empty one.  BH_E_CANCELLED. */
int build_cache_enter(struct build_caches *c, const struct bh_digest *key, enum build_sharing sharing,
                      struct build_cancel *cancel, struct build_cache_use *use, bool *out_own, struct bh_err *err);
void build_cache_leave(struct build_caches *c, struct build_cache_use *use);

#endif
