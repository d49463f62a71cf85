/*
 * prune.h - parts of `system prune` that other commands have too: stopped containers, the build cache.
 *
 * Room: client.
 */
#ifndef BH_CLI_PRUNE_H
#define BH_CLI_PRUNE_H

#include <stdint.h>

#include "bulkhead/bulkhead.h"
#include "cli/opt.h"

/* With the --filter of the command; prints what went.  Adds to *reclaimed.  An error has been printed. */
int cli_prune_containers(struct cli_ctx *ctx, const struct cli_args *args, uint64_t *reclaimed);

/* The build cache: a part of `builder prune` and of `system prune`.  request: CachePruneRequest. */
int cli_prune_cache(struct cli_ctx *ctx, bulkhead_value *take_request, uint64_t *reclaimed);

#endif
