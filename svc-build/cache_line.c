/*
 * cache_line.c - see cache_line.h: "sha256:<key> <layer, or -> <when it was made, ns>".
 *
 * Room: build.
 */
#include "cache_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static bool read_layer(const char *text, size_t n_layers, size_t *out) {
    uint64_t number;

    if (strcmp(text, "-") == 0) {
        *out = BUILD_NO_LAYER;
        return true;
    }
    if (!bh_str_u64(text, &number) || number >= n_layers)
        return false;
    *out = (size_t)number;
    return true;
}

bool build_cache_line_read(const char *text, size_t n_layers, struct build_cache_line *out) {
    struct bh_err ignored = BH_ERR_INIT;
    struct build_cache_line line;
    char copy[BUILD_CACHE_LINE_SIZE];
    char *save = NULL;

    if (!bh_str_copy(copy, sizeof copy, text))
        return false;
    const char *key = strtok_r(copy, " ", &save), *layer = strtok_r(NULL, " ", &save),
               *created = strtok_r(NULL, " ", &save);

    if (created == NULL || strtok_r(NULL, " ", &save) != NULL || bh_digest_parse(key, &line.key, &ignored) != 0 ||
        line.key.alg != BH_DIGEST_SHA256 || !read_layer(layer, n_layers, &line.layer) ||
        !bh_str_i64(created, &line.created_ns) || line.created_ns < 0)
        return false;
    *out = line;
    return true;
}

void build_cache_line_write(const struct build_cache_line *line, char out[BUILD_CACHE_LINE_SIZE]) {
    char key[BH_DIGEST_TEXT_SIZE], layer[24] = "-";

    bh_digest_format(&line->key, key);
    if (line->layer != BUILD_NO_LAYER)
        snprintf(layer, sizeof layer, "%zu", line->layer);
    snprintf(out, BUILD_CACHE_LINE_SIZE, "%.72s %s %" PRId64, key, layer, line->created_ns);
}
