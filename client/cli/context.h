/*
 * context.h - the files of a build: a folder walked with the caller's rights, and its way to the store.
 *
 * Room: client.  Symlinks are taken as links and never followed; FIFOs, sockets and devices are left out.
 * Owners are not taken: what a build copies belongs to root.  The .dockerignore rules hold here, so that
 * what they leave out does not leave the machine.
 */
#ifndef BH_CLI_CONTEXT_H
#define BH_CLI_CONTEXT_H

#include "base/err.h"
#include "cli/opt.h"
#include "ignore/ignore.h"

struct cli_context_options {
    const char *root;               /* a folder */
    const struct bh_ignore *ignore; /* NULL: nothing is left out */
    /* Sources that the build takes, as Check tells them (patterns too); n_needed 0: nothing but an empty
     * context is needed. "/" means all. */
    const char *const *needed;
    size_t n_needed;
};

/* Walks, hashes what has changed, sends what the store lacks.  *out_id malloc'd "ctx:..".  0 or an exit
 * status whose error has been printed. */
int cli_context_send(struct cli_ctx *ctx, const struct cli_context_options *o, char **out_id, uint64_t *out_sent);

#endif
