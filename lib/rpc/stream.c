/*
 * stream.c - the two directions of a stream, as slots that the client fills with its requests.
 *
 * Room: every room that serves.  A PULL that waits in a slot is the client's permission to send one
 * chunk; a PUSH that waits in a slot is a chunk that the handler has not taken.  There is no queue
 * besides these, so a slow side stops the other one (docs/protocol.md, "Streams").
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rpc/server_priv.h"

/* ---- requests of the client; the lock is held --------------------------------------------- */

static void refuse(struct bh_call *c, struct bh_slot *slot, const char *what, uint64_t seq, struct bh_outbox *o) {
    struct bh_err err = BH_ERR_INIT;

    bh_err_set(&err, BH_E_INVALID, "%s %llu: outside the window or sent twice", what, (unsigned long long)seq);
    bh_outbox_add(c->server, o, c->peer, slot, bh_done_frame(c->id, err.code, &err, c->out_seq));
}

void bh_stream_pull(struct bh_call *c, const bh_envelope *env, struct bh_slot *slot, struct bh_outbox *o) {
    uint64_t seq = env->seq;
    struct bh_pull *p = &c->pull[seq % BH_WINDOW];

    c->active = bh_mono_ns();
    if (c->ended || c->state == CALL_FINISHED) {
        c->use->held++;
        bh_call_answer_done(c, &slot, true, o);
        c->closed = c->closed || env->end;
        if (c->closed && c->state == CALL_FINISHED)
            bh_call_free(c);
        return;
    }
    if (seq < c->out_seq || seq - c->out_seq >= BH_WINDOW || p->slot != NULL) {
        refuse(c, slot, "PULL", seq, o);
        return;
    }
    c->use->held++;
    p->slot = slot;
    p->since = c->active;
    p->last = env->end;
    pthread_cond_broadcast(&c->changed);
}

void bh_stream_push(struct bh_call *c, const bh_envelope *env, struct bh_slot *slot, struct bh_msg *take_msg,
                    size_t offset, size_t len, struct bh_outbox *o) {
    uint64_t seq = env->seq;
    struct bh_push *p = &c->push[seq % BH_WINDOW];

    c->active = bh_mono_ns();
    if (c->ended || c->state == CALL_FINISHED) {
        bh_msg_free(take_msg);
        c->use->held++;
        bh_call_answer_done(c, &slot, false, o);
        return;
    }
    if (seq < c->in_seq || seq - c->in_seq >= BH_WINDOW || p->slot != NULL || c->in_end ||
        c->peer->parked + len > BH_PARKED_MAX) {
        bh_msg_free(take_msg);
        refuse(c, slot, "PUSH", seq, o);
        return;
    }
    c->use->held++;
    c->peer->parked += len;
    *p = (struct bh_push){.slot = slot, .msg = take_msg, .offset = offset, .len = len, .end = env->end};
    pthread_cond_broadcast(&c->changed);
}

static void drop_push(struct bh_call *c, struct bh_push *p) {
    if (c->peer != NULL)
        c->peer->parked -= p->len;
    bh_msg_free(bh_take_ptr(p->msg));
}

void bh_stream_answer_all(struct bh_call *c, struct bh_outbox *o) {
    for (unsigned i = 0; i < BH_WINDOW; i++) {
        if (c->pull[i].slot != NULL) {
            c->closed = c->closed || c->pull[i].last;
            bh_call_answer_done(c, &c->pull[i].slot, true, o);
        }
        if (c->push[i].slot != NULL) {
            drop_push(c, &c->push[i]);
            bh_call_answer_done(c, &c->push[i].slot, false, o);
        }
    }
}

bool bh_stream_parked(const struct bh_call *c) {
    for (unsigned i = 0; i < BH_WINDOW; i++) {
        if (c->pull[i].slot != NULL || c->push[i].slot != NULL)
            return true;
    }
    return false;
}

int64_t bh_stream_next(const struct bh_call *c) {
    int64_t next = INT64_MAX;

    for (unsigned i = 0; i < BH_WINDOW; i++) {
        if (c->pull[i].slot != NULL && c->pull[i].since + BH_PULL_HOLD_NS < next)
            next = c->pull[i].since + BH_PULL_HOLD_NS;
    }
    return next;
}

/* So that a peer behind a cut cable is noticed, no request is held for ever. */
void bh_stream_idle(struct bh_call *c, int64_t now, struct bh_outbox *o) {
    for (unsigned i = 0; i < BH_WINDOW; i++) {
        bh_envelope env = BH_ENVELOPE_INIT;

        if (c->pull[i].slot == NULL || c->pull[i].since + BH_PULL_HOLD_NS > now)
            continue;
        env.kind = BH_KIND(IDLE);
        env.call = c->id;
        env.seq = c->out_seq + (i + BH_WINDOW - c->out_seq % BH_WINDOW) % BH_WINDOW;
        bh_call_answer(c, &c->pull[i].slot, bh_frame_build(&env, NULL, 0), o);
    }
}

/* ---- for handlers ------------------------------------------------------------------------ */

static int ended_error(const struct bh_call *c, struct bh_err *err) {
    *err = c->err;
    return c->err.code;
}

/* Sends one reserved frame as the next chunk, once the client has asked for it. */
static int send_chunk(struct bh_call *c, struct bh_msg *take_msg, struct bh_err *err) {
    struct bh_server *s = c->server;
    struct bh_outbox o = {0};
    bh_envelope env = BH_ENVELOPE_INIT;
    struct bh_pull *p;

    pthread_mutex_lock(&s->lock);
    p = &c->pull[c->out_seq % BH_WINDOW];
    while (!c->ended && p->slot == NULL)
        pthread_cond_wait(&c->changed, &s->lock);
    if (c->ended) {
        ended_error(c, err);
        pthread_mutex_unlock(&s->lock);
        bh_msg_free(take_msg);
        return err->code;
    }
    env.kind = BH_KIND(DATA);
    env.call = c->id;
    env.seq = c->out_seq++;
    bh_frame_fill(take_msg, &env);
    c->active = bh_mono_ns();
    bh_call_answer(c, &p->slot, take_msg, &o);
    pthread_mutex_unlock(&s->lock);
    bh_outbox_flush(s, &o);
    return 0;
}

static int no_stream(const struct bh_call *c, struct bh_err *err) {
    return bh_err_set(err, BH_E_INVALID, "%s: the call was not opened as a stream", c->method->name);
}

int bh_call_send_bytes(struct bh_call *call, const void *data, size_t n, struct bh_err *err) {
    const uint8_t *from = data;

    if (!call->stream)
        return no_stream(call, err);
    while (n > 0) {
        size_t part = n < BH_FRAME_MAX_CHUNK ? n : BH_FRAME_MAX_CHUNK;
        uint8_t *at;
        struct bh_msg *m = bh_frame_reserve(part, &at);

        if (m == NULL)
            return bh_err_set(err, BH_E_LIMIT, "%s: no memory for a chunk", call->method->name);
        memcpy(at, from, part);
        if (send_chunk(call, m, err) != 0)
            return err->code;
        from += part;
        n -= part;
    }
    return 0;
}

int bh_call_send_msg(struct bh_call *call, const ProtobufCMessage *msg, struct bh_err *err) {
    size_t n = protobuf_c_message_get_packed_size(msg);
    struct bh_msg *m;
    uint8_t *at;

    if (!call->stream)
        return no_stream(call, err);
    if (n > BH_FRAME_MAX_CHUNK)
        return bh_err_set(err, BH_E_LIMIT, "%s: a message of %zu bytes, a chunk may have %zu", call->method->name, n,
                          BH_FRAME_MAX_CHUNK);
    m = bh_frame_reserve(n, &at);
    if (m == NULL)
        return bh_err_set(err, BH_E_LIMIT, "%s: no memory for a chunk", call->method->name);
    protobuf_c_message_pack(msg, at);
    return send_chunk(call, m, err);
}

/* Takes the next PUSH out of its slot; its ACK is the client's permission for another one. */
static void take_push(struct bh_call *c, struct bh_push *p, struct bh_push *out, struct bh_outbox *o) {
    bh_envelope env = BH_ENVELOPE_INIT;

    *out = *p;
    if (c->peer != NULL)
        c->peer->parked -= p->len;
    p->msg = NULL;
    env.kind = BH_KIND(ACK);
    env.call = c->id;
    env.seq = c->in_seq++;
    c->active = bh_mono_ns();
    if (out->end)
        c->in_end = true;
    bh_call_answer(c, &p->slot, bh_frame_build(&env, NULL, 0), o);
}

static int next_push(struct bh_call *c, struct bh_push *out, struct bh_err *err) {
    struct bh_server *s = c->server;
    struct bh_outbox o = {0};
    struct bh_push *p;
    int rc = 0;

    pthread_mutex_lock(&s->lock);
    p = &c->push[c->in_seq % BH_WINDOW];
    while (!c->ended && !c->in_end && !c->deaf && p->slot == NULL)
        pthread_cond_wait(&c->changed, &s->lock);
    if (c->ended)
        rc = ended_error(c, err);
    else if (p->slot != NULL && !c->deaf)
        take_push(c, p, out, &o);
    pthread_mutex_unlock(&s->lock);
    bh_outbox_flush(s, &o);
    return rc;
}

int bh_call_recv_bytes(struct bh_call *call, const void **out, size_t *out_n, struct bh_err *err) {
    if (!call->stream)
        return no_stream(call, err);
    bh_msg_free(bh_take_ptr(call->current));
    for (;;) {
        struct bh_push p = {0};

        if (next_push(call, &p, err) != 0)
            return err->code;
        if (p.msg == NULL || (p.end && p.len == 0)) {
            bh_msg_free(p.msg);
            *out = NULL;
            *out_n = 0;
            return 0;
        }
        if (p.len == 0) {
            bh_msg_free(p.msg); /* nothing in it: only a sign of life */
            continue;
        }
        call->current = p.msg;
        *out = bh_msg_data(p.msg) + p.offset;
        *out_n = p.len;
        return 0;
    }
}

void bh_call_stop_recv(struct bh_call *call) {
    pthread_mutex_lock(&call->server->lock);
    call->deaf = true;
    pthread_cond_broadcast(&call->changed);
    pthread_mutex_unlock(&call->server->lock);
}
