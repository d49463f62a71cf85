/*
 * stream_rpc.c - handlers: attach and exec, with descriptors or as streams.
 *
 * Room: runtime.  With descriptors the bytes never come here.  Without, the room makes pipes, gives one
 * end to the monitor and moves bytes between the other and the call: chunks to the client are one
 * byte (1 stdout, 2 stderr) and data, chunks from it are stdin.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "rpc/server.h"
#include "svc-runtime/convert_rpc.h"
#include "svc-runtime/methods.h"

#define CHUNK ((size_t)64 << 10)

struct pump {
    struct bh_call *call;
    int in;     /* write end towards the container's stdin, -1: none */
    int out[2]; /* read ends, -1: none or at its end */
    pthread_t feeder;
    bool feeding;
    char *buf;
};

/* ---- pipes ------------------------------------------------------------------------------------- */

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int add_pipe(struct rt_stdio *stdio, unsigned bit, bool room_reads, int *out_ours, struct bh_err *err) {
    int p[2];

    if (pipe2(p, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    *out_ours = room_reads ? p[0] : p[1];
    stdio->fds[stdio->n++] = room_reads ? p[1] : p[0];
    stdio->bits |= bit;
    return 0;
}

static void pump_close(struct pump *p) {
    close_fd(&p->in);
    close_fd(&p->out[0]);
    close_fd(&p->out[1]);
    free(p->buf);
}

static int pump_open(struct pump *p, struct bh_call *call, unsigned bits, struct rt_stdio *stdio, struct bh_err *err) {
    *p = (struct pump){.call = call, .in = -1, .out = {-1, -1}};
    p->buf = bh_xmalloc(CHUNK + 1);
    if (((bits & 1) && add_pipe(stdio, 1, false, &p->in, err) != 0) ||
        ((bits & 2) && add_pipe(stdio, 2, true, &p->out[0], err) != 0) ||
        ((bits & 4) && add_pipe(stdio, 4, true, &p->out[1], err) != 0)) {
        rt_stdio_close(stdio);
        pump_close(p);
        return err->code;
    }
    return 0;
}

/* ---- moving ------------------------------------------------------------------------------------ */

static void *feed(void *arg) {
    struct pump *p = arg;
    struct bh_err err = BH_ERR_INIT;
    const void *data;
    size_t n;

    while (bh_call_recv_bytes(p->call, &data, &n, &err) == 0 && data != NULL)
        if (p->in >= 0 && bh_write_all(p->in, data, n) != 0)
            close_fd(&p->in); /* nobody reads any more: the rest is taken and dropped */
    close_fd(&p->in);
    return NULL;
}

static int forward(struct pump *p, int which, struct bh_err *err) {
    ssize_t n = read(p->out[which], p->buf + 1, CHUNK);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n <= 0) {
        close_fd(&p->out[which]);
        return 0;
    }
    p->buf[0] = (char)(1 + which);
    return bh_call_send_bytes(p->call, p->buf, (size_t)n + 1, err);
}

static int pump_outputs(struct pump *p, struct bh_err *err) {
    struct pollfd v[3] = {{.events = POLLIN}, {.events = POLLIN}, {.fd = bh_call_cancel_fd(p->call), .events = POLLIN}};

    while (p->out[0] >= 0 || p->out[1] >= 0) {
        v[0].fd = p->out[0];
        v[1].fd = p->out[1];
        if (poll(v, 3, -1) < 0 && errno != EINTR)
            return bh_err_errno(err, errno, "wait for output");
        if (v[2].revents != 0)
            return bh_err_set(err, BH_E_CANCELLED, "the client has gone");
        for (int i = 0; i < 2; i++)
            if (v[i].revents != 0 && p->out[i] >= 0 && forward(p, i, err) != 0)
                return err->code;
    }
    return 0;
}

/* Returns when the outputs have ended.  The feeder may sit in a write that nobody takes: the monitor
 * closes its end with the outputs, which ends that as well. */
static int pump_run(struct pump *p, struct bh_err *err) {
    int r, e = pthread_create(&p->feeder, NULL, feed, p);

    if (e != 0)
        return bh_err_errno(err, e, "make a thread");
    r = pump_outputs(p, err);
    close_fd(&p->out[0]); /* when the client has gone the monitor shall notice, and let go of stdin too */
    close_fd(&p->out[1]);
    bh_call_stop_recv(p->call);
    pthread_join(p->feeder, NULL);
    return r;
}

/* ---- attach ------------------------------------------------------------------------------------ */

static int send_log(void *arg, unsigned stream, int64_t time_ns, const void *data, size_t n, struct bh_err *err) {
    const char mark = (char)stream;
    const char *p = data;
    char chunk[4096];

    (void)time_ns;
    while (n > 0) {
        size_t part = n < sizeof chunk - 1 ? n : sizeof chunk - 1;

        chunk[0] = mark;
        memcpy(chunk + 1, p, part);
        if (bh_call_send_bytes(arg, chunk, part + 1, err) != 0)
            return err->code;
        p += part;
        n -= part;
    }
    return 0;
}

static int write_log(void *arg, unsigned stream, int64_t time_ns, const void *data, size_t n, struct bh_err *err) {
    const struct rt_stdio *s = arg;
    unsigned bit = 1u << stream;
    int fd = s->fds[__builtin_popcount(s->bits & (bit - 1))];

    (void)time_ns;
    if (bh_write_all(fd, data, n) != 0)
        return bh_err_errno(err, errno, "write the log to the client");
    return 0;
}

/* What was written so far.  What comes between this and the attachment may be missed by nobody else
 * than a client that asks for both. */
static int replay(struct rt_container *c, struct bh_call *call, unsigned bits, struct rt_stdio *stdio,
                  struct bh_err *err) {
    const struct rt_log_want want = {.streams = bits & 6, .until_ns = bh_now_ns()};

    if (!c->facts->keep_log)
        return 0;
    return rt_logs(c, &want, false, -1, stdio != NULL ? write_log : send_log, stdio != NULL ? (void *)stdio : call,
                   err);
}

static int attach_or_start(struct rt_container *c, bool start, const struct rt_stdio *stdio, struct bh_err *err) {
    return start ? rt_start(c, stdio, err) : rt_attach(c, stdio, err);
}

static int attach_fds(struct rt_container *c, struct bh_call *call, const RT_MSG(ContainerAttachRequest) * msg,
                      struct bh_err *err) {
    struct rt_stdio stdio;
    int r;

    if (rt_take_stdio(call, msg->stdio, &stdio, err) != 0)
        return err->code;
    stdio.rows = msg->tty_rows;
    stdio.cols = msg->tty_cols;
    r = msg->logs ? replay(c, call, msg->stdio, &stdio, err) : 0;
    if (r == 0)
        r = attach_or_start(c, msg->start, &stdio, err);
    rt_stdio_close(&stdio);
    return r;
}

static int attach_stream(struct rt_container *c, struct bh_call *call, const RT_MSG(ContainerAttachRequest) * msg,
                         struct bh_err *err) {
    unsigned bits = msg->stdio != 0 ? msg->stdio & 7 : 7;
    struct rt_stdio stdio = {.rows = msg->tty_rows, .cols = msg->tty_cols};
    struct pump p;
    int r;

    if (!c->facts->open_stdin)
        bits &= ~1u;
    if (msg->logs && replay(c, call, bits, NULL, err) != 0)
        return err->code;
    if (pump_open(&p, call, bits, &stdio, err) != 0)
        return err->code;
    r = attach_or_start(c, msg->start, &stdio, err);
    rt_stdio_close(&stdio);
    if (r == 0)
        r = pump_run(&p, err);
    pump_close(&p);
    return r;
}

int rt_rpc_attach(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerAttachRequest) *msg = (const RT_MSG(ContainerAttachRequest) *)request;
    RT_MSG(ContainerAttachReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_ATTACH_REPLY__INIT;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;
    int r;

    if (rt_find(room, call, msg->container, &c, err) != 0)
        return err->code;
    r = bh_call_wants_fds(call) ? attach_fds(c, call, msg, err) : attach_stream(c, call, msg, err);
    if (r != 0)
        return r;
    reply.id = c->id;
    reply.tty = c->facts->tty;
    return bh_call_reply(call, &reply.base, err);
}

/* ---- exec -------------------------------------------------------------------------------------- */

static struct rt_exec_request exec_request(const RT_MSG(ContainerExecRequest) * msg) {
    return (struct rt_exec_request){.command = rt_list_of(msg->command, msg->n_command),
                                    .env = rt_list_of(msg->env, msg->n_env),
                                    .workdir = msg->workdir,
                                    .user = msg->user,
                                    .tty = msg->tty,
                                    .privileged = msg->privileged,
                                    .detach = msg->detach,
                                    .open_stdin = (msg->stdio & 1) != 0,
                                    .tty_rows = msg->tty_rows,
                                    .tty_cols = msg->tty_cols};
}

static int start_exec(struct rt_container *c, struct bh_call *call, const RT_MSG(ContainerExecRequest) * msg,
                      const struct rt_stdio *stdio, struct rt_exec **out, int32_t *out_pid, struct bh_err *err) {
    struct rt_exec_request req = exec_request(msg);
    struct rt_caller who = rt_caller_of(call);
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, RT_CALL_ARENA);
    r = rt_exec_start(c, &who, &req, stdio, &arena, out, out_pid, err);
    bh_arena_fini(&arena);
    return r;
}

/* With descriptors, or detached: the answer is the session's id. */
static int exec_fds(struct rt_container *c, struct bh_call *call, const RT_MSG(ContainerExecRequest) * msg,
                    struct bh_err *err) {
    RT_MSG(ContainerExecReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_EXEC_REPLY__INIT;
    struct rt_stdio stdio;
    struct rt_exec *x = NULL;
    int r;

    if (rt_take_stdio(call, msg->stdio, &stdio, err) != 0)
        return err->code;
    r = start_exec(c, call, msg, &stdio, &x, &reply.pid, err);
    rt_stdio_close(&stdio);
    if (r != 0)
        return r;
    reply.exec_id = (char *)rt_exec_id(x);
    r = bh_call_reply(call, &reply.base, err);
    rt_exec_unref(x);
    return r;
}

static int exec_stream(struct rt_container *c, struct bh_call *call, const RT_MSG(ContainerExecRequest) * msg,
                       struct bh_err *err) {
    RT_MSG(ContainerExecReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_EXEC_REPLY__INIT;
    struct rt_stdio stdio = {0};
    struct rt_exec *x = NULL;
    struct pump p;
    int r;

    if (pump_open(&p, call, msg->stdio != 0 ? msg->stdio & 7 : 6, &stdio, err) != 0)
        return err->code;
    r = start_exec(c, call, msg, &stdio, &x, &reply.pid, err);
    rt_stdio_close(&stdio);
    if (r == 0) {
        reply.exec_id = (char *)rt_exec_id(x);
        r = bh_call_send_msg(call, &reply.base, err);
    }
    if (r == 0)
        r = pump_run(&p, err);
    pump_close(&p);
    rt_exec_unref(x);
    return r;
}

int rt_rpc_exec(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerExecRequest) *msg = (const RT_MSG(ContainerExecRequest) *)request;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;

    if (rt_find(room, call, msg->container, &c, err) != 0)
        return err->code;
    if (bh_call_wants_fds(call) || msg->detach)
        return exec_fds(c, call, msg, err);
    return exec_stream(c, call, msg, err);
}

int rt_rpc_exec_wait(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ExecWaitRequest) *msg = (const RT_MSG(ExecWaitRequest) *)request;
    RT_MSG(ExecWaitReply) reply = BULKHEAD__RUNTIME__V1__EXEC_WAIT_REPLY__INIT;
    struct rt_caller who = rt_caller_of(call);
    struct rt_exec *x = NULL;
    int r;

    if (rt_exec_find(room, &who, msg->exec_id, &x, err) != 0)
        return err->code;
    r = rt_exec_wait(x, bh_call_cancel_fd(call), &reply.exit_code, err);
    rt_exec_unref(x);
    return r == 0 ? bh_call_reply(call, &reply.base, err) : r;
}

int rt_rpc_exec_resize(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ExecResizeRequest) *msg = (const RT_MSG(ExecResizeRequest) *)request;
    RT_MSG(ContainerResizeReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_RESIZE_REPLY__INIT;
    struct rt_caller who = rt_caller_of(call);
    struct rt_exec *x = NULL;
    int r;

    if (rt_exec_find(room, &who, msg->exec_id, &x, err) != 0)
        return err->code;
    r = rt_exec_resize(x, msg->rows, msg->cols, err);
    rt_exec_unref(x);
    return r == 0 ? bh_call_reply(call, &reply.base, err) : r;
}
