/*
 * dispatch.c - what each frame of a client means, and every check that precedes a handler.
 *
 * Room: every room that serves.  Reads the envelope on the transport's threads: never blocks, never
 * unpacks a payload there.  Payloads are unpacked on the handler's thread into a capped arena.  A
 * frame that breaks the format costs its sender the connection; a request that may not be made gets
 * a status (docs/protocol.md, "Life of a call").
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc/server_priv.h"

#define HANDLER_ARENA ((size_t)16 << 20) /* for what a handler builds, above its request */

struct incoming {
    struct bh_server *s;
    struct bh_peer_link *peer;
    const bh_envelope *env;
    struct bh_slot *slot;
    struct bh_msg *msg; /* set to NULL by who keeps it */
    size_t offset, len; /* payload */
    struct bh_outbox out;
};

static void answer_error(struct incoming *in, const struct bh_err *err) {
    bh_outbox_add(in->s, &in->out, in->peer, in->slot, bh_done_frame(in->env->call, err->code, err, 0));
}

/* ---- OPEN -------------------------------------------------------------------------------- */

static const struct bh_method *find_in(const struct bh_service *svc, const char *name) {
    for (unsigned i = 0; i < svc->n_methods; i++) {
        if (strcmp(svc->methods[i].name, name) == 0)
            return &svc->methods[i];
    }
    return NULL;
}

static const struct bh_method *find_method(const struct bh_server *s, const char *path, const struct bh_service **svc) {
    const char *slash = strchr(path, '/');

    for (unsigned i = 0; slash != NULL && i < s->config.n_services; i++) {
        const char *name = s->config.services[i].desc->name;

        if (strlen(name) == (size_t)(slash - path) && strncmp(name, path, (size_t)(slash - path)) == 0) {
            *svc = &s->config.services[i];
            return find_in(*svc, slash + 1);
        }
    }
    return NULL;
}

static int check_role(struct incoming *in, const struct bh_method *m, struct bh_err *err) {
    struct bh_peer_link *p = in->peer;

    if ((m->roles & p->who.roles) != 0)
        return 0;
    if (++p->refused >= BH_REFUSALS_MAX && p->kick_at == 0) {
        p->kick_at = bh_mono_ns() + BH_NSEC / 10; /* the answer shall arrive first */
        bh_server_wake(in->s, p->kick_at);
    }
    bh_err_set(err, BH_E_DENIED, "%s: user %u may not call this", m->name, (unsigned)p->who.uid);
    return bh_err_hint(err, "the administrator can name users that may, in the configuration");
}

static int check_shape(struct incoming *in, const struct bh_method *m, struct bh_err *err) {
    uint32_t max = m->max_request != 0 ? m->max_request : BH_REQUEST_MAX;

    if (in->env->call == 0 || bh_peer_call(in->peer, in->env->call) != NULL)
        return bh_err_set(err, BH_E_INVALID, "%s: call id %llu is 0 or in use", m->name,
                          (unsigned long long)in->env->call);
    if (m->kind != BH_UNARY && !in->env->stream)
        return bh_err_set(err, BH_E_INVALID, "%s: must be opened as a stream", m->name);
    if (in->env->fds > 3 || (in->env->fds != 0 && (!in->env->stream || (m->flags & BH_METHOD_FDS) == 0)))
        return bh_err_set(err, BH_E_INVALID, "%s: takes no descriptors", m->name);
    if (in->len > max)
        return bh_err_set(err, BH_E_LIMIT, "%s: request of %zu bytes, at most %u", m->name, in->len, max);
    return 0;
}

static unsigned calls_per_peer(const struct bh_server *s) {
    return s->config.calls_per_peer != 0 ? s->config.calls_per_peer : BH_CALLS_PER_PEER;
}

static int check_limits(struct incoming *in, const struct bh_method *m, struct bh_err *err) {
    struct bh_server *s = in->s;
    struct bh_peer_link *p = in->peer;

    if (s->draining)
        return bh_err_set(err, BH_E_UNAVAILABLE, "%s: the %s service is stopping", m->name, s->name);
    if (p->n_calls >= calls_per_peer(s))
        return bh_err_set(err, BH_E_LIMIT, "%s: %u calls on one connection already", m->name, p->n_calls);
    if (p->use->calls >= BH_CALLS_PER_UID || p->use->held >= BH_HELD_PER_UID)
        return bh_err_set(err, BH_E_LIMIT, "%s: user %u has %u calls already", m->name, (unsigned)p->who.uid,
                          p->use->calls);
    /* one ordinary user never takes the last threads */
    if ((p->who.roles & ~(unsigned)BH_ROLE_USER) == 0 && p->use->calls >= s->pool.max - s->pool.max / 4)
        return bh_err_set(err, BH_E_LIMIT, "%s: user %u has %u calls already", m->name, (unsigned)p->who.uid,
                          p->use->calls);
    if (s->pool.queued >= BH_QUEUE_MAX || bh_tserver_crowded(s->transport))
        return bh_err_set(err, BH_E_LIMIT, "%s: the %s service has too many calls waiting", m->name, s->name);
    return 0;
}

static void answer_accepted(struct incoming *in, struct bh_call *c) {
    bh_envelope env = BH_ENVELOPE_INIT;

    env.kind = BH_KIND(ACCEPTED);
    env.call = c->id;
    if (c->fds != 0) {
        bh_fdchannel_offer(c);
        env.token.data = c->token;
        env.token.len = sizeof c->token;
    }
    bh_outbox_add(in->s, &in->out, in->peer, in->slot, bh_frame_build(&env, NULL, 0));
}

static void set_deadline(struct bh_call *c, uint32_t asked_ms) {
    uint32_t ms = c->method->deadline_ms;

    if (asked_ms != 0 && (ms == 0 || asked_ms < ms))
        ms = asked_ms;
    if (ms == 0)
        return;
    c->deadline = c->opened + (int64_t)ms * (BH_NSEC / 1000);
    bh_server_wake(c->server, c->deadline);
}

static void start_call(struct incoming *in, const struct bh_service *svc, const struct bh_method *m) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_call *c = bh_call_new(in->s, in->peer);

    if (c == NULL) {
        bh_err_set(&err, BH_E_LIMIT, "%s: no memory for the call", m->name);
        answer_error(in, &err);
        return;
    }
    c->id = in->env->call;
    c->service = svc;
    c->method = m;
    c->desc = protobuf_c_service_descriptor_get_method_by_name(svc->desc, m->name);
    c->stream = in->env->stream;
    c->fds = in->env->fds;
    c->request = bh_take_ptr(in->msg);
    c->request_off = in->offset;
    c->request_len = in->len;
    set_deadline(c, in->env->timeout_ms);
    in->s->busy_since_trim = true;
    if (c->stream) {
        answer_accepted(in, c);
    } else {
        c->use->held++;
        c->slot = in->slot;
    }
    if (bh_pool_add(in->s, c) != 0) {
        bh_err_set(&err, BH_E_LIMIT, "%s: no thread for the call", m->name);
        bh_call_finish(c, err.code, &err, &in->out);
    }
}

static void on_open(struct incoming *in) {
    const struct bh_service *svc = NULL;
    const struct bh_method *m = find_method(in->s, in->env->method, &svc);
    struct bh_err err = BH_ERR_INIT;

    if (m == NULL) {
        bh_err_set(&err, BH_E_UNIMPLEMENTED, "the %s service has no method %s", in->s->name, in->env->method);
        answer_error(in, &err);
        return;
    }
    if (check_role(in, m, &err) != 0 || check_shape(in, m, &err) != 0 || check_limits(in, m, &err) != 0) {
        answer_error(in, &err);
        return;
    }
    start_call(in, svc, m);
}

/* ---- the other frames -------------------------------------------------------------------- */

static void answer_kind(struct incoming *in, Bulkhead__Rpc__V1__Kind kind) {
    bh_envelope env = BH_ENVELOPE_INIT;

    env.kind = kind;
    env.call = in->env->call;
    if (kind == BH_KIND(HELLO)) {
        env.epoch = in->s->epoch;
        env.proto_major = BH_PROTO_MAJOR;
        env.proto_minor = BH_PROTO_MINOR;
        env.max_chunk = BH_FRAME_MAX_CHUNK;
    }
    bh_outbox_add(in->s, &in->out, in->peer, in->slot, bh_frame_build(&env, NULL, 0));
}

/* With a call id it also says that the client still wants that call. */
static void on_hello(struct incoming *in) {
    struct bh_call *c = bh_peer_call(in->peer, in->env->call);

    if (c != NULL)
        c->active = bh_mono_ns();
    answer_kind(in, BH_KIND(HELLO));
}

static void on_cancel(struct incoming *in) {
    struct bh_call *c = bh_peer_call(in->peer, in->env->call);

    answer_kind(in, BH_KIND(ACK));
    if (c == NULL)
        return;
    c->closed = true;
    if (c->state == CALL_FINISHED) {
        bh_stream_answer_all(c, &in->out);
        bh_call_free(c);
        return;
    }
    bh_call_end(c, BH_E_CANCELLED, "cancelled by the client", &in->out);
}

static void on_transfer(struct incoming *in) {
    struct bh_call *c = bh_peer_call(in->peer, in->env->call);
    struct bh_err err = BH_ERR_INIT;

    if (c == NULL || !c->stream) {
        bh_err_set(&err, BH_E_NOT_FOUND, "no stream %llu on this connection", (unsigned long long)in->env->call);
        bh_err_reason(&err, "no-such-call");
        answer_error(in, &err);
        return;
    }
    if (in->peer->use->held >= BH_HELD_PER_UID || bh_tserver_crowded(in->s->transport)) {
        bh_err_set(&err, BH_E_LIMIT, "%s: too many requests wait already", c->method->name);
        answer_error(in, &err);
        return;
    }
    if (in->env->kind == BH_KIND(PULL))
        bh_stream_pull(c, in->env, in->slot, &in->out);
    else
        bh_stream_push(c, in->env, in->slot, bh_take_ptr(in->msg), in->offset, in->len, &in->out);
}

static void on_frame(struct incoming *in) {
    struct bh_err err = BH_ERR_INIT;

    switch (in->env->kind) {
    case BH_KIND(HELLO):
        on_hello(in);
        break;
    case BH_KIND(OPEN):
        on_open(in);
        break;
    case BH_KIND(PULL):
    case BH_KIND(PUSH):
        on_transfer(in);
        break;
    case BH_KIND(CANCEL):
        on_cancel(in);
        break;
    default:
        bh_err_set(&err, BH_E_INVALID, "a client does not send frames of kind %d", (int)in->env->kind);
        answer_error(in, &err);
    }
}

/* ---- events of the transport -------------------------------------------------------------- */

static void on_request(void *self, uint32_t pipe, struct bh_slot *slot, struct bh_msg *take_msg) {
    struct bh_server *s = self;
    struct bh_frame_scratch scratch;
    struct bh_frame frame;
    struct bh_err err = BH_ERR_INIT;
    struct incoming in = {.s = s, .slot = slot, .msg = take_msg};

    if (bh_frame_parse(bh_msg_data(take_msg), bh_msg_size(take_msg), &scratch, &frame, &err) != 0) {
        bh_msg_free(take_msg);
        bh_slot_drop(slot);
        bh_tserver_kick(s->transport, pipe);
        return;
    }
    in.env = frame.env;
    in.offset = (size_t)(frame.payload - bh_msg_data(take_msg));
    in.len = frame.payload_len;
    pthread_mutex_lock(&s->lock);
    in.peer = bh_peer_find(s, pipe);
    if (in.peer != NULL)
        on_frame(&in);
    pthread_mutex_unlock(&s->lock);
    if (in.peer == NULL)
        bh_slot_drop(slot); /* it went while its request was on the way */
    bh_msg_free(in.msg);
    bh_outbox_flush(s, &in.out);
}

static void on_joined(void *self, uint32_t pipe, uid_t uid, gid_t gid, pid_t pid) {
    struct bh_server *s = self;
    unsigned roles = bh_peer_roles(s, uid, gid);
    struct bh_peer_link *p;

    pthread_mutex_lock(&s->lock);
    p = bh_peer_add(s, pipe, uid, gid, pid, roles);
    s->last_join = bh_mono_ns();
    pthread_mutex_unlock(&s->lock);
    if (p == NULL)
        bh_tserver_kick(s->transport, pipe);
}

static void on_left(void *self, uint32_t pipe) {
    struct bh_server *s = self;
    struct bh_peer_link *p;
    struct bh_call *c, *next;

    pthread_mutex_lock(&s->lock);
    p = bh_peer_find(s, pipe);
    if (p != NULL) {
        DL_FOREACH_SAFE(p->calls, c, next) {
            struct bh_outbox o = {0};

            bh_call_orphan(c, &o);
            bh_outbox_flush(s, &o); /* only drops: its reader has gone */
        }
        bh_peer_remove(s, p);
    }
    pthread_mutex_unlock(&s->lock);
}

static void on_sent(void *self, uint32_t pipe) {
    struct bh_server *s = self;
    struct bh_peer_link *p;

    pthread_mutex_lock(&s->lock);
    p = bh_peer_find(s, pipe);
    if (p != NULL && p->unsent > 0) {
        p->unsent--;
        s->unsent--;
    }
    pthread_mutex_unlock(&s->lock);
}

const struct bh_tserver_events bh_dispatch_events = {
    .joined = on_joined, .left = on_left, .request = on_request, .sent = on_sent};

/* ---- the handler's thread ------------------------------------------------------------------ */

static void *arena_alloc(void *data, size_t n) {
    return bh_arena_alloc(data, n);
}

static void arena_free(void *data, void *p) {
    (void)data;
    (void)p;
}

/* The ceiling is what keeps a small request from becoming a large one in memory. */
static int unpack(struct bh_call *c, ProtobufCMessage **out, struct bh_err *err) {
    ProtobufCAllocator alloc = {arena_alloc, arena_free, &c->arena};
    uint8_t *data = bh_msg_data(c->request);

    if (c->desc == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "%s: not in the service's descriptor", c->method->name);
    bh_arena_init(&c->arena, 16 * c->request_len + (64 << 10));
    *out = protobuf_c_message_unpack(c->desc->input, &alloc, c->request_len, data + c->request_off);
    if ((c->method->flags & BH_METHOD_SECRET) != 0)
        explicit_bzero(data, bh_msg_size(c->request));
    bh_msg_free(bh_take_ptr(c->request));
    if (*out == NULL)
        return bh_err_set(err, BH_E_INVALID, "%s: the request is not a %s, or far larger unpacked than packed",
                          c->method->name, c->desc->input->name);
    c->arena.max = c->arena.used + HANDLER_ARENA;
    return 0;
}

static int check_outcome(struct bh_call *c, int rc, struct bh_err *err) {
    if (rc == 0 && c->method->kind == BH_UNARY && c->reply == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "%s: the handler has not replied", c->method->name);
    if (rc == 0) {
        bh_err_clear(err);
        return 0;
    }
    if (rc > 0 || bh_err_from_wire(bh_err_to_wire(rc)) != rc)
        rc = BH_E_UNKNOWN;
    if (err->msg[0] == '\0')
        bh_err_set(err, rc, "%s: %s", c->method->name, bh_err_text(rc));
    err->code = rc;
    return rc;
}

static void log_outcome(const struct bh_call *c, int rc, const struct bh_err *err) {
    long long ms = (long long)((bh_mono_ns() - c->opened) / 1000000);

    if (rc == BH_E_INTERNAL || rc == BH_E_DATA_LOSS)
        bh_log_err("call-failed", err);
    if ((c->method->flags & BH_METHOD_AUDITED) != 0)
        bh_log(BH_LOG_INFO, "call", "method=%s uid=%u pid=%d call=%llu status=%u ms=%lld", c->method->name,
               (unsigned)c->who.uid, (int)c->who.pid, (unsigned long long)c->id, bh_err_to_wire(rc), ms);
}

void bh_dispatch_run(struct bh_call *c) {
    struct bh_server *s = c->server;
    struct bh_err err = BH_ERR_INIT;
    struct bh_outbox o = {0};
    ProtobufCMessage *request = NULL;
    int rc = BH_E_CANCELLED;

    if (!bh_call_cancelled(c)) {
        rc = unpack(c, &request, &err);
        if (rc == 0)
            rc = check_outcome(c, c->method->handler(s->config.room, c, request, &err), &err);
    }
    log_outcome(c, rc, &err);
    if ((c->method->flags & BH_METHOD_SECRET) != 0)
        bh_arena_wipe(&c->arena);
    pthread_mutex_lock(&s->lock);
    bh_call_finish(c, rc, &err, &o);
    pthread_mutex_unlock(&s->lock);
    bh_outbox_flush(s, &o);
}
