/*
 * cache_line.h - one line of the cache that an image carries: which step has led to which of its layers.
 *
 * Room: build.  Pure.  Foreign: the text, which anybody may have written into an image.  docs/store-format.md.
 */
#ifndef BUILD_CACHE_LINE_H
#define BUILD_CACHE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/digest.h"

#define BUILD_CACHE_LINE_SIZE 128
#define BUILD_NO_LAYER        SIZE_MAX

struct build_cache_line {
    struct bh_digest key;
    size_t layer; /* in the image's list, from 0; BUILD_NO_LAYER: the step made none */
    int64_t created_ns;
};

/* n_layers: of the image.  False: it is no line that this version writes. */
bool build_cache_line_read(const char *text, size_t n_layers, struct build_cache_line *out);
void build_cache_line_write(const struct build_cache_line *line, char out[BUILD_CACHE_LINE_SIZE]);

#endif
