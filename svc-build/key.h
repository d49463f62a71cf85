/*
 * key.h - what a step's result depends on, as one digest: the cache's key.
 *
 * Room: build.  Every part goes in with its length, so that no two lists of parts run into each other.  Layers
 * count by their digests: the same step on the same files is the same, whatever led there.  Neither times nor
 * secrets nor the proxies' addresses are ever part of a key.
 */
#ifndef BUILD_KEY_H
#define BUILD_KEY_H

#include <stdint.h>

#include "oci/digest.h"
#include "oci/types.h"

/* Goes up when steps give other results than before: older records are then not found. */
#define BUILD_KEY_VERSION "bulkhead-step-2"

struct build_key {
    struct bh_hash h;
};

int build_key_begin(struct build_key *k, const char *kind, struct bh_err *err);
void build_key_bytes(struct build_key *k, const void *data, size_t n);
void build_key_text(struct build_key *k, const char *text); /* NULL is not "" */
void build_key_number(struct build_key *k, int64_t n);
void build_key_list(struct build_key *k, const struct bh_strlist *list);
void build_key_digests(struct build_key *k, const struct bh_digest *v, size_t n);
int build_key_end(struct build_key *k, struct bh_digest *out, struct bh_err *err);

#endif
