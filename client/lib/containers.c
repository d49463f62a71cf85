/*
 * containers.c - typed calls about containers.
 *
 * Room: client.  Standard streams of a container are descriptors of the caller that the engine's
 * monitor reads and writes itself; no byte of them passes through here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bulkhead/bulkhead.h"
#include "value.h"

int bulkhead_container_make(bulkhead *b, const char *name, const bulkhead_value *spec, bulkhead_value **out_reply,
                            struct bulkhead_error *err) {
    bulkhead_value *request = bulkhead_map_new();
    int r;

    bulkhead_set_str(request, "name", name);
    /* The request borrows the caller's spec for the time of the call. */
    bulkhead_set(request, "spec", (bulkhead_value *)(uintptr_t)spec);
    r = bulkhead_call(b, "runtime", "ContainerCreate", request, 0, out_reply, err);
    value_detach(request, "spec");
    bulkhead_value_free(request);
    return r;
}

int bulkhead_container_create(bulkhead *b, const char *name, const bulkhead_value *spec, char **out_id,
                              struct bulkhead_error *err) {
    bulkhead_value *reply = NULL;
    int r = bulkhead_container_make(b, name, spec, &reply, err);

    if (r != 0)
        return r;
    *out_id = bh_xstrdup(bulkhead_get_str(reply, "id"));
    bulkhead_value_free(reply);
    return 0;
}

/* A call whose request is the container and perhaps one text more, and whose reply tells nothing. */
static int simple(bulkhead *b, const char *method, bulkhead_value *take_request, struct bulkhead_error *err) {
    bulkhead_value *reply = NULL;
    int r = bulkhead_call(b, "runtime", method, take_request, 0, &reply, err);

    bulkhead_value_free(take_request);
    bulkhead_value_free(reply);
    return r;
}

static bulkhead_value *about(const char *container) {
    bulkhead_value *request = bulkhead_map_new();

    bulkhead_set_str(request, "container", container);
    return request;
}

int bulkhead_container_start(bulkhead *b, const char *container, const int stdio[3], struct bulkhead_error *err) {
    bulkhead_value *request = about(container);
    bulkhead_stream *s = NULL;
    unsigned bits = 0, n = 0;
    int fds[3], r;

    for (unsigned i = 0; stdio != NULL && i < 3; i++) {
        if (stdio[i] >= 0) {
            bits |= 1U << i;
            fds[n++] = stdio[i];
        }
    }
    if (n == 0)
        return simple(b, "ContainerStart", request, err);
    bulkhead_set_uint(request, "stdio", bits);
    r = bulkhead_stream_open(b, "runtime", "ContainerStart", request, fds, n, &s, err);
    bulkhead_value_free(request);
    if (r != 0)
        return r;
    r = bulkhead_stream_finish(s, NULL, err);
    bulkhead_stream_free(s);
    return r;
}

int bulkhead_container_wait(bulkhead *b, const char *container, int *out_exit_code, struct bulkhead_error *err) {
    bulkhead_value *request = about(container), *reply = NULL;
    int r = bulkhead_call(b, "runtime", "ContainerWait", request, 0, &reply, err);

    bulkhead_value_free(request);
    if (r == 0)
        *out_exit_code = (int)bulkhead_get_int(reply, "exit_code");
    bulkhead_value_free(reply);
    return r;
}

int bulkhead_container_kill(bulkhead *b, const char *container, const char *signal, struct bulkhead_error *err) {
    bulkhead_value *request = about(container);

    bulkhead_set_str(request, "signal", signal);
    return simple(b, "ContainerKill", request, err);
}

int bulkhead_container_stop(bulkhead *b, const char *container, int timeout_s, struct bulkhead_error *err) {
    bulkhead_value *request = about(container);

    bulkhead_set_bool(request, "timeout_set", true);
    bulkhead_set_int(request, "timeout", timeout_s);
    return simple(b, "ContainerStop", request, err);
}

int bulkhead_container_remove(bulkhead *b, const char *container, bool force, struct bulkhead_error *err) {
    bulkhead_value *request = about(container);

    bulkhead_set_bool(request, "force", force);
    return simple(b, "ContainerRemove", request, err);
}

static int take_log(bulkhead_stream *s, bulkhead_log_line *each, void *arg, struct bulkhead_error *err) {
    for (;;) {
        bulkhead_value *chunk = NULL;
        const void *data;
        size_t n;
        int r = bulkhead_stream_recv_value(s, &chunk, err), stop;

        if (r != 0)
            return r;
        if (chunk == NULL)
            return bulkhead_stream_finish(s, NULL, err);
        data = bulkhead_get_bytes(chunk, "data", &n);
        stop = each(arg, (int)bulkhead_get_uint(chunk, "stream"), bulkhead_get_int(chunk, "time_ns"), data, n);
        bulkhead_value_free(chunk);
        if (stop != 0)
            return 0;
    }
}

int bulkhead_container_logs(bulkhead *b, const char *container, bool follow, bulkhead_log_line *each, void *arg,
                            struct bulkhead_error *err) {
    bulkhead_value *request = about(container);
    bulkhead_stream *s = NULL;
    int r;

    bulkhead_set_bool(request, "stdout", true);
    bulkhead_set_bool(request, "stderr", true);
    bulkhead_set_bool(request, "follow", follow);
    r = bulkhead_stream_open(b, "runtime", "ContainerLogs", request, NULL, 0, &s, err);
    bulkhead_value_free(request);
    if (r != 0)
        return r;
    r = take_log(s, each, arg, err);
    bulkhead_stream_free(s);
    return r;
}

int bulkhead_container_export(bulkhead *b, const char *container, int out_fd, struct bulkhead_error *err) {
    bulkhead_value *request = about(container);
    bulkhead_stream *s = NULL;
    int r = bulkhead_stream_open(b, "runtime", "ContainerExport", request, &out_fd, 1, &s, err);

    bulkhead_value_free(request);
    if (r != 0)
        return r;
    r = bulkhead_stream_finish(s, NULL, err);
    bulkhead_stream_free(s);
    return r;
}
