/*
 * caller_rpc.h - who asks, out of a call and its RemoteOptions.
 *
 * Room: registry, for *_rpc.c.
 */
#ifndef REG_CALLER_RPC_H
#define REG_CALLER_RPC_H

#include "registry.pb-c.h"
#include "rpc/server.h"
#include "svc-registry/remote.h"

#define REG_MSG(name) Bulkhead__Registry__V1__##name

/* BH_E_INVALID: bytes that no header may hold. */
int reg_credential_of(const REG_MSG(Credential) * m, struct reg_credential *out, struct bh_err *err);
/* options may be NULL.  The strings stay the request's, the list is in the call's arena. */
int reg_caller_of(struct bh_call *call, const REG_MSG(RemoteOptions) * options, struct reg_caller *out,
                  struct bh_err *err);

/* Ceiling of what a call's reply may take. */
#define REG_CALL_ARENA ((size_t)64 << 20)
void reg_scope_arena(struct bh_arena *arena);
#define REG_SCOPE_ARENA __attribute__((cleanup(reg_scope_arena)))

#endif
