/*
 * files_rpc.c - handlers: logs, commit, diff, export.
 *
 * Room: runtime.  Foreign: the requests and the bytes that containers wrote; both pass unread.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc/server.h"
#include "svc-runtime/convert_rpc.h"
#include "svc-runtime/methods.h"

/* ---- logs -------------------------------------------------------------------------------------- */

static int send_log(void *arg, unsigned stream, int64_t time_ns, const void *data, size_t n, struct bh_err *err) {
    RT_MSG(LogChunk) chunk = BULKHEAD__RUNTIME__V1__LOG_CHUNK__INIT;

    chunk.stream = stream;
    chunk.time_ns = time_ns;
    chunk.data = (ProtobufCBinaryData){.len = n, .data = (uint8_t *)data};
    return bh_call_send_msg(arg, &chunk.base, err);
}

int rt_rpc_logs(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerLogsRequest) *msg = (const RT_MSG(ContainerLogsRequest) *)request;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;
    struct rt_log_want want = {
        .since_ns = msg->since_ns, .until_ns = msg->until_ns, .tail_set = msg->tail_set, .tail = msg->tail};

    if (!msg->stdout && !msg->stderr)
        return bh_err_set(err, BH_E_INVALID, "logs: neither stdout nor stderr is wanted");
    if (rt_find(room, call, msg->container, &c, err) != 0)
        return err->code;
    want.streams = (msg->stdout ? 1u << 1 : 0) | (msg->stderr ? 1u << 2 : 0);
    return rt_logs(c, &want, msg->follow, bh_call_cancel_fd(call), send_log, call, err);
}

/* ---- commit ------------------------------------------------------------------------------------ */

static int commit(struct rt_room *room, struct bh_call *call, const RT_MSG(ContainerCommitRequest) * msg,
                  struct bh_arena *arena, struct bh_err *err) {
    RT_MSG(ContainerCommitReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_COMMIT_REPLY__INIT;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;
    struct rt_commit how = {.reference = msg->reference,
                            .author = msg->author,
                            .message = msg->message,
                            .changes = rt_list_of(msg->change, msg->n_change),
                            .no_pause = msg->no_pause};

    if (rt_find(room, call, msg->container, &c, err) != 0 || rt_commit(c, &how, arena, &reply.id, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}

int rt_rpc_commit(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, RT_CALL_ARENA);
    r = commit(room, call, (const RT_MSG(ContainerCommitRequest) *)request, &arena, err);
    bh_arena_fini(&arena);
    return r;
}

/* ---- diff -------------------------------------------------------------------------------------- */

static int send_entry(void *arg, char kind, const char *path, struct bh_err *err) {
    RT_MSG(ContainerDiffEntry) entry = BULKHEAD__RUNTIME__V1__CONTAINER_DIFF_ENTRY__INIT;
    char text[2] = {kind, 0};

    entry.kind = text;
    entry.path = (ProtobufCBinaryData){.len = strlen(path), .data = (uint8_t *)path};
    return bh_call_send_msg(arg, &entry.base, err);
}

int rt_rpc_diff(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerDiffRequest) *msg = (const RT_MSG(ContainerDiffRequest) *)request;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;

    if (rt_find(room, call, msg->container, &c, err) != 0)
        return err->code;
    return rt_diff(c, send_entry, call, err);
}

/* ---- export ------------------------------------------------------------------------------------ */

struct exporting {
    struct rt_container *c;
    int out;
    int result;
    struct bh_err err;
};

static void *export_thread(void *arg) {
    struct exporting *x = arg;

    x->result = rt_tree(x->c, RT_TREE_EXPORT, x->out, &x->err);
    close(x->out);
    return NULL;
}

static int send_all(struct bh_call *call, int fd, struct bh_err *err) {
    char *buf = bh_xmalloc((size_t)256 << 10);
    ssize_t n;
    int r = 0;

    while (r == 0 && (n = read(fd, buf, (size_t)256 << 10)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        r = n < 0 ? bh_err_errno(err, errno, "read the exported files") : bh_call_send_bytes(call, buf, (size_t)n, err);
    }
    free(buf);
    return r;
}

static int export_as_stream(struct rt_container *c, struct bh_call *call, struct bh_err *err) {
    struct exporting x = {.c = c};
    int p[2], r, e;
    pthread_t t;

    if (pipe2(p, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    x.out = p[1];
    e = pthread_create(&t, NULL, export_thread, &x);
    if (e != 0) {
        close(p[0]);
        close(p[1]);
        return bh_err_errno(err, e, "make a thread");
    }
    r = send_all(call, p[0], err);
    close(p[0]); /* a walker that still writes ends on this */
    pthread_join(t, NULL);
    if (r == 0 && x.result != 0) {
        *err = x.err;
        r = x.result;
    }
    return r;
}

int rt_rpc_export(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerExportRequest) *msg = (const RT_MSG(ContainerExportRequest) *)request;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;
    unsigned n = 0;
    int fd = -1, r;

    if (rt_find(room, call, msg->container, &c, err) != 0)
        return err->code;
    if (!bh_call_wants_fds(call))
        return export_as_stream(c, call, err);
    if (bh_call_take_fds(call, &fd, 1, &n, err) != 0)
        return err->code;
    if (n != 1)
        return bh_err_set(err, BH_E_INVALID, "export: one descriptor is needed to write to");
    r = rt_tree(c, RT_TREE_EXPORT, fd, err);
    close(fd);
    return r;
}
