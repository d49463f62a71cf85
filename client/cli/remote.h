/*
 * remote.h - what every command that reaches a registry sends along: credentials, TLS, retries.
 *
 * Room: client.  The engine says which places a name leads to (mirrors, aliases, rewritten locations); the credentials
 * of the user's files that fit one of them, and no others, go into the request, each bound to its host and path.
 */
#ifndef BH_CLI_REMOTE_H
#define BH_CLI_REMOTE_H

#include "bulkhead/bulkhead.h"
#include "cli/authfile.h"
#include "cli/opt.h"
#include "oci/ref.h"

/* authfile, creds, retry, tls-verify; a second table of the commands. */
extern const struct cli_opt cli_remote_opts[];

struct cli_auth_place cli_auth_place_of(struct cli_ctx *ctx, const struct cli_args *args);
/* What the names are for; as RemoteUse of registry.proto. */
enum cli_remote_use { CLI_REMOTE_PULL, CLI_REMOTE_PUSH, CLI_REMOTE_DELETE, CLI_REMOTE_LIST, CLI_REMOTE_SEARCH };
/* A RemoteOptions for calls on these names; a name that is no reference is left for the engine to
 * refuse. 0 or an exit status whose error has been printed. */
int cli_remote_make(struct cli_ctx *ctx, const struct cli_args *args, enum cli_remote_use use, const char *const *names,
                    size_t n, bulkhead_value **out);
/* For a call that pulls some names and pushes others. */
struct cli_remote_names {
    enum cli_remote_use use;
    const char *const *names;
    size_t n;
    const char *creds; /* USER:PASSWORD for these alone; NULL or "": as for all */
};
int cli_remote_make_all(struct cli_ctx *ctx, const struct cli_args *args, const struct cli_remote_names *groups,
                        size_t n, bulkhead_value **out);
/* Without a command's own options (the pull of `run`). */
int cli_remote_default(struct cli_ctx *ctx, const char *name, bulkhead_value **out);
/* "host" or "host/path" of login -> the name of a repository there, for cli_auth_find. */
int cli_remote_name_of_server(const char *server, char out[BH_REF_TEXT_SIZE], struct bh_err *err);

#endif
