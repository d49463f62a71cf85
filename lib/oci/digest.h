/*
 * digest.h - content digests: "sha256:<64 hex>", "sha512:<128 hex>", and the hashing behind them.
 *
 * Room: all that see content.  Pure.  A digest text of an algorithm that is not known here passes
 * the grammar (bh_digest_grammar) and may be stored and sent on, but content under it is never
 * used, because it cannot be verified.  Case is never changed and nothing is ever cut.
 * Source: OCI image specification, descriptor.md "Digests"; docs/threat-model.md "Identity".
 */
#ifndef BH_OCI_DIGEST_H
#define BH_OCI_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum bh_digest_alg {
    BH_DIGEST_NONE = 0, /* unset, or an algorithm that cannot be verified */
    BH_DIGEST_SHA256 = 1,
    BH_DIGEST_SHA512 = 2,
};

struct bh_digest {
    enum bh_digest_alg alg;
    unsigned char bytes[64]; /* the first bh_digest_size(alg) count, the rest is zero */
};

#define BH_DIGEST_TEXT_SIZE  136 /* "sha512:" + 128 + NUL */
#define BH_DIGEST_TEXT_MAX   255 /* longest digest text of any algorithm that passes the grammar */
#define BH_DIGEST_SHORT_SIZE 13  /* the 12 hex digits of tables */

/* 32, 64, or 0 for BH_DIGEST_NONE. */
size_t bh_digest_size(enum bh_digest_alg alg);
const char *bh_digest_alg_name(enum bh_digest_alg alg);

/* Does text[0..n) follow the grammar of a digest?  True for unknown algorithms with 32 or more hex
 * digits; false for sha256, sha384 and sha512 with a wrong length or an upper-case digit. */
bool bh_digest_grammar(const char *text, size_t n);

/* Parse a digest that can be verified.  BH_E_INVALID (reason "invalid-digest") when it breaks the
 * grammar, BH_E_UNIMPLEMENTED (reason "digest-algorithm") when the algorithm is not known here. */
int bh_digest_parse(const char *text, struct bh_digest *out, struct bh_err *err);
int bh_digest_parse_n(const char *text, size_t n, struct bh_digest *out, struct bh_err *err);
/* 64 hex digits without "sha256:". */
bool bh_digest_from_hex(const char *hex, size_t n, struct bh_digest *out);

/* out receives "" for BH_DIGEST_NONE. */
void bh_digest_format(const struct bh_digest *d, char out[BH_DIGEST_TEXT_SIZE]);
/* Hex alone, without the algorithm. */
void bh_digest_hex(const struct bh_digest *d, char out[BH_DIGEST_TEXT_SIZE]);
void bh_digest_short(const struct bh_digest *d, char out[BH_DIGEST_SHORT_SIZE]);

/* Two unset digests are not equal to each other: "unknown" never verifies anything. */
bool bh_digest_equal(const struct bh_digest *a, const struct bh_digest *b);
/* A total order for sorting and searching. */
int bh_digest_cmp(const struct bh_digest *a, const struct bh_digest *b);

/* Incremental hashing.  Errors of OpenSSL stick and come out of bh_hash_final.
 *
 *   struct bh_hash h;
 *   if (bh_hash_init(&h, BH_DIGEST_SHA256, err) != 0) return err->code;
 *   bh_hash_update(&h, p, n);
 *   r = bh_hash_final(&h, &digest, err);      frees; use bh_hash_fini on other ways out
 */
struct bh_hash {
    void *ctx;
    enum bh_digest_alg alg;
    bool failed;
};
#define BH_HASH_INIT                                                                                                   \
    { 0 }
#define BH_SCOPE_HASH __attribute__((cleanup(bh_hash_fini)))

int bh_hash_init(struct bh_hash *h, enum bh_digest_alg alg, struct bh_err *err);
void bh_hash_update(struct bh_hash *h, const void *data, size_t n);
int bh_hash_final(struct bh_hash *h, struct bh_digest *out, struct bh_err *err);
void bh_hash_fini(struct bh_hash *h);

static inline int bh_sha256_init(struct bh_hash *h, struct bh_err *err) {
    return bh_hash_init(h, BH_DIGEST_SHA256, err);
}
static inline void bh_sha256_update(struct bh_hash *h, const void *data, size_t n) {
    bh_hash_update(h, data, n);
}
static inline int bh_sha256_final(struct bh_hash *h, struct bh_digest *out, struct bh_err *err) {
    return bh_hash_final(h, out, err);
}

/* The digest of n bytes at once. */
int bh_digest_of(enum bh_digest_alg alg, const void *data, size_t n, struct bh_digest *out, struct bh_err *err);
/* Hash with want's algorithm and compare.  BH_E_DATA_LOSS (reason "digest-mismatch") naming both. */
int bh_digest_verify(const struct bh_digest *want, const void *data, size_t n, const char *what, struct bh_err *err);

/* Make OpenSSL ready without its configuration file.  A room that may not open files calls this
 * before its sandbox closes; calling it again does nothing. */
int bh_digest_startup(struct bh_err *err);

#endif
