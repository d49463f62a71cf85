/*
 * transfer_view.c - see transfer_view.h.
 *
 * Room: client.
 */
#include "cli/transfer_view.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/engine.h"

/* By number of LayerState of registry.proto. */
static const char *const words[] = {
    [1] = "Pulling fs layer",  [2] = "Waiting",
    [3] = "Downloading",       [4] = "Verifying Checksum",
    [5] = "Download complete", [6] = "Extracting",
    [7] = "Pull complete",     [8] = "Already exists",
    [9] = "Retrying in",       [10] = "Preparing",
    [11] = "Compressing",      [12] = "Pushing",
    [13] = "Pushed",           [14] = "Layer already exists",
    [15] = "Mounted from",
};
enum { RETRYING = 9, MOUNTED = 15 };

void cli_transfer_view_init(struct cli_transfer_view *v, struct cli_ctx *ctx, enum cli_progress_mode mode,
                            bool to_stderr) {
    *v = (struct cli_transfer_view){.ctx = ctx, .progress = cli_progress_new(ctx->out, mode, to_stderr)};
}

static void layer_event(struct cli_transfer_view *v, const bulkhead_value *event) {
    uint64_t state = bulkhead_get_uint(event, "state");
    uint64_t current = bulkhead_get_uint(event, "current"), total = bulkhead_get_uint(event, "total");
    const char *word = state < BH_ARRAY_LEN(words) && words[state] != NULL ? words[state] : "";
    char text[300];

    if (state == RETRYING) {
        snprintf(text, sizeof text, "%s %llu second%s", word, (unsigned long long)total, total == 1 ? "" : "s");
        current = total = 0;
    } else if (state == MOUNTED) {
        snprintf(text, sizeof text, "%s %s", word, bulkhead_get_str(event, "text"));
    } else {
        snprintf(text, sizeof text, "%s", word);
    }
    cli_progress_item(v->progress, bulkhead_get_str(event, "layer"), text, current, total);
}

/* What a program wants to know in the end; of a push in docker's words. */
static void done_event(struct cli_transfer_view *v, const bulkhead_value *event) {
    const char *reference = bulkhead_get_str(event, "reference"), *digest = bulkhead_get_str(event, "digest");
    const char *colon = strrchr(reference, ':'), *id = bulkhead_get_str(event, "id");
    json_t *aux = json_object();
    char *text BH_SCOPE_FREE = NULL;

    if (id[0] != '\0')
        json_object_set_new(aux, "ID", json_string(id));
    else
        json_object_set_new(aux, "Tag", json_string(colon != NULL ? colon + 1 : ""));
    json_object_set_new(aux, "Digest", json_string(digest));
    if (id[0] == '\0')
        json_object_set_new(aux, "Size", json_integer((json_int_t)bulkhead_get_uint(event, "size")));
    json_object_set_new(aux, "Reference", json_string(reference));
    text = json_dumps(aux, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(aux);
    cli_progress_aux(v->progress, text);
}

void cli_transfer_view_event(struct cli_transfer_view *v, const bulkhead_value *event) {
    const char *reference = bulkhead_get_str(event, "reference");

    if (bulkhead_get_str(event, "warning")[0] != '\0') {
        cli_warn(v->ctx->out, "%s", bulkhead_get_str(event, "warning"));
        cli_progress_forget(v->progress);
    }
    if (bulkhead_get_str(event, "status")[0] != '\0')
        cli_progress_line(v->progress, bulkhead_get_str(event, "status"));
    if (bulkhead_get_str(event, "layer")[0] != '\0')
        layer_event(v, event);
    if (reference[0] == '\0')
        return;
    done_event(v, event);
    v->done = bh_xrealloc(v->done, (v->n_done + 1) * sizeof *v->done);
    v->done[v->n_done++] = bh_xstrdup(reference);
    free(v->digest);
    v->digest = bh_xstrdup(bulkhead_get_str(event, "digest"));
}

void cli_transfer_view_close(struct cli_transfer_view *v) {
    cli_progress_free(v->progress);
    v->progress = NULL;
}

void cli_transfer_view_fini(struct cli_transfer_view *v) {
    cli_transfer_view_close(v);
    for (size_t i = 0; i < v->n_done; i++)
        free(v->done[i]);
    free(v->done);
    free(v->digest);
}

static int follow(struct cli_transfer_view *v, bulkhead_stream *s, struct bulkhead_error *error) {
    for (;;) {
        bulkhead_value *event = NULL;
        int r = bulkhead_stream_recv_value(s, &event, error);

        if (r != 0)
            return r;
        if (event == NULL)
            return bulkhead_stream_finish(s, NULL, error);
        cli_transfer_view_event(v, event);
        bulkhead_value_free(event);
    }
}

int cli_transfer_run(struct cli_transfer_view *v, const char *method, bulkhead_value *take_request) {
    struct bulkhead_error error = {0};
    bulkhead *b = cli_engine(v->ctx);
    bulkhead_stream *s = NULL;
    int r;

    if (b == NULL) {
        bulkhead_value_free(take_request);
        return CLI_EXIT_FAILED;
    }
    r = bulkhead_stream_open(b, "registry", method, take_request, NULL, 0, &s, &error);
    bulkhead_value_free(take_request);
    if (r == 0)
        r = follow(v, s, &error);
    bulkhead_stream_free(s);
    cli_transfer_view_close(v);
    return r == 0 ? 0 : cli_fail_engine(v->ctx, &error);
}
