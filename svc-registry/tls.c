/*
 * tls.c - TLS terms of a host, see tls.h.
 *
 * Room: registry.  The authorities are parsed once for a host and shared by all its connections.
 */
#include "svc-registry/tls.h"

#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SYSTEM_BUNDLE "/etc/ssl/certs/ca-certificates.crt"
#define MAX_CAS       1000

/* All certificates of a PEM text; how many, or -1. */
static int add_authorities(X509_STORE *store, const char *pem) {
    BIO *bio = BIO_new_mem_buf(pem, -1);
    int n = 0;

    if (!bio)
        return -1;
    for (X509 *cert; n >= 0 && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL;) {
        n = n < MAX_CAS && X509_STORE_add_cert(store, cert) == 1 ? n + 1 : -1;
        X509_free(cert);
    }
    BIO_free(bio);
    return n;
}

static int make_store(const struct reg_tls_parts *parts, X509_STORE **out, struct bh_err *err) {
    X509_STORE *store = X509_STORE_new();

    if (!store)
        return bh_err_set(err, BH_E_LIMIT, "read authorities: out of memory");
    /* A host without the bundle trusts what certs.d has and nothing else. */
    (void)X509_STORE_load_file(store, SYSTEM_BUNDLE);
    if (parts->ca && add_authorities(store, parts->ca) <= 0) {
        X509_STORE_free(store);
        return bh_err_set(err, BH_E_INVALID, "%s: the *.crt files have no certificate in PEM form", parts->dir);
    }
    *out = store;
    return 0;
}

int reg_tls_new(const struct reg_tls_parts *parts, bool verify, struct reg_tls **out, struct bh_err *err) {
    static atomic_uint_fast64_t last_id;
    X509_STORE *store = NULL;

    if (!parts->cert != !parts->key)
        return bh_err_set(err, BH_E_INVALID, "%s: a client certificate needs NAME.cert and NAME.key", parts->dir);
    if (verify && make_store(parts, &store, err) != 0)
        return err->code;
    struct reg_tls *tls = bh_xcalloc(1, sizeof *tls);
    tls->verify = verify;
    tls->id = atomic_fetch_add(&last_id, 1) + 1;
    tls->store = store;
    tls->cert = parts->cert ? bh_xstrdup(parts->cert) : NULL;
    tls->key = parts->key ? bh_xstrdup(parts->key) : NULL;
    tls->dir = bh_xstrdup(parts->dir);
    *out = tls;
    return 0;
}

void reg_tls_free(struct reg_tls *tls) {
    if (!tls)
        return;
    X509_STORE_free(tls->store);
    if (tls->key)
        OPENSSL_cleanse((char *)tls->key, strlen(tls->key));
    free((char *)tls->cert);
    free((char *)tls->key);
    free((char *)tls->dir);
    free(tls);
}
