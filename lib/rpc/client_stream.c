/*
 * client_stream.c - a call that stays open: opened, read and written in chunks, ended.
 *
 * Room: libbulkhead and the rooms that call the store.  Chunks travel by PULL and PUSH (client_window.c), descriptors
 * by fd.sock (client_fds.c).  See docs/protocol.md, "Streams".
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"
#include "rpc/client_stream_priv.h"

#define WINDOW_DEFAULT 4

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

int bh_stream_error(struct bh_stream *s, struct bh_err *err) {
    if (s->cancelled)
        return bh_err_set(err, BH_E_CANCELLED, "stream of %s: cancelled", s->conn->path);
    if (s->failed == BH_E_DEADLINE)
        return bh_err_set(err, BH_E_DEADLINE, "stream of %s: no answer in time", s->conn->path);
    if (s->failed == BH_E_INTERNAL)
        return bh_err_set(err, BH_E_INTERNAL, "stream of %s: the service broke the protocol", s->conn->path);
    return bh_conn_lost(s->conn, s->failed, err);
}

bool bh_stream_wait(struct bh_stream *s) {
    if (bh_cond_wait_until(&s->changed, &s->lock, s->deadline == 0 ? 0 : s->deadline + BH_STREAM_GRACE_NS))
        return true;
    bh_stream_fail(s, BH_E_DEADLINE);
    return false;
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
    s->has_token = f.env->token.len == BH_STREAM_TOKEN_SIZE;
    if (s->has_token)
        memcpy(s->token, f.env->token.data, BH_STREAM_TOKEN_SIZE);
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
    for (unsigned i = 0; i < BH_STREAM_WINDOW_MAX; i++)
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
    return o->window > BH_STREAM_WINDOW_MAX ? BH_STREAM_WINDOW_MAX : o->window;
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
        bh_window_pull_ahead(s);
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
    struct bh_slot *p;
    struct bh_msg *m;
    int rc;

    pthread_mutex_lock(&s->lock);
    while (!s->cancelled && !s->done && s->failed == 0 &&
           (s->pushing >= s->window || s->push[s->next_push % BH_STREAM_WINDOW_MAX].state != BH_SLOT_FREE))
        bh_stream_wait(s);
    if (s->cancelled || s->failed != 0) {
        rc = bh_stream_error(s, err);
        pthread_mutex_unlock(&s->lock);
        return rc;
    }
    if (s->done) {
        rc = push_after_done(s, end, err);
        pthread_mutex_unlock(&s->lock);
        return rc;
    }
    p = &s->push[s->next_push % BH_STREAM_WINDOW_MAX];
    p->s = s;
    p->state = BH_SLOT_ASKED;
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
    rc = m == NULL ? BH_E_LIMIT : bh_exchange_start(s->conn->transport, m, bh_window_push_done, p, NULL);
    if (rc == 0)
        return 0;
    pthread_mutex_lock(&s->lock);
    p->state = BH_SLOT_FREE;
    s->pushing--;
    s->exchanges--;
    bh_stream_fail(s, rc);
    rc = bh_stream_error(s, err);
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
    struct bh_slot *p;
    int rc = 0;

    *out = NULL;
    *out_n = 0;
    pthread_mutex_lock(&s->lock);
    bh_msg_free(bh_take_ptr(s->current));
    p = &s->pull[s->next_recv % BH_STREAM_WINDOW_MAX];
    for (;;) {
        bh_window_pull_ahead(s);
        if (p->state == BH_SLOT_READY && !s->cancelled) {
            s->current = bh_take_ptr(p->msg);
            *out = bh_msg_data(s->current) + p->offset;
            *out_n = p->len;
            p->state = BH_SLOT_FREE;
            s->next_recv++;
            bh_window_pull_ahead(s);
            break;
        }
        if (s->done && !s->cancelled && (s->next_recv >= s->final_seq || s->exchanges == 0))
            break;
        if (s->cancelled || s->failed != 0) {
            rc = bh_stream_error(s, err);
            break;
        }
        bh_stream_wait(s);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* ---- end ----------------------------------------------------------------------------------- */

static void drop_ready(struct bh_stream *s) {
    struct bh_slot *p;

    while ((p = &s->pull[s->next_recv % BH_STREAM_WINDOW_MAX])->state == BH_SLOT_READY) {
        bh_msg_free(bh_take_ptr(p->msg));
        p->state = BH_SLOT_FREE;
        s->next_recv++;
    }
}

/* Waits for a DONE that answers a PULL: that one carries the reply. */
static int await_done(struct bh_stream *s, struct bh_err *err) {
    int rc = 0;

    pthread_mutex_lock(&s->lock);
    while (s->failed == 0 && !s->cancelled && (!s->done || (s->status.code == 0 && s->reply == NULL))) {
        drop_ready(s);
        if (s->done && s->exchanges == 0 &&
            bh_window_pull(s, &s->pull[s->next_recv % BH_STREAM_WINDOW_MAX], s->next_recv) != 0)
            break;
        bh_window_pull_ahead(s);
        bh_stream_wait(s);
    }
    if (s->cancelled || (s->failed != 0 && !s->done))
        rc = bh_stream_error(s, err);
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
    for (unsigned i = 0; i < BH_STREAM_WINDOW_MAX; i++) {
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
