/*
 * act_build.h - a whole build without its room, for storetool: a folder becomes a context, a layer, an image and a
 * record of the cache.
 */
#ifndef ACT_BUILD_H
#define ACT_BUILD_H

#include "svc-store/store.h"

/* What each part took is told on stderr when BH_TEST_TIMES is set. */
int act_build(struct store *s, const char *folder, const char *name, struct bh_err *err);

#endif
