/*
 * finish.h - what a build ends with: an image with its names, or an index of several, or files; and the push.
 *
 * Room: build.
 */
#ifndef BUILD_FINISH_H
#define BUILD_FINISH_H

#include "job.h"

/* The targets of all platforms, one for each; of one alone the result is that image. */
int build_finish_all(struct build_site **targets, size_t n, struct bh_err *err);

#endif
