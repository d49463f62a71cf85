/*
 * mounts_cache.h - the caches among the mounts of a RUN: what they hold, for mounts.c.
 *
 * Room: build.  The layers of a cache lie above those of the stage as they are (cache_layers.h) and are mounted from
 * their place.  Nothing of a cache is copied for a step, however large it is.
 */
#ifndef BUILD_MOUNTS_CACHE_H
#define BUILD_MOUNTS_CACHE_H

#include "mounts.h"

/* Takes their locks and finds their layers; a new one with from= has its first one then. */
int build_caches_open(struct build_mounts *m, struct bh_err *err);
/* What the layer of mounts has of them, added to items: at most one for each mount and one more.  Their own layers go
 * into m->above, but for those that would make the stack too high. */
void build_caches_place(struct build_mounts *m, struct build_item *items, size_t *n);

/* mounts.c: the files that from= and source= mean, into the target. */
struct build_item build_mount_item(struct build_mounts *m, const struct build_mounted *x);

#endif
