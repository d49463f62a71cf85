/*
 * call.c - one call: its birth, its end, and what a handler may ask of it.
 *
 * Room: every room that serves.  Trusts its own server; what the client said was checked by the
 * dispatcher.  The public functions run on the handler's thread and take the server's lock
 * themselves; the bh_call_* functions of server_priv.h are called with it held.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"
#include "common.pb-c.h"
#include "rpc/server_priv.h"

/* ---- frames ------------------------------------------------------------------------------ */

struct bh_msg *bh_done_frame(uint64_t id, int status, const struct bh_err *err, uint64_t seq) {
    bh_envelope env = BH_ENVELOPE_INIT;
    Bulkhead__Common__V1__ErrorDetail detail = BULKHEAD__COMMON__V1__ERROR_DETAIL__INIT;
    uint8_t packed[512];

    env.kind = BH_KIND(DONE);
    env.call = id;
    env.seq = seq;
    env.status = bh_err_to_wire(status);
    if (status != 0 && err != NULL) {
        env.message = (char *)err->msg;
        detail.reason = (char *)err->reason;
        detail.hint = (char *)err->hint;
        env.detail.len = bulkhead__common__v1__error_detail__pack(&detail, packed);
        env.detail.data = packed;
    }
    return bh_frame_build(&env, NULL, 0);
}

static struct bh_msg *copy_reply(struct bh_call *c) {
    uint8_t *at;
    size_t n = bh_msg_size(c->reply) - BH_FRAME_RESERVE;
    struct bh_msg *m = bh_frame_reserve(n, &at);

    if (m != NULL && n > 0)
        memcpy(at, bh_msg_data(c->reply) + BH_FRAME_RESERVE, n);
    return m;
}

/* DONE of a call that has succeeded and has a reply. */
static struct bh_msg *reply_frame(struct bh_call *c) {
    bh_envelope env = BH_ENVELOPE_INIT;
    struct bh_msg *m = c->stream ? copy_reply(c) : bh_take_ptr(c->reply);

    env.kind = BH_KIND(DONE);
    env.call = c->id;
    env.seq = c->out_seq;
    if (m != NULL)
        bh_frame_fill(m, &env);
    return m;
}

/* ---- life -------------------------------------------------------------------------------- */

struct bh_call *bh_call_new(struct bh_server *s, struct bh_peer_link *p) {
    struct bh_call *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->server = s;
    c->peer = p;
    c->use = p->use;
    c->who = p->who;
    c->cancel_fd = c->fd_conn = -1;
    c->opened = c->active = bh_mono_ns();
    bh_cond_init(&c->changed);
    DL_APPEND(p->calls, c);
    DL_APPEND2(s->calls, c, all_prev, all_next);
    p->n_calls++;
    s->n_calls++;
    c->use->calls++;
    return c;
}

static void detach(struct bh_call *c) {
    if (c->peer == NULL)
        return;
    DL_DELETE(c->peer->calls, c);
    c->peer->n_calls--;
    c->peer = NULL;
}

void bh_call_free(struct bh_call *c) {
    struct bh_server *s = c->server;

    detach(c);
    DL_DELETE2(s->calls, c, all_prev, all_next);
    s->n_calls--;
    c->use->calls--;
    bh_use_put(s, c->use);
    bh_msg_free(c->current);
    bh_msg_free(c->reply);
    bh_msg_free(c->request);
    bh_arena_fini(&c->arena);
    bh_fdchannel_drop(c);
    if (c->cancel_fd >= 0)
        close(c->cancel_fd);
    pthread_cond_destroy(&c->changed);
    free(c);
}

void bh_call_answer(struct bh_call *c, struct bh_slot **slot, struct bh_msg *take_msg, struct bh_outbox *o) {
    c->use->held--;
    bh_outbox_add(c->server, o, c->peer, bh_take_ptr(*slot), take_msg);
}

void bh_call_answer_done(struct bh_call *c, struct bh_slot **slot, bool with_reply, struct bh_outbox *o) {
    struct bh_msg *m = NULL;

    if (c->status == 0 && with_reply && c->reply != NULL)
        m = reply_frame(c);
    else
        m = bh_done_frame(c->id, c->status, &c->err, c->out_seq);
    bh_call_answer(c, slot, m, o);
}

static void signal_cancel(struct bh_call *c) {
    uint64_t one = 1;

    atomic_store(&c->cancelled, true);
    if (c->cancel_fd >= 0)
        (void)!write(c->cancel_fd, &one, sizeof one);
    pthread_cond_broadcast(&c->changed);
}

/* The status is decided before the handler has returned: tell the client now, and the handler too. */
void bh_call_end(struct bh_call *c, int status, const char *text, struct bh_outbox *o) {
    if (c->ended || c->state == CALL_FINISHED)
        return;
    c->ended = true;
    c->status = status;
    bh_err_set(&c->err, status, "%s: %s", c->method->name, text);
    if (c->slot != NULL)
        bh_call_answer_done(c, &c->slot, false, o);
    bh_stream_answer_all(c, o);
    signal_cancel(c);
}

/* The handler has returned. */
void bh_call_finish(struct bh_call *c, int status, const struct bh_err *err, struct bh_outbox *o) {
    if (!c->ended) {
        c->status = status;
        c->err = *err;
        c->ended = true;
    }
    c->state = CALL_FINISHED;
    c->finished = bh_mono_ns();
    if (c->slot != NULL)
        bh_call_answer_done(c, &c->slot, true, o);
    bh_stream_answer_all(c, o);
    if (!c->stream || c->closed || c->peer == NULL) {
        bh_call_free(c);
        return;
    }
    /* kept for PULLs that are still to come; what only the handler needed goes now */
    bh_arena_fini(&c->arena);
    bh_msg_free(bh_take_ptr(c->current));
    bh_server_wake(c->server, c->finished + BH_ORPHAN_NS);
}

void bh_call_orphan(struct bh_call *c, struct bh_outbox *o) {
    detach(c);
    c->closed = true;
    if (c->state == CALL_FINISHED) {
        bh_stream_answer_all(c, o);
        bh_call_free(c);
        return;
    }
    if (c->slot != NULL)
        bh_call_answer(c, &c->slot, NULL, o);
    bh_stream_answer_all(c, o);
    bh_call_end(c, BH_E_CANCELLED, "the client has gone", o);
}

/* ---- for handlers ------------------------------------------------------------------------ */

const struct bh_peer *bh_call_peer(const struct bh_call *call) {
    return &call->who;
}

uint64_t bh_call_id(const struct bh_call *call) {
    return call->id;
}

struct bh_arena *bh_call_arena(struct bh_call *call) {
    return &call->arena;
}

bool bh_call_cancelled(const struct bh_call *call) {
    return atomic_load(&call->cancelled);
}

int bh_call_cancel_fd(struct bh_call *call) {
    uint64_t one = 1;

    pthread_mutex_lock(&call->server->lock);
    if (call->cancel_fd < 0) {
        call->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (call->cancel_fd >= 0 && atomic_load(&call->cancelled))
            (void)!write(call->cancel_fd, &one, sizeof one);
    }
    pthread_mutex_unlock(&call->server->lock);
    return call->cancel_fd;
}

int bh_call_reply(struct bh_call *call, const ProtobufCMessage *reply, struct bh_err *err) {
    size_t n = protobuf_c_message_get_packed_size(reply);
    struct bh_msg *m;
    uint8_t *at;

    if (call->reply != NULL)
        return bh_err_set(err, BH_E_INTERNAL, "%s: replied twice", call->method->name);
    if (reply->descriptor != call->desc->output && call->desc->output != NULL)
        return bh_err_set(err, BH_E_INTERNAL, "%s: replied with a %s, not a %s", call->method->name,
                          reply->descriptor->name, call->desc->output->name);
    if (n > BH_FRAME_MAX_CHUNK)
        return bh_err_set(err, BH_E_LIMIT, "%s: the reply has %zu bytes, a message may have %zu", call->method->name, n,
                          BH_FRAME_MAX_CHUNK);
    m = bh_frame_reserve(n, &at);
    if (m == NULL)
        return bh_err_set(err, BH_E_LIMIT, "%s: no memory for the reply", call->method->name);
    protobuf_c_message_pack(reply, at);
    call->reply = m;
    return 0;
}
