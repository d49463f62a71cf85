/*
 * hash.c - the hashing behind digests; see digest.h.  Owns the only calls to OpenSSL's hashing.
 *
 * A file of its own, so that a program that only reads and writes digests as text (the command line) does
 * not load the crypto library: that alone takes longer than its whole call.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "oci/digest.h"

static int openssl_error(struct bh_err *err, const char *act) {
    return bh_err_set(err, BH_E_INTERNAL, "%s: the crypto library failed", act);
}

int bh_digest_startup(struct bh_err *err) {
    struct bh_digest ignored;

    /* Without this, the first fetch of a digest reads openssl.cnf, and a sandbox kills the reader. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
        return openssl_error(err, "start hashing");
    if (bh_digest_of(BH_DIGEST_SHA512, "", 0, &ignored, err) != 0)
        return err->code;
    return bh_digest_of(BH_DIGEST_SHA256, "", 0, &ignored, err);
}

int bh_hash_init(struct bh_hash *h, enum bh_digest_alg alg, struct bh_err *err) {
    const EVP_MD *md = alg == BH_DIGEST_SHA256 ? EVP_sha256() : alg == BH_DIGEST_SHA512 ? EVP_sha512() : NULL;

    *h = (struct bh_hash){.alg = alg};
    if (md == NULL) {
        bh_err_set(err, BH_E_UNIMPLEMENTED, "hash content: unknown algorithm");
        return bh_err_reason(err, "digest-algorithm");
    }
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
    h->ctx = EVP_MD_CTX_new();
    if (h->ctx == NULL)
        return bh_err_set(err, BH_E_LIMIT, "hash content: out of memory");
    if (EVP_DigestInit_ex(h->ctx, md, NULL) != 1) {
        bh_hash_fini(h);
        return openssl_error(err, "hash content");
    }
    return 0;
}

void bh_hash_update(struct bh_hash *h, const void *data, size_t n) {
    if (n > 0 && (h->ctx == NULL || EVP_DigestUpdate(h->ctx, data, n) != 1))
        h->failed = true;
}

int bh_hash_final(struct bh_hash *h, struct bh_digest *out, struct bh_err *err) {
    struct bh_digest d = {.alg = h->alg};
    unsigned n = 0;
    bool good = h->ctx != NULL && !h->failed && EVP_DigestFinal_ex(h->ctx, d.bytes, &n) == 1;

    bh_hash_fini(h);
    if (!good || n != bh_digest_size(d.alg))
        return openssl_error(err, "finish a hash");
    *out = d;
    return 0;
}

void bh_hash_fini(struct bh_hash *h) {
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}

int bh_digest_of(enum bh_digest_alg alg, const void *data, size_t n, struct bh_digest *out, struct bh_err *err) {
    struct bh_hash h;

    if (bh_hash_init(&h, alg, err) != 0)
        return err->code;
    bh_hash_update(&h, data, n);
    return bh_hash_final(&h, out, err);
}

int bh_digest_verify(const struct bh_digest *want, const void *data, size_t n, const char *what, struct bh_err *err) {
    struct bh_digest got;
    char a[BH_DIGEST_TEXT_SIZE], b[BH_DIGEST_TEXT_SIZE];

    if (bh_digest_of(want->alg, data, n, &got, err) != 0)
        return bh_err_prefix(err, "verify %s", what);
    if (bh_digest_equal(want, &got))
        return 0;
    bh_digest_format(want, a);
    bh_digest_format(&got, b);
    bh_err_set(err, BH_E_DATA_LOSS, "%s has digest %s, expected %s", what, b, a);
    return bh_err_reason(err, "digest-mismatch");
}
