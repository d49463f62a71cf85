/*
 * point.h - a mount point inside a container's root that is not there yet.
 *
 * Room: a child of launch that is the container's root, in the container's root, and may only pass over
 * the modes of the container's own files.  Whatever the image's links say, nothing outside is reached.
 */
#ifndef RLS_POINT_H
#define RLS_POINT_H

#include <stdbool.h>

#include "base/err.h"

struct lnc_point {
    const char *target; /* absolute */
    bool folder;        /* else an empty file */
};

/* With the folders above it; arg: struct lnc_point. */
int lnc_point_make(const void *arg, void *out, struct bh_err *err);

#endif
