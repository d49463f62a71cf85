/*
 * authfile.h - the user's own store of registry credentials: docker's config.json, podman's auth.json.
 *
 * Room: client, with the caller's rights.  A secret goes from here into one call and nowhere else: no
 * log, no error, no process list (helpers get theirs on standard input).  Files are written 0600,
 * replaced whole.  A file is the user's, but may have been written by any tool: read with limits.
 * Source: docker's config file reference; containers-auth.json(5); the docker-credential-helpers protocol.
 */
#ifndef BH_CLI_AUTHFILE_H
#define BH_CLI_AUTHFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* One login.  Wiped and freed by cli_auth_fini. */
struct cli_auth {
    char *scope; /* "host[:port][/path]" that it was found for; what the registry room may use it for */
    char *username;
    char *password;
    char *identity_token;
    char *registry_token;
};
void cli_auth_fini(struct cli_auth *a);

/* Where to look.  file: --authfile, NULL; config: the --config folder, NULL. */
struct cli_auth_place {
    const char *file;
    const char *config;
    void (*warn)(void *arg, const char *text); /* a helper that gives nothing is no end of the call; may be NULL */
    void *arg;
};

/* The login for a repository "host[:port]/path": files in order ($REGISTRY_AUTH_FILE, the runtime folder's auth.json,
 * config.json of docker), in each the longest prefix of host/path.  out_found false: there is none.  A helper that is
 * not installed or fails is told by `warn`, and passed over.  BH_E_NOT_FOUND: the file that was asked for is not there.
 */
int cli_auth_find(const struct cli_auth_place *where, const char *name, struct cli_auth *out, bool *out_found,
                  struct bh_err *err);

/* server: "" or "docker.io" for the default registry, "host[:port][/path]".  Written by the helper that
 * is configured for it, else into the file. out_where (freed by the caller) says where, out_plain that it lies there
 * readable. */
int cli_auth_store(const struct cli_auth_place *where, const char *server, const struct cli_auth *a, char **out_where,
                   bool *out_plain, struct bh_err *err);
int cli_auth_erase(const struct cli_auth_place *where, const char *server, bool *out_was_there, struct bh_err *err);
/* All servers that have a login, sorted; strings and array freed by the caller. */
int cli_auth_list(const struct cli_auth_place *where, char ***out, size_t *out_n, struct bh_err *err);

/* A buffer that had a secret in it is wiped with its scope. */
#define CLI_SCOPE_SECRET __attribute__((cleanup(cli_scope_secret)))
void cli_scope_secret(struct bh_buf *b);
/* A member of an object, "" if it is no text. */
const char *cli_auth_text(const json_t *object, const char *key);

/* "https://host/v1/" and the like -> "host"; docker's key for its hub -> "docker.io".  For the tests. */
void cli_auth_scope_of_key(const char *key, char *out, size_t size);

#endif
