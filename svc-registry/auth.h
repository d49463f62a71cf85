/*
 * auth.h - credentials and tokens: who gets which, and for how long.
 *
 * Room: registry.  Secrets are the caller's, for one call; tokens are kept in memory, by owner, registry,
 * credential, service and scope, until shortly before they expire.  Nothing here reaches a log or an error.
 */
#ifndef REG_AUTH_H
#define REG_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "svc-registry/http.h"

/* Points into the request of the call. */
struct reg_credential {
    const char *scope; /* "host[:port][/path]", also docker's "https://index.docker.io/v1/" */
    const char *username, *password;
    const char *identity_token, *registry_token;
};

/* The one for host ("docker.io", "localhost:5000") and repository path: the longest scope that fits whole
 * path pieces; NULL = none. */
const struct reg_credential *reg_credential_for(const struct reg_credential *list, size_t n, const char *host,
                                                const char *path);

/* One challenge of a WWW-Authenticate header. */
struct reg_challenge {
    enum { REG_AUTH_NONE, REG_AUTH_BASIC, REG_AUTH_BEARER } scheme;
    char realm[REG_URL_SIZE];
    char service[512];
    char scope[1024];
    char error[64]; /* "insufficient_scope", "invalid_token" */
};
/* The best of those in the header: Bearer, then Basic.  BH_E_INVALID for a header that breaks RFC 9110 or the
 * sizes above; schemes that are not known are passed over. */
int reg_challenge_parse(const char *header, struct reg_challenge *out, struct bh_err *err);

struct reg_tokens;
struct reg_tokens *reg_tokens_new(void);
void reg_tokens_free(struct reg_tokens *t);

#endif
