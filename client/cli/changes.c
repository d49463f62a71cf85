/*
 * changes.c - see changes.h.
 *
 * Room: client.  Paths are bytes of a container: escaped when a terminal reads them.
 */
#include "cli/changes.h"

#include "cli/engine.h"

int cli_put_changes(struct cli_ctx *ctx, const char *service, const char *method, bulkhead_value *take_request) {
    struct bulkhead_error error = {0};
    bulkhead *b = cli_engine(ctx);
    bulkhead_value *entry = NULL;
    bulkhead_stream *s = NULL;
    int r;

    r = b == NULL ? BULKHEAD_UNAVAILABLE : bulkhead_stream_open(b, service, method, take_request, NULL, 0, &s, &error);
    bulkhead_value_free(take_request);
    if (b == NULL)
        return CLI_EXIT_FAILED;
    while (r == 0 && (r = bulkhead_stream_recv_value(s, &entry, &error)) == 0 && entry != NULL) {
        size_t n;
        const char *path = bulkhead_get_bytes(entry, "path", &n);

        cli_put(ctx->out, "%s ", bulkhead_get_str(entry, "kind"));
        cli_put_text(ctx->out, path, n);
        cli_put(ctx->out, "\n");
        bulkhead_value_free(entry);
    }
    if (r == 0)
        r = bulkhead_stream_finish(s, NULL, &error);
    bulkhead_stream_free(s);
    return r == 0 ? 0 : cli_fail_engine(ctx, &error);
}
