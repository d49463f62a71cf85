/*
 * client.c - a connection to one service, and unary calls.
 *
 * Room: libbulkhead and the rooms that call the store.  What the service answers is parsed as
 * foreign bytes.  Prints nothing, never exits, keeps nothing outside struct bh_conn.  A call is sent
 * once; only one that is marked idempotent is sent again, over a new connection.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"
#include "base/str.h"
#include "common.pb-c.h"
#include "rpc/client_priv.h"

#define CONNECT_NS (3 * BH_NSEC)
#define STEP_NS    (BH_NSEC / 4)
#define STUCK_NS   (3 * BH_NSEC / 2) /* longer than the dialer ever pauses */
#define KEEP_MS    20000
#define GRACE_NS   (BH_NSEC / 20) /* the service's own word on a deadline is better than ours */

/* ---- small things ------------------------------------------------------------------------ */

int64_t bh_deadline_in(uint32_t timeout_ms) {
    return timeout_ms == 0 ? 0 : bh_mono_ns() + (int64_t)timeout_ms * (BH_NSEC / 1000);
}

uint64_t bh_conn_next_call(struct bh_conn *conn) {
    uint64_t id;

    pthread_mutex_lock(&conn->lock);
    id = ++conn->next_call;
    pthread_mutex_unlock(&conn->lock);
    return id;
}

int bh_conn_lost(const struct bh_conn *conn, int code, struct bh_err *err) {
    if (code == BH_E_CANCELLED)
        return bh_err_set(err, code, "call to %s: cancelled", conn->path);
    if (code == BH_E_LIMIT)
        return bh_err_set(err, code, "call to %s: no memory for it", conn->path);
    bh_err_set(err, BH_E_UNAVAILABLE, "call to %s: the connection was lost", conn->path);
    return bh_err_hint(err, "the service may have restarted; try again");
}

int bh_done_error(const bh_envelope *env, struct bh_err *err) {
    Bulkhead__Common__V1__ErrorDetail *d;

    if (env->status == 0)
        return 0;
    bh_err_set(err, bh_err_from_wire(env->status), "%s", env->message);
    d = bulkhead__common__v1__error_detail__unpack(NULL, env->detail.len, env->detail.data);
    if (d == NULL)
        return err->code;
    bh_err_reason(err, d->reason);
    if (d->hint[0] != '\0')
        bh_err_hint(err, "%s", d->hint);
    bulkhead__common__v1__error_detail__free_unpacked(d, NULL);
    return err->code;
}

int bh_reply_unpack(const struct bh_frame *frame, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out,
                    struct bh_err *err) {
    *out = protobuf_c_message_unpack(type, NULL, frame->payload_len, frame->payload);
    if (*out == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "the reply is not a %s", type->name);
    return 0;
}

/* ---- connecting -------------------------------------------------------------------------- */

/* Why there is no connection, in the kernel's words; 0 when a plain connect works. */
static int probe(const char *path) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    BH_SCOPE_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return errno;
    if (!bh_str_copy(addr.sun_path, sizeof addr.sun_path, path))
        return ENAMETOOLONG;
    return connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0 ? 0 : errno;
}

/* No folder for the socket: no engine was ever started there, so none is about to listen. */
static bool no_engine(const char *path) {
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    const char *slash = strrchr(path, '/');

    return slash != NULL && bh_str_copy_n(folder, sizeof folder, path, (size_t)(slash - path)) &&
           access(folder, F_OK) < 0 && errno == ENOENT;
}

static int unreachable(const struct bh_conn *conn, int why, struct bh_err *err) {
    if (why == 0) {
        bh_err_set(err, BH_E_UNAVAILABLE, "connect to %s: the service does not answer", conn->path);
        return bh_err_hint(err, "it may be starting; try again");
    }
    bh_err_errno(err, why, "connect to %s", conn->path);
    err->code = why == EACCES || why == EPERM ? BH_E_DENIED : BH_E_UNAVAILABLE;
    if (err->code == BH_E_DENIED)
        return bh_err_hint(err, "your user may not use this engine; ask its administrator");
    return bh_err_hint(err, "is bulkheadd running?");
}

int bh_conn_ready(struct bh_conn *conn, int64_t deadline_ns, struct bh_err *err) {
    int64_t start = bh_mono_ns(), now = start, end = start + CONNECT_NS, redial_at = start + STUCK_NS;
    int why = 0;

    if (bh_tclient_generation(conn->transport) != 0)
        return 0;
    if (deadline_ns != 0 && deadline_ns < end)
        end = deadline_ns;
    while (now < end) {
        if (bh_tclient_wait(conn->transport, now + STEP_NS < end ? now + STEP_NS : end))
            return 0;
        why = probe(conn->path);
        now = bh_mono_ns();
        if (why == EACCES || why == EPERM || (why == ENOENT && no_engine(conn->path)))
            break;
        /* nng 1.5.2 gives a dialer up when a service accepts and dies at once */
        if (why == 0 && now >= redial_at) {
            bh_tclient_redial(conn->transport);
            redial_at = now + STUCK_NS;
        }
    }
    return unreachable(conn, why, err);
}

/* ---- exchanges that nobody waits for -------------------------------------------------------- */

static void forget_done(void *arg, int code, struct bh_msg *take_reply) {
    struct bh_conn *conn = arg;

    (void)code;
    bh_msg_free(take_reply);
    pthread_mutex_lock(&conn->lock);
    conn->pending--;
    pthread_cond_broadcast(&conn->changed);
    pthread_mutex_unlock(&conn->lock);
}

static void hello_done(void *arg, int code, struct bh_msg *take_reply) {
    struct bh_conn *conn = arg;
    struct bh_frame_scratch scratch;
    struct bh_frame frame;
    struct bh_err err = BH_ERR_INIT;

    if (code == 0 && bh_frame_parse(bh_msg_data(take_reply), bh_msg_size(take_reply), &scratch, &frame, &err) == 0 &&
        frame.env->kind == BH_KIND(HELLO)) {
        pthread_mutex_lock(&conn->lock);
        conn->epoch = frame.env->epoch;
        pthread_cond_broadcast(&conn->changed);
        pthread_mutex_unlock(&conn->lock);
    }
    forget_done(conn, code, take_reply);
}

/* A frame without payload whose answer changes nothing but counts. */
static void send_aside(struct bh_conn *conn, Bulkhead__Rpc__V1__Kind kind, uint64_t call, bh_exchange_done *done) {
    bh_envelope env = BH_ENVELOPE_INIT;
    struct bh_msg *m;

    env.kind = kind;
    env.call = call;
    if (kind == BH_KIND(HELLO)) {
        env.proto_major = BH_PROTO_MAJOR;
        env.proto_minor = BH_PROTO_MINOR;
        env.max_chunk = BH_FRAME_MAX_CHUNK;
    }
    m = bh_frame_build(&env, NULL, 0);
    if (m == NULL)
        return;
    pthread_mutex_lock(&conn->lock);
    conn->pending++;
    pthread_mutex_unlock(&conn->lock);
    if (bh_exchange_start(conn->transport, m, done, conn, NULL) == 0)
        return;
    pthread_mutex_lock(&conn->lock);
    conn->pending--;
    pthread_mutex_unlock(&conn->lock);
}

void bh_conn_send_cancel(struct bh_conn *conn, uint64_t call) {
    send_aside(conn, BH_KIND(CANCEL), call, forget_done);
}

/* The service drops a stream that nobody asks about for 60 s; a reader that is slow still wants it. */
static void on_tick(void *self) {
    struct bh_conn *conn = self;
    uint64_t ids[64];
    unsigned n = 0;

    pthread_mutex_lock(&conn->lock);
    for (struct bh_stream *s = conn->streams; s != NULL && n < BH_ARRAY_LEN(ids); s = bh_stream_next_of(s))
        ids[n++] = bh_stream_id(s);
    conn->ticking = n > 0;
    pthread_mutex_unlock(&conn->lock);
    for (unsigned i = 0; i < n; i++)
        send_aside(conn, BH_KIND(HELLO), ids[i], hello_done);
    if (n > 0)
        bh_tclient_tick_in(conn->transport, KEEP_MS);
}

void bh_conn_keep_streams(struct bh_conn *conn) {
    bool start;

    pthread_mutex_lock(&conn->lock);
    start = !conn->ticking;
    conn->ticking = true;
    pthread_mutex_unlock(&conn->lock);
    if (start)
        bh_tclient_tick_in(conn->transport, KEEP_MS);
}

static void on_up(void *self) {
    send_aside(self, BH_KIND(HELLO), 0, hello_done);
}

static void on_down(void *self) {
    (void)self; /* every exchange of the connection ends by itself */
}

/* ---- life -------------------------------------------------------------------------------- */

int bh_conn_open(const char *dir, struct bh_conn **out, struct bh_err *err) {
    static const struct bh_tclient_events events = {.up = on_up, .down = on_down, .tick = on_tick};
    struct bh_conn *c = bh_xcalloc(1, sizeof *c);

    c->dir = bh_xstrdup(dir);
    c->path = bh_xasprintf("%s/rpc.sock", dir);
    pthread_mutex_init(&c->lock, NULL);
    bh_cond_init(&c->changed);
    if (bh_tclient_open(c->path, BH_FRAME_MAX_MESSAGE, &events, c, &c->transport, err) != 0) {
        free(c->dir);
        free(c->path);
        free(c);
        return err->code;
    }
    *out = c;
    return 0;
}

/* Closing while an answer is on its way is where nng 1.5.2 can hang (nng_compat.c), and a library cannot
 * mend that for its process: let what is under way end first. */
static void settle(struct bh_conn *conn) {
    int64_t until = bh_mono_ns() + BH_NSEC;

    pthread_mutex_lock(&conn->lock);
    while (conn->pending > 0 && bh_cond_wait_until(&conn->changed, &conn->lock, until))
        continue;
    pthread_mutex_unlock(&conn->lock);
}

void bh_conn_close(struct bh_conn *conn) {
    if (conn == NULL)
        return;
    settle(conn);
    bh_tclient_free(conn->transport);
    pthread_cond_destroy(&conn->changed);
    pthread_mutex_destroy(&conn->lock);
    free(conn->dir);
    free(conn->path);
    free(conn);
}

uint64_t bh_conn_epoch(struct bh_conn *conn) {
    uint64_t e;

    pthread_mutex_lock(&conn->lock);
    e = conn->epoch;
    pthread_mutex_unlock(&conn->lock);
    return e;
}

/* ---- one exchange, waited for -------------------------------------------------------------- */

static void waiter_done(void *arg, int code, struct bh_msg *take_reply) {
    struct bh_waiter *w = arg;

    pthread_mutex_lock(&w->lock);
    w->code = code;
    w->reply = take_reply;
    w->done = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* True when the time ran out first; the exchange has ended in both cases. */
static bool await(struct bh_waiter *w, struct bh_exchange *x, int64_t deadline_ns) {
    bool in_time = true;

    pthread_mutex_lock(&w->lock);
    while (!w->done && in_time)
        in_time = bh_cond_wait_until(&w->changed, &w->lock, deadline_ns);
    if (!w->done)
        bh_exchange_cancel(x); /* under our lock: x cannot end, and be reused, meanwhile */
    while (!w->done)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    return !in_time && w->code != 0;
}

int bh_conn_exchange(struct bh_conn *conn, struct bh_msg *take_msg, int64_t deadline_ns, struct bh_msg **out_reply,
                     struct bh_err *err) {
    struct bh_waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct bh_exchange *x = NULL;
    bool late;
    int rc;

    if (take_msg == NULL)
        return bh_err_set(err, BH_E_LIMIT, "call to %s: the request is larger than a message may be", conn->path);
    bh_cond_init(&w.changed);
    rc = bh_exchange_start(conn->transport, take_msg, waiter_done, &w, &x);
    if (rc != 0)
        return bh_conn_lost(conn, rc, err);
    late = await(&w, x, deadline_ns == 0 ? 0 : deadline_ns + GRACE_NS);
    pthread_cond_destroy(&w.changed);
    pthread_mutex_destroy(&w.lock);
    if (late)
        return bh_err_set(err, BH_E_DEADLINE, "call to %s: no answer in time", conn->path);
    if (w.code != 0)
        return bh_conn_lost(conn, w.code, err);
    *out_reply = w.reply;
    return 0;
}

/* ---- unary calls --------------------------------------------------------------------------- */

static int read_done(struct bh_msg *m, uint64_t id, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out,
                     struct bh_err *err) {
    struct bh_frame_scratch scratch;
    struct bh_frame frame;

    if (bh_frame_parse(bh_msg_data(m), bh_msg_size(m), &scratch, &frame, err) != 0)
        return err->code;
    if (frame.env->kind != BH_KIND(DONE) || frame.env->call != id)
        return bh_err_set(err, BH_E_INTERNAL, "the service answered with a frame of kind %d", (int)frame.env->kind);
    if (bh_done_error(frame.env, err) != 0)
        return err->code;
    return bh_reply_unpack(&frame, type, out, err);
}

static int call_once(struct bh_conn *conn, const char *method, const ProtobufCMessage *request,
                     const ProtobufCMessageDescriptor *type, int64_t deadline_ns, ProtobufCMessage **out,
                     struct bh_err *err) {
    bh_envelope env = BH_ENVELOPE_INIT;
    struct bh_msg *reply = NULL;
    int rc;

    if (bh_conn_ready(conn, deadline_ns, err) != 0)
        return err->code;
    env.kind = BH_KIND(OPEN);
    env.call = bh_conn_next_call(conn);
    env.method = (char *)method;
    if (deadline_ns != 0) {
        int64_t left = (deadline_ns - bh_mono_ns()) / (BH_NSEC / 1000);

        env.timeout_ms = left < 1 ? 1 : (uint32_t)left;
    }
    rc = bh_conn_exchange(conn, bh_frame_build_message(&env, request), deadline_ns, &reply, err);
    if (rc == BH_E_DEADLINE)
        bh_conn_send_cancel(conn, env.call);
    if (rc != 0)
        return bh_err_prefix(err, "%s", method);
    rc = read_done(reply, env.call, type, out, err);
    bh_msg_free(reply);
    return rc;
}

/* True once HELLO has shown that another instance of the service answers now. */
static bool restarted(struct bh_conn *conn, uint64_t old_epoch, int64_t deadline_ns) {
    struct bh_err err = BH_ERR_INIT;
    int64_t until = bh_mono_ns() + BH_NSEC;
    bool changed;

    if (bh_conn_ready(conn, deadline_ns, &err) != 0)
        return false;
    if (deadline_ns != 0 && deadline_ns < until)
        until = deadline_ns;
    pthread_mutex_lock(&conn->lock);
    while (conn->epoch == old_epoch && bh_cond_wait_until(&conn->changed, &conn->lock, until))
        continue;
    changed = conn->epoch != old_epoch;
    pthread_mutex_unlock(&conn->lock);
    return changed;
}

int bh_conn_call(struct bh_conn *conn, const char *method, const ProtobufCMessage *request,
                 const ProtobufCMessageDescriptor *reply_type, uint32_t timeout_ms, unsigned flags,
                 ProtobufCMessage **out_reply, struct bh_err *err) {
    int64_t deadline = bh_deadline_in(timeout_ms);
    uint64_t epoch = bh_conn_epoch(conn);
    int rc = call_once(conn, method, request, reply_type, deadline, out_reply, err);

    if (rc != BH_E_UNAVAILABLE || (flags & BH_CALL_IDEMPOTENT) == 0 || epoch == 0 || !restarted(conn, epoch, deadline))
        return rc;
    bh_err_clear(err);
    return call_once(conn, method, request, reply_type, deadline, out_reply, err);
}

void bh_scope_msg(ProtobufCMessage **msg) {
    if (*msg != NULL)
        protobuf_c_message_free_unpacked(*msg, NULL);
}
