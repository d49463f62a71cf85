/*
 * cache_layers.c - see cache_layers.h.
 *
 * Room: build.  A step adds a layer of what it changed.  A layer is written again only when those above it are half as
 * large, so that all that is ever written for a cache stays in proportion to what steps have changed in it.  (Half and
 * not as large: of layers that are each a little larger than all above them there soon are too many.)
 */
#include "cache_layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#define ENOUGH 8                     /* layers of one cache: more are joined where that costs little */
#define MOST   16                    /* and never are there more than that */
#define SMALL  ((uint64_t)256 << 10) /* not worth counting */
#define LARGE  ((uint64_t)64 << 20)  /* what was written over takes room */
#define FORM   "2"                   /* and the sizes */

const char *build_cache_place(const struct bh_digest *key, struct bh_arena *arena, struct bh_err *err) {
    char text[BH_DIGEST_TEXT_SIZE], path[sizeof BUILD_CACHE_ROOT + BH_DIGEST_TEXT_SIZE];
    int n;

    bh_digest_hex(key, text);
    n = snprintf(path, sizeof path, BUILD_CACHE_ROOT "/%s", text);
    return bh_oci_strdup(arena, path, (size_t)n, err);
}

bool build_cache_layers_placed(const struct build_cached *c) {
    return c->n_note > 0 && c->note[0] == FORM[0];
}

/* One that is not told has none. */
static uint64_t next_size(const char **text) {
    char *end;
    uint64_t size = strtoull(*text, &end, 10);

    *text = end;
    return size;
}

int build_cache_layers_read(const struct build_cached *c, struct bh_arena *arena, struct build_cache_layers *out,
                            struct bh_err *err) {
    const char *note = bh_oci_strdup(arena, c->n_note > 0 ? c->note : "", c->n_note, err);
    const size_t room = c->n + BUILD_CACHE_MORE;
    struct build_cache_layers l = {.digest = bh_oci_alloc(arena, room * sizeof *l.digest, err),
                                   .size = bh_oci_alloc(arena, room * sizeof *l.size, err)};

    if (note == NULL || l.digest == NULL || l.size == NULL)
        return err->code;
    next_size(&note); /* the form */
    for (size_t i = 0; i < c->n; i++)
        build_cache_layers_add(&l, &c->layers[i], next_size(&note));
    *out = l;
    return 0;
}

void build_cache_layers_add(struct build_cache_layers *l, const struct bh_digest *digest, uint64_t size) {
    l->digest[l->n] = *digest;
    l->size[l->n++] = size;
}

const char *build_cache_layers_note(const struct build_cache_layers *l, struct bh_arena *arena, struct bh_err *err) {
    struct bh_buf b = BH_BUF_INIT;
    const char *text;

    bh_buf_adds(&b, FORM);
    for (size_t i = 0; i < l->n; i++)
        bh_buf_addf(&b, " %llu", (unsigned long long)l->size[i]);
    text = bh_oci_strdup(arena, bh_buf_str(&b), b.len, err);
    bh_buf_fini(&b);
    return text;
}

size_t build_cache_layers_join(const struct build_cache_layers *l) {
    size_t from = l->n;
    uint64_t size = 0;

    while (from > 0 && (from == l->n || l->size[from - 1] <= 2 * size + SMALL))
        size += l->size[--from];
    if (from + 1 < l->n && (l->n > ENOUGH || (from == 0 && size > LARGE)))
        return from;
    return l->n > MOST ? l->n - 2 : l->n;
}
