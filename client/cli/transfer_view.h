/*
 * transfer_view.h - what pull and push tell while they work, in docker's words.
 *
 * Room: client.  Takes the packed events of registry.proto as values; on a terminal a line for each
 * layer, elsewhere a line for each change, with --progress json the events as they are.
 */
#ifndef BH_CLI_TRANSFER_VIEW_H
#define BH_CLI_TRANSFER_VIEW_H

#include "bulkhead/bulkhead.h"
#include "cli/opt.h"
#include "cli/progress.h"

struct cli_transfer_view {
    struct cli_ctx *ctx;
    struct cli_progress *progress;
    char **done; /* canonical references in the order in which they were done */
    size_t n_done;
    char *digest; /* of the last */
};

/* to_stderr: the pull of `run`. */
void cli_transfer_view_init(struct cli_transfer_view *v, struct cli_ctx *ctx, enum cli_progress_mode mode,
                            bool to_stderr);
void cli_transfer_view_event(struct cli_transfer_view *v, const bulkhead_value *event);
/* The lines of progress end here; done and digest stay until the second. */
void cli_transfer_view_close(struct cli_transfer_view *v);
void cli_transfer_view_fini(struct cli_transfer_view *v);

/* Opens the stream, shows every event, waits for the end.  The request is freed. 0 or an exit status. */
int cli_transfer_run(struct cli_transfer_view *v, const char *method, bulkhead_value *take_request);

#endif
