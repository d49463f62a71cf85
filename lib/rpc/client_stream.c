/*
 * client_stream.c - a call that stays open: chunks by PULL and PUSH, descriptors by fd.sock, one end.
 *
 * Room: libbulkhead and the rooms that call the store.  Frames of the service are parsed as foreign
 * bytes; a chunk with a number that was not asked for ends the stream.  Callbacks come on nng's
 * threads and only fill slots.  See docs/protocol.md, "Streams".
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "rpc/client_priv.h"

#define WINDOW_DEFAULT 4
#define WINDOW_MAX     8
#define TOKEN_SIZE     16
#define GRACE_NS       (BH_NSEC / 20)

enum slot_state { FREE, ASKED, READY };

struct slot {
    struct bh_stream *s;
    struct bh_exchange *x;
    enum slot_state state;
    uint64_t seq;
    bool last;          /* the only request of the stream: its DONE ends the call at the service too */
    struct bh_msg *msg; /* READY */
    size_t offset, len;
};

struct bh_stream {
    struct bh_conn *conn;
    struct bh_stream *next, *prev;
    uint64_t id;
    int64_t deadline; /* monotonic, 0: none */
    unsigned window;
    pthread_mutex_t lock;
    pthread_cond_t changed;

    struct slot pull[WINDOW_MAX], push[WINDOW_MAX];
    uint64_t next_pull, next_recv, next_push;
    unsigned pushing, exchanges; /* under way */
    bool sent_end, sent_any;
    struct bh_msg *current; /* what the caller reads now */

    bool cancelled, finished, closed; /* closed: the service has forgotten the call */
    int failed;                       /* BH_E_*: no DONE will come */
    bool done;                        /* DONE has come: */
    uint64_t final_seq;               /* this many chunks exist */
    struct bh_err status;
    struct bh_msg *reply; /* frame of the DONE that has a payload */

    unsigned fds;
    uint8_t token[TOKEN_SIZE];
    bool has_token;
    int fd_conn;
};

uint64_t bh_stream_id(const struct bh_stream *s) {
    return s->id;
}

struct bh_stream *bh_stream_next_of(struct bh_stream *s) {
    return s->next;
}

static void link_stream(struct bh_stream *s) {
    struct bh_conn *c = s->conn;

    pthread_mutex_lock(&c->lock);
    s->next = c->streams;
    if (s->next != NULL)
        s->next->prev = s;
    c->streams = s;
    pthread_mutex_unlock(&c->lock);
    bh_conn_keep_streams(c);
}

static void unlink_stream(struct bh_stream *s) {
    struct bh_conn *c = s->conn;

    pthread_mutex_lock(&c->lock);
    if (s->prev != NULL)
        s->prev->next = s->next;
    else if (c->streams == s)
        c->streams = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    pthread_mutex_unlock(&c->lock);
}

/* ---- replies, on nng's threads; s->lock is held ----------------------------------------------- */

static void fail(struct bh_stream *s, int code) {
    if (s->failed == 0 && !s->done)
        s->failed = code;
}

static bool pull_under_way(const struct bh_stream *s) {
    for (unsigned i = 0; i < WINDOW_MAX; i++) {
        if (s->pull[i].state == ASKED)
            return true;
    }
    return false;
}

static void take_done(struct bh_stream *s, const struct bh_frame *f, struct bh_msg **msg, bool of_pull) {
    /* a call that ended with its last PULL may be forgotten before a PUSH arrives; the PULL tells more */
    if (!of_pull && bh_err_from_wire(f->env->status) == BH_E_NOT_FOUND && pull_under_way(s))
        return;
    if (!s->done) {
        s->done = true;
        s->final_seq = f->env->seq;
        bh_done_error(f->env, &s->status);
        /* the instance that knew this call is gone */
        if (s->status.code == BH_E_NOT_FOUND && strcmp(s->status.reason, "no-such-call") == 0)
            s->status.code = BH_E_ABORTED;
    }
    if (of_pull && s->reply == NULL)
        s->reply = bh_take_ptr(*msg);
}

static void start_pulls(struct bh_stream *s);

static bool parse(struct bh_stream *s, int code, struct bh_msg *msg, struct bh_frame_scratch *scratch,
                  struct bh_frame *f) {
    struct bh_err err = BH_ERR_INIT;

    if (code != 0) {
        fail(s, code);
        return false;
    }
    if (bh_frame_parse(bh_msg_data(msg), bh_msg_size(msg), scratch, f, &err) != 0 || f->env->call != s->id) {
        fail(s, BH_E_INTERNAL);
        return false;
    }
    return true;
}

static void pull_done(void *arg, int code, struct bh_msg *take_reply) {
    struct slot *p = arg;
    struct bh_stream *s = p->s;
    struct bh_frame_scratch scratch;
    struct bh_frame f;

    pthread_mutex_lock(&s->lock);
    p->x = NULL;
    p->state = FREE;
    if (!parse(s, code, take_reply, &scratch, &f)) {
        /* the reason is kept */
    } else if (f.env->kind == BH_KIND(DATA) && f.env->seq == p->seq) {
        p->state = READY;
        p->offset = (size_t)(f.payload - bh_msg_data(take_reply));
        p->len = f.payload_len;
        p->msg = bh_take_ptr(take_reply);
    } else if (f.env->kind == BH_KIND(DONE)) {
        take_done(s, &f, &take_reply, true);
        s->closed = s->closed || p->last;
    } else if (f.env->kind != BH_KIND(IDLE)) { /* after IDLE the slot is asked for again */
        fail(s, BH_E_INTERNAL);
    }
    if (!s->cancelled && !s->finished)
        start_pulls(s);
    s->exchanges--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    bh_msg_free(take_reply);
}

static void push_done(void *arg, int code, struct bh_msg *take_reply) {
    struct slot *p = arg;
    struct bh_stream *s = p->s;
    struct bh_frame_scratch scratch;
    struct bh_frame f;

    pthread_mutex_lock(&s->lock);
    p->x = NULL;
    p->state = FREE;
    if (parse(s, code, take_reply, &scratch, &f)) {
        if (f.env->kind == BH_KIND(DONE))
            take_done(s, &f, &take_reply, false);
        else if (f.env->kind != BH_KIND(ACK))
            fail(s, BH_E_INTERNAL);
    }
    s->pushing--;
    s->exchanges--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    bh_msg_free(take_reply);
}

/* ---- requests ------------------------------------------------------------------------------ */

static int start_pull(struct bh_stream *s, struct slot *p, uint64_t seq) {
    bh_envelope env = BH_ENVELOPE_INIT;
    struct bh_msg *m;
    int rc = BH_E_LIMIT;

    env.kind = BH_KIND(PULL);
    env.call = s->id;
    env.seq = seq;
    env.end = p->last = s->window == 1 && !s->sent_any;
    m = bh_frame_build(&env, NULL, 0);
    p->s = s;
    p->seq = seq;
    p->state = ASKED;
    s->exchanges++;
    if (m != NULL)
        rc = bh_exchange_start(s->conn->transport, m, pull_done, p, &p->x);
    if (rc != 0) {
        s->exchanges--;
        p->state = FREE;
        p->x = NULL;
        fail(s, rc);
    }
    return rc;
}

/* Ask for every chunk of the window that has not been asked for; s->lock is held. */
static void start_pulls(struct bh_stream *s) {
    for (uint64_t seq = s->next_recv; seq < s->next_recv + s->window; seq++) {
        struct slot *p = &s->pull[seq % WINDOW_MAX];

        if (s->done || s->failed != 0 || s->cancelled)
            return;
        if (p->state == FREE && start_pull(s, p, seq) != 0)
            return;
    }
}

static int stream_error(struct bh_stream *s, struct bh_err *err) {
    if (s->cancelled)
        return bh_err_set(err, BH_E_CANCELLED, "stream of %s: cancelled", s->conn->path);
    if (s->failed == BH_E_DEADLINE)
        return bh_err_set(err, BH_E_DEADLINE, "stream of %s: no answer in time", s->conn->path);
    if (s->failed == BH_E_INTERNAL)
        return bh_err_set(err, BH_E_INTERNAL, "stream of %s: the service broke the protocol", s->conn->path);
    return bh_conn_lost(s->conn, s->failed, err);
}

/* Waits for a change; false when the deadline has passed. s->lock is held. */
static bool wait_change(struct bh_stream *s) {
    if (bh_cond_wait_until(&s->changed, &s->lock, s->deadline == 0 ? 0 : s->deadline + GRACE_NS))
        return true;
    fail(s, BH_E_DEADLINE);
    return false;
}

/* ---- descriptors --------------------------------------------------------------------------- */

static int connect_fds(struct bh_stream *s, const int *fds, unsigned n, struct bh_err *err) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    BH_SCOPE_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (!s->has_token)
        return bh_err_set(err, BH_E_INTERNAL, "stream of %s: the service gave no token for descriptors", s->conn->path);
    if (fd < 0)
        return bh_err_errno(err, errno, "make a socket for descriptors");
    if ((size_t)snprintf(addr.sun_path, sizeof addr.sun_path, "%s/fd.sock", s->conn->dir) >= sizeof addr.sun_path)
        return bh_err_set(err, BH_E_INVALID, "socket path %s/fd.sock: longer than 107 bytes", s->conn->dir);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0)
        return bh_err_errno(err, errno, "connect to %s", addr.sun_path);
    if (bh_fdpass_send(fd, s->token, sizeof s->token, fds, n, err) != 0)
        return bh_err_prefix(err, "%s", addr.sun_path);
    s->has_token = false;
    pthread_mutex_lock(&s->lock);
    s->fd_conn = bh_take_fd(&fd);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

int bh_stream_send_fds(struct bh_stream *s, const int *fds, unsigned n, struct bh_err *err) {
    if ((s->fds & 1) == 0)
        return bh_err_set(err, BH_E_INVALID, "stream of %s: opened without descriptors announced", s->conn->path);
    if (s->fd_conn >= 0)
        return bh_err_set(err, BH_E_INVALID, "stream of %s: its descriptors were sent already", s->conn->path);
    return connect_fds(s, fds, n, err);
}

/* Why no descriptors will come: the call has ended, or the time is over. */
static int no_fds(struct bh_stream *s, struct bh_err *err) {
    int rc = 0;

    pthread_mutex_lock(&s->lock);
    if (s->cancelled || (s->failed != 0 && !s->done))
        rc = stream_error(s, err);
    else if (s->done && s->status.code != 0) {
        *err = s->status;
        rc = err->code;
    } else if (s->deadline != 0 && bh_mono_ns() > s->deadline + GRACE_NS)
        rc = bh_err_set(err, BH_E_DEADLINE, "stream of %s: no descriptors in time", s->conn->path);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int bh_stream_recv_fds(struct bh_stream *s, int *fds, unsigned max, unsigned *out_n, struct bh_err *err) {
    struct pollfd v = {.events = POLLIN};
    uint8_t mark;
    size_t got;

    if ((s->fds & 2) == 0)
        return bh_err_set(err, BH_E_INVALID, "stream of %s: opened without descriptors expected", s->conn->path);
    if (s->fd_conn < 0 && connect_fds(s, NULL, 0, err) != 0)
        return err->code;
    v.fd = s->fd_conn;
    while (poll(&v, 1, 50) == 0) {
        if (no_fds(s, err) != 0)
            return err->code;
    }
    if (bh_fdpass_recv(s->fd_conn, &mark, 1, &got, fds, max, out_n, err) != 0)
        return bh_err_prefix(err, "%s/fd.sock", s->conn->dir);
    if (got > 0)
        return 0;
    if (no_fds(s, err) != 0)
        return err->code;
    return bh_err_set(err, BH_E_ABORTED, "stream of %s: the service ended without sending descriptors", s->conn->path);
}

/* ---- open ---------------------------------------------------------------------------------- */

static int read_accepted(struct bh_stream *s, struct bh_msg *m, struct bh_err *err) {
    struct bh_frame_scratch scratch;
    struct bh_frame f;

    if (bh_frame_parse(bh_msg_data(m), bh_msg_size(m), &scratch, &f, err) != 0)
        return err->code;
    if (f.env->kind == BH_KIND(DONE) && bh_done_error(f.env, err) != 0)
        return err->code;
    if (f.env->kind != BH_KIND(ACCEPTED) || f.env->call != s->id)
        return bh_err_set(err, BH_E_INTERNAL, "the service answered OPEN with a frame of kind %d", (int)f.env->kind);
    s->has_token = f.env->token.len == TOKEN_SIZE;
    if (s->has_token)
        memcpy(s->token, f.env->token.data, TOKEN_SIZE);
    return 0;
}

static int send_open(struct bh_stream *s, const char *method, const ProtobufCMessage *request, uint32_t timeout_ms,
                     struct bh_err *err) {
    bh_envelope env = BH_ENVELOPE_INIT;
    struct bh_msg *reply = NULL;
    int rc;

    if (bh_conn_ready(s->conn, s->deadline, err) != 0)
        return err->code;
    env.kind = BH_KIND(OPEN);
    env.call = s->id;
    env.method = (char *)method;
    env.timeout_ms = timeout_ms;
    env.stream = true;
    env.fds = s->fds;
    rc = bh_conn_exchange(s->conn, bh_frame_build_message(&env, request), s->deadline, &reply, err);
    if (rc == BH_E_DEADLINE)
        bh_conn_send_cancel(s->conn, s->id);
    if (rc != 0)
        return bh_err_prefix(err, "%s", method);
    rc = read_accepted(s, reply, err);
    bh_msg_free(reply);
    return rc;
}

static void stream_destroy(struct bh_stream *s) {
    for (unsigned i = 0; i < WINDOW_MAX; i++)
        bh_msg_free(s->pull[i].msg);
    bh_msg_free(s->current);
    bh_msg_free(s->reply);
    if (s->fd_conn >= 0)
        close(s->fd_conn);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static unsigned window_of(const struct bh_stream_options *o, bool fds) {
    if (o->window == 0)
        return fds ? 1 : WINDOW_DEFAULT;
    return o->window > WINDOW_MAX ? WINDOW_MAX : o->window;
}

int bh_stream_open(struct bh_conn *conn, const char *method, const ProtobufCMessage *request,
                   const struct bh_stream_options *options, struct bh_stream **out, struct bh_err *err) {
    static const struct bh_stream_options none = {0};
    struct bh_stream *s = bh_xcalloc(1, sizeof *s);

    if (options == NULL)
        options = &none;
    s->conn = conn;
    s->id = bh_conn_next_call(conn);
    s->fds = (options->announce_fds ? 1u : 0u) | (options->expect_fds ? 2u : 0u);
    s->window = window_of(options, s->fds != 0);
    s->deadline = bh_deadline_in(options->timeout_ms);
    s->fd_conn = -1;
    pthread_mutex_init(&s->lock, NULL);
    bh_cond_init(&s->changed);
    if (send_open(s, method, request, options->timeout_ms, err) != 0) {
        stream_destroy(s);
        return err->code;
    }
    link_stream(s);
    if (s->fds != 0) { /* mostly a short call: its end shall not cost a round trip more */
        pthread_mutex_lock(&s->lock);
        start_pulls(s);
        pthread_mutex_unlock(&s->lock);
    }
    *out = s;
    return 0;
}

/* ---- chunks -------------------------------------------------------------------------------- */

/* The service was done before this side was: its own error is the better word, and there is nothing left to close. */
static int push_after_done(const struct bh_stream *s, bool end, struct bh_err *err) {
    if (s->status.code != 0) {
        *err = s->status;
        return err->code;
    }
    return end ? 0 : bh_err_set(err, BH_E_ABORTED, "stream of %s: the service has ended the call", s->conn->path);
}

static int push_chunk(struct bh_stream *s, const void *data, size_t n, bool end, struct bh_err *err) {
    bh_envelope env = BH_ENVELOPE_INIT;
    struct slot *p;
    struct bh_msg *m;
    int rc;

    pthread_mutex_lock(&s->lock);
    while (!s->cancelled && !s->done && s->failed == 0 &&
           (s->pushing >= s->window || s->push[s->next_push % WINDOW_MAX].state != FREE))
        wait_change(s);
    if (s->cancelled || s->failed != 0) {
        rc = stream_error(s, err);
        pthread_mutex_unlock(&s->lock);
        return rc;
    }
    if (s->done) {
        rc = push_after_done(s, end, err);
        pthread_mutex_unlock(&s->lock);
        return rc;
    }
    p = &s->push[s->next_push % WINDOW_MAX];
    p->s = s;
    p->state = ASKED;
    p->seq = s->next_push++;
    s->pushing++;
    s->exchanges++;
    s->sent_any = true;
    s->sent_end = s->sent_end || end;
    env.kind = BH_KIND(PUSH);
    env.call = s->id;
    env.seq = p->seq;
    env.end = end;
    pthread_mutex_unlock(&s->lock);

    m = bh_frame_build(&env, data, n);
    rc = m == NULL ? BH_E_LIMIT : bh_exchange_start(s->conn->transport, m, push_done, p, NULL);
    if (rc == 0)
        return 0;
    pthread_mutex_lock(&s->lock);
    p->state = FREE;
    s->pushing--;
    s->exchanges--;
    fail(s, rc);
    rc = stream_error(s, err);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int bh_stream_send(struct bh_stream *s, const void *data, size_t n, struct bh_err *err) {
    const uint8_t *from = data;

    if (s->sent_end)
        return bh_err_set(err, BH_E_INVALID, "stream of %s: this side is closed already", s->conn->path);
    while (n > 0) {
        size_t part = n < BH_FRAME_MAX_CHUNK ? n : BH_FRAME_MAX_CHUNK;

        if (push_chunk(s, from, part, false, err) != 0)
            return err->code;
        from += part;
        n -= part;
    }
    return 0;
}

int bh_stream_close_send(struct bh_stream *s, struct bh_err *err) {
    return s->sent_end ? 0 : push_chunk(s, NULL, 0, true, err);
}

int bh_stream_recv(struct bh_stream *s, const void **out, size_t *out_n, struct bh_err *err) {
    struct slot *p;
    int rc = 0;

    *out = NULL;
    *out_n = 0;
    pthread_mutex_lock(&s->lock);
    bh_msg_free(bh_take_ptr(s->current));
    p = &s->pull[s->next_recv % WINDOW_MAX];
    for (;;) {
        start_pulls(s);
        if (p->state == READY && !s->cancelled) {
            s->current = bh_take_ptr(p->msg);
            *out = bh_msg_data(s->current) + p->offset;
            *out_n = p->len;
            p->state = FREE;
            s->next_recv++;
            start_pulls(s);
            break;
        }
        if (s->done && !s->cancelled && (s->next_recv >= s->final_seq || s->exchanges == 0))
            break;
        if (s->cancelled || s->failed != 0) {
            rc = stream_error(s, err);
            break;
        }
        wait_change(s);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* ---- end ----------------------------------------------------------------------------------- */

static void drop_ready(struct bh_stream *s) {
    struct slot *p;

    while ((p = &s->pull[s->next_recv % WINDOW_MAX])->state == READY) {
        bh_msg_free(bh_take_ptr(p->msg));
        p->state = FREE;
        s->next_recv++;
    }
}

/* Waits for a DONE that answers a PULL: that one carries the reply. */
static int await_done(struct bh_stream *s, struct bh_err *err) {
    int rc = 0;

    pthread_mutex_lock(&s->lock);
    while (s->failed == 0 && !s->cancelled && (!s->done || (s->status.code == 0 && s->reply == NULL))) {
        drop_ready(s);
        if (s->done && s->exchanges == 0 && start_pull(s, &s->pull[s->next_recv % WINDOW_MAX], s->next_recv) != 0)
            break;
        start_pulls(s);
        wait_change(s);
    }
    if (s->cancelled || (s->failed != 0 && !s->done))
        rc = stream_error(s, err);
    else if (s->status.code != 0) {
        *err = s->status;
        rc = err->code;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static int unpack_reply(struct bh_stream *s, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out,
                        struct bh_err *err) {
    struct bh_frame_scratch scratch;
    struct bh_frame f;

    if (out == NULL || type == NULL)
        return 0;
    *out = NULL;
    if (s->reply == NULL)
        return 0;
    if (bh_frame_parse(bh_msg_data(s->reply), bh_msg_size(s->reply), &scratch, &f, err) != 0)
        return err->code;
    return bh_reply_unpack(&f, type, out, err);
}

/* Every exchange still under way is called back, so that the stream's memory can go. */
static void settle(struct bh_stream *s) {
    pthread_mutex_lock(&s->lock);
    s->finished = true;
    for (unsigned i = 0; i < WINDOW_MAX; i++) {
        if (s->pull[i].x != NULL)
            bh_exchange_cancel(s->pull[i].x);
        if (s->push[i].x != NULL)
            bh_exchange_cancel(s->push[i].x);
    }
    while (s->exchanges > 0)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

/* Must the service be told that nobody will ask about the call again? */
static bool still_known(struct bh_stream *s) {
    bool known;

    pthread_mutex_lock(&s->lock);
    known = !s->cancelled && !s->closed && s->failed != BH_E_UNAVAILABLE;
    pthread_mutex_unlock(&s->lock);
    return known;
}

int bh_stream_finish(struct bh_stream *s, const ProtobufCMessageDescriptor *reply_type, ProtobufCMessage **out_reply,
                     struct bh_err *err) {
    struct bh_err ignored = BH_ERR_INIT;
    int rc;

    if (out_reply != NULL)
        *out_reply = NULL;
    if (s->sent_any && !s->sent_end)
        (void)bh_stream_close_send(s, &ignored); /* what it did not take, its status tells */
    rc = await_done(s, err);
    if (still_known(s))
        bh_conn_send_cancel(s->conn, s->id);
    settle(s);
    return rc != 0 ? rc : unpack_reply(s, reply_type, out_reply, err);
}

void bh_stream_cancel(struct bh_stream *s) {
    bool first;

    pthread_mutex_lock(&s->lock);
    first = !s->cancelled && !s->finished;
    if (first)
        s->cancelled = true;
    pthread_cond_broadcast(&s->changed);
    if (s->fd_conn >= 0)
        shutdown(s->fd_conn, SHUT_RDWR); /* a receive of descriptors returns */
    pthread_mutex_unlock(&s->lock);
    if (first)
        bh_conn_send_cancel(s->conn, s->id);
}

void bh_stream_free(struct bh_stream *s) {
    if (s == NULL)
        return;
    if (!s->finished)
        bh_stream_cancel(s);
    settle(s);
    unlink_stream(s);
    stream_destroy(s);
}

void bh_scope_stream(struct bh_stream **s) {
    bh_stream_free(*s);
}
