/*
 * transport.c - messages and the serving side over nng: REP contexts, pipes, their credentials.
 *
 * Room: every room that serves.  Trusts the kernel's peer credentials that nng hands on.  Does not
 * look into a message.  Must never block in a callback: nng has few threads for them.  The traps of
 * nng 1.5.2 that shape this file are listed in docs/protocol.md, "Carrier".
 */
#include "rpc/transport.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "rpc/transport_nng.h"

#define POSTED_MIN   4     /* contexts that wait for a request, always */
#define POSTED_MAX   16    /* ... after a burst */
#define CONTEXTS_MAX 4096  /* requests that may be held at once */
#define SEND_MS      10000 /* a peer that does not take a reply within this loses its connection */

enum slot_state { SLOT_IDLE, SLOT_POSTED, SLOT_HELD, SLOT_SENDING };

struct bh_slot {
    struct bh_tserver *t;
    struct bh_slot *next; /* list of idle ones */
    nng_ctx ctx;
    nng_aio *aio;
    uint32_t pipe;
    enum slot_state state;
};

struct bh_tserver {
    nng_socket sock;
    nng_listener listener;
    struct bh_tserver_events ev;
    void *self;
    pthread_mutex_t lock;
    struct bh_slot *idle;
    unsigned n_idle, n_posted, n_all;
    bool stopped;
};

static void slot_event(void *arg);

/* ---- messages ---------------------------------------------------------------------------- */

struct bh_msg *bh_msg_new(size_t n) {
    nng_msg *m;

    return nng_msg_alloc(&m, n) == 0 ? bh_msg_of_nng(m) : NULL;
}

void bh_msg_free(struct bh_msg *m) {
    if (m != NULL)
        nng_msg_free(bh_msg_to_nng(m));
}

uint8_t *bh_msg_data(struct bh_msg *m) {
    return nng_msg_body(bh_msg_to_nng(m));
}

size_t bh_msg_size(const struct bh_msg *m) {
    return nng_msg_len((const nng_msg *)m);
}

int bh_nng_err(struct bh_err *err, int rv, const char *what, const char *path) {
    int code = rv == NNG_EPERM ? BH_E_DENIED : rv == NNG_ENOMEM ? BH_E_LIMIT : BH_E_UNAVAILABLE;

    return bh_err_set(err, code, "%s %s: %s", what, path, nng_strerror(rv));
}

int bh_nng_url(char *out, size_t size, const char *path, struct bh_err *err) {
    if (strlen(path) > 107 || (size_t)snprintf(out, size, "ipc://%s", path) >= size)
        return bh_err_set(err, BH_E_INVALID, "socket path %s: longer than 107 bytes", path);
    return 0;
}

/* ---- contexts ---------------------------------------------------------------------------- */

bool bh_nng_ctx_open(nng_socket sock, void (*event)(void *), void *arg, nng_ctx *out_ctx, nng_aio **out_aio) {
    if (nng_aio_alloc(out_aio, event, arg) != 0)
        return false;
    if (nng_ctx_open(out_ctx, sock) != 0) {
        nng_aio_free(*out_aio);
        return false;
    }
    return true;
}

static struct bh_slot *slot_new(struct bh_tserver *t) {
    struct bh_slot *s = calloc(1, sizeof *s);

    if (s == NULL || !bh_nng_ctx_open(t->sock, slot_event, s, &s->ctx, &s->aio)) {
        free(s);
        return NULL;
    }
    s->t = t;
    return s;
}

static void slot_free(struct bh_slot *s) {
    nng_ctx_close(s->ctx);
    nng_aio_free(s->aio);
    free(s);
}

static void slot_post(struct bh_slot *s) {
    nng_aio_set_timeout(s->aio, NNG_DURATION_INFINITE);
    nng_ctx_recv(s->ctx, s->aio);
}

/* Back to waiting, or aside when enough wait already. */
static void slot_rest(struct bh_slot *s) {
    struct bh_tserver *t = s->t;
    bool post;

    pthread_mutex_lock(&t->lock);
    post = t->n_posted < POSTED_MAX && !t->stopped;
    if (post) {
        s->state = SLOT_POSTED;
        t->n_posted++;
    } else {
        s->state = SLOT_IDLE;
        s->next = t->idle;
        t->idle = s;
        t->n_idle++;
    }
    pthread_mutex_unlock(&t->lock);
    if (post)
        slot_post(s);
}

static struct bh_slot *slot_take_idle(struct bh_tserver *t) {
    struct bh_slot *s;

    pthread_mutex_lock(&t->lock);
    s = t->idle;
    if (s != NULL) {
        t->idle = s->next;
        t->n_idle--;
    }
    pthread_mutex_unlock(&t->lock);
    return s;
}

static bool slot_wanted(struct bh_tserver *t) {
    bool wanted;

    pthread_mutex_lock(&t->lock);
    wanted = t->n_posted < POSTED_MIN && !t->stopped && (t->idle != NULL || t->n_all < CONTEXTS_MAX);
    if (wanted) {
        t->n_posted++;
        t->n_all += t->idle == NULL;
    }
    pthread_mutex_unlock(&t->lock);
    return wanted;
}

/* A listener without a posted receive sees neither requests nor the end of a peer. */
static void keep_posted(struct bh_tserver *t) {
    while (slot_wanted(t)) {
        struct bh_slot *s = slot_take_idle(t);

        if (s == NULL)
            s = slot_new(t);
        if (s == NULL) {
            pthread_mutex_lock(&t->lock);
            t->n_posted--;
            t->n_all--;
            pthread_mutex_unlock(&t->lock);
            return;
        }
        s->state = SLOT_POSTED;
        slot_post(s);
    }
}

static void mark_stopped(struct bh_tserver *t) {
    pthread_mutex_lock(&t->lock);
    t->stopped = true;
    pthread_mutex_unlock(&t->lock);
}

static void slot_received(struct bh_slot *s) {
    struct bh_tserver *t = s->t;
    int rv = nng_aio_result(s->aio);
    nng_msg *m;

    pthread_mutex_lock(&t->lock);
    t->n_posted--;
    pthread_mutex_unlock(&t->lock);
    if (rv != 0) {
        if (rv == NNG_ECLOSED)
            mark_stopped(t);
        slot_rest(s);
        return;
    }
    m = nng_aio_get_msg(s->aio);
    nng_aio_set_msg(s->aio, NULL);
    s->pipe = (uint32_t)nng_pipe_id(nng_msg_get_pipe(m));
    s->state = SLOT_HELD;
    keep_posted(t);
    t->ev.request(t->self, s->pipe, s, bh_msg_of_nng(m));
}

static void slot_sent(struct bh_slot *s) {
    struct bh_tserver *t = s->t;
    uint32_t pipe = s->pipe;

    if (nng_aio_result(s->aio) != 0) {
        nng_msg *m = nng_aio_get_msg(s->aio);

        if (m != NULL)
            nng_msg_free(m);
        nng_aio_set_msg(s->aio, NULL);
        bh_tserver_kick(t, pipe);
    }
    slot_rest(s);
    t->ev.sent(t->self, pipe);
}

static void slot_event(void *arg) {
    struct bh_slot *s = arg;

    if (s->state == SLOT_POSTED)
        slot_received(s);
    else if (s->state == SLOT_SENDING)
        slot_sent(s);
}

void bh_slot_reply(struct bh_slot *slot, struct bh_msg *take_msg) {
    slot->state = SLOT_SENDING;
    nng_aio_set_timeout(slot->aio, SEND_MS);
    nng_aio_set_msg(slot->aio, bh_msg_to_nng(take_msg));
    nng_ctx_send(slot->ctx, slot->aio);
}

/* A context that receives again forgets the request it held. */
void bh_slot_drop(struct bh_slot *slot) {
    slot_rest(slot);
}

bool bh_tserver_crowded(struct bh_tserver *t) {
    bool crowded;

    pthread_mutex_lock(&t->lock);
    crowded = t->n_all - t->n_idle >= CONTEXTS_MAX - POSTED_MIN;
    pthread_mutex_unlock(&t->lock);
    return crowded;
}

void bh_tserver_tidy(struct bh_tserver *t) {
    struct bh_slot *s;

    while ((s = slot_take_idle(t)) != NULL) {
        slot_free(s);
        pthread_mutex_lock(&t->lock);
        t->n_all--;
        pthread_mutex_unlock(&t->lock);
    }
}

/* ---- connections ------------------------------------------------------------------------- */

static uint64_t pipe_number(nng_pipe p, const char *option) {
    uint64_t v = UINT64_MAX;

    if (nng_pipe_get_uint64(p, option, &v) != 0)
        v = UINT64_MAX;
    return v;
}

static void on_join(nng_pipe p, nng_pipe_ev ev, void *arg) {
    struct bh_tserver *t = arg;
    uint64_t uid = pipe_number(p, NNG_OPT_IPC_PEER_UID);
    uint64_t gid = pipe_number(p, NNG_OPT_IPC_PEER_GID);

    (void)ev;
    if (uid > UINT32_MAX - 1 || gid > UINT32_MAX - 1) {
        nng_pipe_close(p); /* no credentials, no service */
        return;
    }
    t->ev.joined(t->self, (uint32_t)nng_pipe_id(p), (uid_t)uid, (gid_t)gid,
                 (pid_t)pipe_number(p, NNG_OPT_IPC_PEER_PID));
}

static void on_leave(nng_pipe p, nng_pipe_ev ev, void *arg) {
    struct bh_tserver *t = arg;

    (void)ev;
    t->ev.left(t->self, (uint32_t)nng_pipe_id(p));
}

void bh_tserver_kick(struct bh_tserver *t, uint32_t pipe) {
    nng_pipe p = {.id = pipe};

    (void)t;
    nng_pipe_close(p);
}

/* ---- life -------------------------------------------------------------------------------- */

static int listen_on(struct bh_tserver *t, const char *url, mode_t mode, size_t max_message) {
    int rv = nng_rep0_open(&t->sock);

    if (rv != 0)
        return rv;
    if ((rv = nng_socket_set_size(t->sock, NNG_OPT_RECVMAXSZ, max_message)) != 0 ||
        (rv = nng_pipe_notify(t->sock, NNG_PIPE_EV_ADD_PRE, on_join, t)) != 0 ||
        (rv = nng_pipe_notify(t->sock, NNG_PIPE_EV_REM_POST, on_leave, t)) != 0 ||
        (rv = nng_listener_create(&t->listener, t->sock, url)) != 0 ||
        (rv = nng_listener_set_int(t->listener, NNG_OPT_IPC_PERMISSIONS, (int)mode)) != 0 ||
        (rv = nng_listener_start(t->listener, 0)) != 0)
        nng_close(t->sock);
    return rv;
}

int bh_tserver_listen(const char *path, mode_t mode, size_t max_message, const struct bh_tserver_events *events,
                      void *self, struct bh_tserver **out, struct bh_err *err) {
    struct bh_tserver *t;
    char url[160];
    sigset_t old;
    int rv;

    if (bh_nng_url(url, sizeof url, path, err) != 0)
        return err->code;
    t = bh_xcalloc(1, sizeof *t);
    t->ev = *events;
    t->self = self;
    pthread_mutex_init(&t->lock, NULL);
    bh_nng_signals_block(&old);
    rv = listen_on(t, url, mode, max_message);
    bh_nng_signals_restore(&old);
    if (rv != 0) {
        free(t);
        return bh_nng_err(err, rv, "listen on", path);
    }
    *out = t;
    return 0;
}

static bool all_freed(struct bh_tserver *t) {
    bool none;

    pthread_mutex_lock(&t->lock);
    none = t->n_all == 0;
    pthread_mutex_unlock(&t->lock);
    return none;
}

int bh_tserver_start(struct bh_tserver *t, struct bh_err *err) {
    keep_posted(t);
    if (all_freed(t))
        return bh_err_set(err, BH_E_LIMIT, "serve: no memory for the first request");
    return 0;
}

void bh_tserver_free(struct bh_tserver *t) {
    struct timespec ms = {.tv_nsec = 1000000};

    mark_stopped(t);
    nng_close(t->sock);
    /* every context ends with ECLOSED and comes to rest */
    for (int i = 0; i < 2000 && !all_freed(t); i++) {
        nanosleep(&ms, NULL);
        bh_tserver_tidy(t);
    }
    if (all_freed(t))
        free(t);
}
