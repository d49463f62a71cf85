/*
 * cache_spec.h - what --cache-from and --cache-to say: NAME, or KEY=VALUE parts with commas between.
 *
 * Room: build.  Pure.  Foreign: the text, a user's.
 */
#ifndef BUILD_CACHE_SPEC_H
#define BUILD_CACHE_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum build_cache_type {
    BUILD_CACHE_NAME, /* of an image, here or elsewhere */
    BUILD_CACHE_REGISTRY,
    BUILD_CACHE_LOCAL, /* an archive that comes, or goes, by descriptor */
    BUILD_CACHE_INLINE,
};

struct build_cache_spec {
    enum build_cache_type type;
    const char *ref; /* "" if none */
    bool max;        /* mode=max: steps of all stages, not only of the result's */
    bool ignore_error;
    const char *compression; /* "": as it is kept */
    uint32_t level;
    bool force_compression;
};

int build_cache_spec_from(const char *text, struct bh_arena *arena, struct build_cache_spec *out, struct bh_err *err);
int build_cache_spec_to(const char *text, struct bh_arena *arena, struct build_cache_spec *out, struct bh_err *err);
/* Does a descriptor belong to it? */
bool build_cache_spec_local(const char *text);

#endif
