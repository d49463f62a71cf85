/*
 * tokens.h - the room's memory of tokens and of how each registry asks for them.
 *
 * Room: registry.  A key holds everything that decides whether a token may be used again: owner, registry, a digest of
 * the credential, realm, service, scopes.  Nothing is written anywhere; what is dropped is wiped.
 */
#ifndef REG_TOKENS_H
#define REG_TOKENS_H

#include "svc-registry/auth.h"

/* A copy of the value under key, to be freed with reg_secret_free; NULL when there is none or it expires within
 * seconds.  *out_left (may be NULL): seconds that it is good for. */
char *reg_tokens_get(struct reg_tokens *t, const char *key, int64_t *out_left);
void reg_tokens_put(struct reg_tokens *t, const char *key, const char *value, int64_t seconds);
/* Forget it if it still has this value. */
void reg_tokens_drop(struct reg_tokens *t, const char *key, const char *value);

void reg_secret_free(char *secret);
void reg_scope_secret(char **secret);
#define REG_SCOPE_SECRET __attribute__((cleanup(reg_scope_secret)))

#endif
