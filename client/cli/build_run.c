/*
 * build_run.c - the call that builds: what goes along, what comes back while it works.
 *
 * Room: client.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/build_int.h"
#include "cli/engine.h"

#define FDS_MAX (BUILD_OUTPUTS_MAX + BUILD_AGENTS_MAX + 2 * BUILD_CACHES_MAX + BUILD_LAYOUTS_MAX)

/* In the order of the protocol. */
static unsigned descriptors(const struct build *x, int fds[FDS_MAX]) {
    unsigned n = 0;

    for (size_t i = 0; i < x->n_outputs; i++)
        if (x->outputs[i].fd >= 0)
            fds[n++] = x->outputs[i].fd;
    for (size_t i = 0; i < x->agents.n; i++)
        fds[n++] = build_agents_fd(&x->agents, i);
    for (size_t i = 0; i < x->caches.from.n_fds; i++)
        fds[n++] = x->caches.from.fd[i];
    for (size_t i = 0; i < x->caches.to.n_fds; i++)
        fds[n++] = x->caches.to.fd[i];
    for (size_t i = 0; i < x->n_layouts; i++)
        fds[n++] = x->layout_fds[i];
    return n;
}

static void keep_text(char **to, const char *text) {
    if (text[0] == '\0')
        return;
    free(*to);
    *to = bh_xstrdup(text);
}

static int follow(struct build *x, bulkhead_stream *s, struct bulkhead_error *error) {
    for (;;) {
        bulkhead_value *event = NULL;

        if (bulkhead_stream_recv_value(s, &event, error) != 0)
            return error->code;
        if (event == NULL)
            return bulkhead_stream_finish(s, NULL, error);
        if (bulkhead_type_of(bulkhead_get(event, "problem")) == BULKHEAD_MAP)
            build_view_problem(x->ctx, bulkhead_get(event, "problem"));
        keep_text(&x->image_id, bulkhead_get_str(event, "image_id"));
        keep_text(&x->manifest_digest, bulkhead_get_str(event, "manifest_digest"));
        keep_text(&x->build_id, bulkhead_get_str(event, "build_id"));
        build_view_event(x->view, event);
        bulkhead_value_free(event);
    }
}

int build_run(struct build *x, bulkhead_value *take_request) {
    struct bulkhead_error error = {0};
    bulkhead *b = cli_engine(x->ctx);
    bulkhead_stream *s = NULL;
    int fds[FDS_MAX];
    unsigned n_fds = descriptors(x, fds);
    int r;

    if (b == NULL) {
        bulkhead_value_free(take_request);
        return CLI_EXIT_FAILED;
    }
    r = bulkhead_stream_open(b, "build", "Build", take_request, fds, n_fds, &s, &error);
    bulkhead_value_free(take_request);
    for (size_t i = 0; i < x->n_outputs; i++)
        build_output_given(&x->outputs[i]);
    build_agents_given(&x->agents);
    build_caches_given(&x->caches);
    build_layouts_given(x);
    if (r == 0)
        r = follow(x, s, &error);
    bulkhead_stream_free(s);
    build_view_end(x->view, r != 0);
    if (r == 0)
        return 0;
    if (!bh_str_starts(error.message, "failed to solve")) {
        char text[sizeof error.message];

        snprintf(text, sizeof text, "failed to solve: %.*s", (int)(sizeof text - 20), error.message);
        memcpy(error.message, text, sizeof text);
    }
    return cli_fail_engine(x->ctx, &error);
}
