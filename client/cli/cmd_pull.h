/*
 * cmd_pull.h - the pull that other commands make before they go on.
 *
 * Room: client.
 */
#ifndef BH_CLI_CMD_PULL_H
#define BH_CLI_CMD_PULL_H

#include "cli/opt.h"

/* Progress on standard error, with the credentials of the user's files.  0 or an exit status. */
int cli_pull_for_run(struct cli_ctx *ctx, const char *name, const char *platform, bool quiet);

#endif
