/*
 * caller_rpc.c - who asks, see caller_rpc.h.
 *
 * Room: registry.  The kernel says who calls; only other rooms may name somebody else.
 */
#include "svc-registry/caller_rpc.h"

#include <string.h>

#include "oci/types.h"

#define MAX_CREDENTIALS 256
#define MAX_SECRET      ((size_t)128 << 10)

void reg_scope_arena(struct bh_arena *arena) {
    bh_arena_fini(arena);
}

static bool clean(const char *s) {
    if (strlen(s) > MAX_SECRET)
        return false;
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    }
    return true;
}

int reg_credential_of(const REG_MSG(Credential) * m, struct reg_credential *out, struct bh_err *err) {
    if (!clean(m->scope) || !clean(m->username) || strchr(m->username, ':') || !clean(m->password) ||
        !clean(m->identity_token) || !clean(m->registry_token) || strchr(m->registry_token, ' '))
        return bh_err_set(err, BH_E_INVALID, "a credential has characters that cannot be sent");
    *out = (struct reg_credential){m->scope, m->username, m->password, m->identity_token, m->registry_token};
    return 0;
}

int reg_caller_of(struct bh_call *call, const REG_MSG(RemoteOptions) * options, struct reg_caller *out,
                  struct bh_err *err) {
    const struct bh_peer *peer = bh_call_peer(call);
    bool room = (peer->roles & (BH_ROLE_BUILD | BH_ROLE_RUNTIME)) != 0;
    struct reg_credential *list;

    *out = (struct reg_caller){
        .owner = peer->uid, .admin = (peer->roles & BH_ROLE_ADMIN) != 0, .cancel_fd = bh_call_cancel_fd(call)};
    if (!options)
        return 0;
    if (room) {
        out->owner = options->owner;
        out->admin = options->admin;
    }
    out->tls_verify = options->tls_verify;
    if (options->retries_set > 0)
        out->tries = options->retries_set > 20 ? 20 : options->retries_set > 1 ? options->retries_set - 1 : 1;
    if (options->n_credential > MAX_CREDENTIALS)
        return bh_err_set(err, BH_E_LIMIT, "more than %d credentials", MAX_CREDENTIALS);
    list = bh_oci_alloc(bh_call_arena(call), (options->n_credential + 1) * sizeof *list, err);
    for (size_t i = 0; list && i < options->n_credential; i++) {
        if (reg_credential_of(options->credential[i], &list[i], err) != 0)
            return err->code;
    }
    out->credentials = list;
    out->n_credentials = options->n_credential;
    return list ? 0 : err->code;
}
