/*
 * platforms.h - a build for several platforms: one round of all stages for each, then one result of all rounds.
 *
 * Room: build.  The rounds come one after the other under one hold and one log; stages that are the same in two rounds
 * are taken from the cache by the second.
 */
#ifndef BUILD_PLATFORMS_H
#define BUILD_PLATFORMS_H

#include "job.h"

#define BUILD_PLATFORMS_MAX 16

/* The context is there already. */
int build_platforms(struct build_job *job, struct bh_err *err);

#endif
