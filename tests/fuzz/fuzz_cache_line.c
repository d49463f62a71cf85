/*
 * fuzz_cache_line.c - any bytes as the lines of a cache that an image of three layers carries.
 *
 * Besides memory safety: what is read names a layer that is there, and is the same when it is written and read again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cache_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LAYERS 3

static void check(const char *text) {
    struct build_cache_line line, again;
    char written[BUILD_CACHE_LINE_SIZE];

    if (!build_cache_line_read(text, LAYERS, &line))
        return;
    build_cache_line_write(&line, written);
    if ((line.layer != BUILD_NO_LAYER && line.layer >= LAYERS) || line.created_ns < 0 ||
        !build_cache_line_read(written, LAYERS, &again) || !bh_digest_equal(&line.key, &again.key) ||
        line.layer != again.layer || line.created_ns != again.created_ns)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = malloc(size + 1), *save = NULL;

    if (copy == NULL)
        return 0;
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    for (char *line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
        check(line);
    free(copy);
    return 0;
}
