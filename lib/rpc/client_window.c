/*
 * client_window.c - the window of a stream: chunks that are asked for ahead, chunks that are pushed.
 *
 * Room: libbulkhead and the rooms that call the store.  Frames of the service are parsed as foreign
 * bytes; a chunk with a number that was not asked for ends the stream.  Callbacks come on nng's
 * threads and only fill slots.
 */
#include <string.h>

#include "base/mem.h"
#include "rpc/client_stream_priv.h"

/* ---- replies, on nng's threads; s->lock is held ----------------------------------------------- */

void bh_stream_fail(struct bh_stream *s, int code) {
    if (s->failed == 0 && !s->done)
        s->failed = code;
}

static bool pull_under_way(const struct bh_stream *s) {
    for (unsigned i = 0; i < BH_STREAM_WINDOW_MAX; i++) {
        if (s->pull[i].state == BH_SLOT_ASKED)
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

static bool read_reply(struct bh_stream *s, int code, struct bh_msg *msg, struct bh_frame_scratch *scratch,
                       struct bh_frame *f) {
    struct bh_err err = BH_ERR_INIT;

    if (code != 0) {
        bh_stream_fail(s, code);
        return false;
    }
    if (bh_frame_parse(bh_msg_data(msg), bh_msg_size(msg), scratch, f, &err) != 0 || f->env->call != s->id) {
        bh_stream_fail(s, BH_E_INTERNAL);
        return false;
    }
    return true;
}

/* The slot is free again; what came is looked at with the lock held, until end_reply. */
static bool begin_reply(struct bh_slot *p, int code, struct bh_msg *msg, struct bh_frame_scratch *scratch,
                        struct bh_frame *f) {
    pthread_mutex_lock(&p->s->lock);
    p->x = NULL;
    p->state = BH_SLOT_FREE;
    return read_reply(p->s, code, msg, scratch, f);
}

static void end_reply(struct bh_stream *s, struct bh_msg *take_reply) {
    s->exchanges--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    bh_msg_free(take_reply);
}

static void pull_done(void *arg, int code, struct bh_msg *take_reply) {
    struct bh_slot *p = arg;
    struct bh_stream *s = p->s;
    struct bh_frame_scratch scratch;
    struct bh_frame f;

    if (!begin_reply(p, code, take_reply, &scratch, &f)) {
        /* the reason is kept */
    } else if (f.env->kind == BH_KIND(DATA) && f.env->seq == p->seq) {
        p->state = BH_SLOT_READY;
        p->offset = (size_t)(f.payload - bh_msg_data(take_reply));
        p->len = f.payload_len;
        p->msg = bh_take_ptr(take_reply);
    } else if (f.env->kind == BH_KIND(DONE)) {
        take_done(s, &f, &take_reply, true);
        s->closed = s->closed || p->last;
    } else if (f.env->kind != BH_KIND(IDLE)) { /* after IDLE the slot is asked for again */
        bh_stream_fail(s, BH_E_INTERNAL);
    }
    if (!s->cancelled && !s->finished)
        bh_window_pull_ahead(s);
    end_reply(s, take_reply);
}

void bh_window_push_done(void *arg, int code, struct bh_msg *take_reply) {
    struct bh_slot *p = arg;
    struct bh_stream *s = p->s;
    struct bh_frame_scratch scratch;
    struct bh_frame f;

    if (begin_reply(p, code, take_reply, &scratch, &f)) {
        if (f.env->kind == BH_KIND(DONE))
            take_done(s, &f, &take_reply, false);
        else if (f.env->kind != BH_KIND(ACK))
            bh_stream_fail(s, BH_E_INTERNAL);
    }
    s->pushing--;
    end_reply(s, take_reply);
}

/* ---- requests ------------------------------------------------------------------------------ */

int bh_window_pull(struct bh_stream *s, struct bh_slot *p, uint64_t seq) {
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
    p->state = BH_SLOT_ASKED;
    s->exchanges++;
    if (m != NULL)
        rc = bh_exchange_start(s->conn->transport, m, pull_done, p, &p->x);
    if (rc != 0) {
        s->exchanges--;
        p->state = BH_SLOT_FREE;
        p->x = NULL;
        bh_stream_fail(s, rc);
    }
    return rc;
}

void bh_window_pull_ahead(struct bh_stream *s) {
    for (uint64_t seq = s->next_recv; seq < s->next_recv + s->window; seq++) {
        struct bh_slot *p = &s->pull[seq % BH_STREAM_WINDOW_MAX];

        if (s->done || s->failed != 0 || s->cancelled)
            return;
        if (p->state == BH_SLOT_FREE && bh_window_pull(s, p, seq) != 0)
            return;
    }
}
