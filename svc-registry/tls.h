/*
 * tls.h - under which terms a host is spoken to by TLS: trusted authorities, client certificate, verified or not.
 *
 * Room: registry.  Made by conf.c for each host out of certs.d, never changed, freed with its snapshot.
 * Certificates are the administrator's; what a server shows is judged by OpenSSL alone.
 */
#ifndef REG_TLS_H
#define REG_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct reg_tls {
    bool verify;
    uint64_t id;      /* equal for equal terms: connections are shared by it */
    void *store;      /* X509_STORE: the system's authorities and those of certs.d */
    const char *cert; /* client certificate and key, PEM; NULL: none */
    const char *key;
    const char *dir; /* "certs.d/HOST", for errors */
};

struct reg_tls_parts {
    const char *ca, *cert, *key; /* PEM, NULL: none */
    const char *dir;
};
/* Two of the same parts: one that verifies, one that does not.  BH_E_INVALID names dir. */
int reg_tls_new(const struct reg_tls_parts *parts, bool verify, struct reg_tls **out, struct bh_err *err);
void reg_tls_free(struct reg_tls *tls);

#endif
