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

/* ---- the proof that one remote carries: kept for all its threads --------------------------------- */

struct reg_auth;

struct reg_auth_setup {
    struct reg_http *http;
    struct reg_tokens *tokens;
    uid_t owner;
    const char *host;                        /* host[:port] of the registry */
    const struct reg_credential *credential; /* NULL: none */
    reg_terms_for *terms;
    void *terms_arg;
    const struct reg_times *times;
    int cancel_fd;
    unsigned tries;
    bool offline; /* login: ask for an identity token too */
};
struct reg_auth *reg_auth_new(const struct reg_auth_setup *setup);
void reg_auth_free(struct reg_auth *a);
/* "repository:team/app:pull"; a token covers all that were added. */
int reg_auth_add_scope(struct reg_auth *a, const char *scope, struct bh_err *err);

/* A copy of the header's value for the next request, or NULL; reg_secret_free.  *out_number goes back in with the
 * answer.  Gets a token first when this registry is known to want one (base: its origin, https://host). */
int reg_auth_current(struct reg_auth *a, const struct reg_url *base, char **out_header, unsigned *out_number,
                     struct bh_err *err);
/* The registry said 401 to what `number` carried.  *out_again: there is something better now.
 * Error: the token server refused or could not be reached. */
int reg_auth_refused(struct reg_auth *a, const struct reg_url *base, const struct reg_http_response *answer,
                     unsigned number, bool *out_again, struct bh_err *err);
/* After a success with `offline`: the identity token, or NULL. */
const char *reg_auth_identity(const struct reg_auth *a);
bool reg_auth_has_credential(const struct reg_auth *a);

#endif
