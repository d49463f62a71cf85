/*
 * changes.h - a list of changed paths, as `diff` and `image diff` print it.
 *
 * Room: client.
 */
#ifndef BH_CLI_CHANGES_H
#define BH_CLI_CHANGES_H

#include "bulkhead/bulkhead.h"
#include "cli/opt.h"

/* Opens the stream and prints "A /path" for each entry {kind, path} of it; the exit status. */
int cli_put_changes(struct cli_ctx *ctx, const char *service, const char *method, bulkhead_value *take_request);

#endif
