/*
 * remote.h - what every command that reaches a registry sends along: credentials, TLS, retries.
 *
 * Room: client.  The credentials of the user's files that fit the references of this call, and no
 * others, go into the request.
 */
#ifndef BH_CLI_REMOTE_H
#define BH_CLI_REMOTE_H

#include "bulkhead/bulkhead.h"
#include "cli/authfile.h"
#include "cli/opt.h"

/* authfile, creds, retry, tls-verify; a second table of the commands. */
extern const struct cli_opt cli_remote_opts[];

struct cli_auth_place cli_auth_place_of(const struct cli_ctx *ctx, const struct cli_args *args);
/* A RemoteOptions for calls on these names; a name that is no reference is left for the engine to
 * refuse. 0 or an exit status whose error has been printed. */
int cli_remote_make(struct cli_ctx *ctx, const struct cli_args *args, const char *const *names, size_t n,
                    bulkhead_value **out);
/* Without a command's own options (the pull of `run`). */
int cli_remote_default(struct cli_ctx *ctx, const char *name, bulkhead_value **out);
/* "host" or "host/path" of search and login as a reference on that host. */
int cli_remote_ref_of_server(const char *server, struct bh_ref *out, struct bh_err *err);

#endif
