/*
 * prune.h - removing stopped containers: a part of `container prune` and of `system prune`.
 *
 * Room: client.
 */
#ifndef BH_CLI_PRUNE_H
#define BH_CLI_PRUNE_H

#include <stdint.h>

#include "cli/opt.h"

/* With the --filter of the command; prints what went.  Adds to *reclaimed.  An error has been printed. */
int cli_prune_containers(struct cli_ctx *ctx, const struct cli_args *args, uint64_t *reclaimed);

#endif
