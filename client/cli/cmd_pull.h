/*
 * cmd_pull.h - the pull that other commands make before they go on.
 *
 * Room: client.
 */
#ifndef BH_CLI_CMD_PULL_H
#define BH_CLI_CMD_PULL_H

#include "cli/opt.h"

struct cli_pull_for_run {
    const char *name, *platform;
    bool quiet;
    bool missing; /* not when an image of the name that this one is short for is here */
};
/* Progress on standard error, with the credentials of the user's files.  0 or an exit status.  *out_name (freed by the
 * caller): what the name means by the rules for short names; NULL: what it means by itself. */
int cli_pull_for_run(struct cli_ctx *ctx, const struct cli_pull_for_run *ask, char **out_name);

#endif
