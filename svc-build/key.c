/*
 * key.c - see key.h.
 *
 * Room: build.  Pure.
 */
#include "key.h"

#include <string.h>

int build_key_begin(struct build_key *k, const char *kind, struct bh_err *err) {
    if (bh_sha256_init(&k->h, err) != 0)
        return err->code;
    build_key_text(k, BUILD_KEY_VERSION);
    build_key_text(k, kind);
    return 0;
}

static void add_length(struct build_key *k, uint64_t n) {
    unsigned char le[8];

    for (int i = 0; i < 8; i++)
        le[i] = (unsigned char)(n >> (8 * i));
    bh_sha256_update(&k->h, le, sizeof le);
}

void build_key_bytes(struct build_key *k, const void *data, size_t n) {
    add_length(k, n);
    if (n > 0)
        bh_sha256_update(&k->h, data, n);
}

void build_key_text(struct build_key *k, const char *text) {
    if (text == NULL)
        add_length(k, UINT64_MAX);
    else
        build_key_bytes(k, text, strlen(text));
}

void build_key_number(struct build_key *k, int64_t n) {
    add_length(k, (uint64_t)n);
}

void build_key_list(struct build_key *k, const struct bh_strlist *list) {
    add_length(k, list->n);
    for (size_t i = 0; i < list->n; i++)
        build_key_text(k, list->v[i]);
}

void build_key_digests(struct build_key *k, const struct bh_digest *v, size_t n) {
    add_length(k, n);
    for (size_t i = 0; i < n; i++)
        build_key_bytes(k, v[i].bytes, bh_digest_size(v[i].alg));
}

int build_key_end(struct build_key *k, struct bh_digest *out, struct bh_err *err) {
    return bh_sha256_final(&k->h, out, err);
}
