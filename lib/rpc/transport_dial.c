/*
 * transport_dial.c - the calling side over nng: one REQ socket, one dialer, a context an exchange.
 *
 * Room: libbulkhead and the rooms that call the store.  An exchange is sent once: nng's own resending
 * is off, a lost connection ends it.  A receive starts only after its send has completed, and nothing
 * is closed while an exchange runs (docs/protocol.md, "Carrier").
 */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"
#include "rpc/transport_nng.h"

#define RECONNECT_MIN_MS 50
#define RECONNECT_MAX_MS 1000

enum exchange_state { X_SPARE, X_SENDING, X_RECEIVING };

struct bh_exchange {
    struct bh_tclient *t;
    struct bh_exchange *next, *prev; /* active, or spare (next only) */
    nng_ctx ctx;
    nng_aio *aio;
    bh_exchange_done *done;
    void *arg;
    uint64_t generation; /* connection that it belongs to */
    uint64_t serial;     /* tells a reused one from the first */
    enum exchange_state state;
    bool cancelled, lost;
};

struct bh_tclient {
    nng_socket sock;
    nng_dialer dialer;
    struct bh_tclient_events ev;
    void *self;
    char *url;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct bh_exchange *active, *spare;
    unsigned n_spare;
    uint64_t generation; /* of the present connection */
    uint64_t last_generation;
    uint64_t serial;
    nng_aio *timer;
    int pipe;          /* id of the present connection, 0: none */
    unsigned starting; /* threads inside bh_exchange_start */
    bool closing;
};

static void exchange_event(void *arg);

/* ---- exchanges --------------------------------------------------------------------------- */

static struct bh_exchange *exchange_new(struct bh_tclient *t) {
    struct bh_exchange *x = calloc(1, sizeof *x);

    if (x == NULL || !bh_nng_ctx_open(t->sock, exchange_event, x, &x->ctx, &x->aio)) {
        free(x);
        return NULL;
    }
    x->t = t;
    nng_aio_set_timeout(x->aio, NNG_DURATION_INFINITE);
    return x;
}

static void exchange_free(struct bh_exchange *x) {
    nng_ctx_close(x->ctx);
    nng_aio_free(x->aio);
    free(x);
}

static struct bh_exchange *exchange_get(struct bh_tclient *t) {
    struct bh_exchange *x;

    pthread_mutex_lock(&t->lock);
    x = t->spare;
    if (x != NULL) {
        t->spare = x->next;
        t->n_spare--;
    }
    pthread_mutex_unlock(&t->lock);
    return x != NULL ? x : exchange_new(t);
}

static void spare_locked(struct bh_tclient *t, struct bh_exchange *x) {
    x->state = X_SPARE;
    x->prev = NULL;
    x->next = t->spare;
    t->spare = x;
    t->n_spare++;
}

static void activate_locked(struct bh_tclient *t, struct bh_exchange *x) {
    x->prev = NULL;
    x->next = t->active;
    if (t->active != NULL)
        t->active->prev = x;
    t->active = x;
}

static void deactivate_locked(struct bh_tclient *t, struct bh_exchange *x) {
    if (x->prev != NULL)
        x->prev->next = x->next;
    else
        t->active = x->next;
    if (x->next != NULL)
        x->next->prev = x->prev;
}

static void exchange_end(struct bh_exchange *x, int rv) {
    struct bh_tclient *t = x->t;
    nng_msg *m = nng_aio_get_msg(x->aio);
    int code = 0;

    nng_aio_set_msg(x->aio, NULL);
    pthread_mutex_lock(&t->lock);
    if (rv != 0)
        code = x->cancelled && !x->lost ? BH_E_CANCELLED : rv == NNG_EMSGSIZE ? BH_E_LIMIT : BH_E_UNAVAILABLE;
    pthread_mutex_unlock(&t->lock);
    if (code != 0 && m != NULL) {
        nng_msg_free(m); /* a request that was not sent comes back */
        m = NULL;
    }
    x->done(x->arg, code, m == NULL ? NULL : bh_msg_of_nng(m));
    pthread_mutex_lock(&t->lock);
    deactivate_locked(t, x);
    spare_locked(t, x);
    if (t->closing && t->active == NULL)
        pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void exchange_event(void *arg) {
    struct bh_exchange *x = arg;
    struct bh_tclient *t = x->t;
    int rv = nng_aio_result(x->aio);

    if (x->state == X_SENDING && rv == 0) {
        pthread_mutex_lock(&t->lock);
        if (!x->cancelled && !x->lost) {
            x->state = X_RECEIVING;
            nng_ctx_recv(x->ctx, x->aio); /* under the lock, so that a cancel finds it under way */
            pthread_mutex_unlock(&t->lock);
            return;
        }
        pthread_mutex_unlock(&t->lock);
        rv = NNG_ECANCELED;
    }
    exchange_end(x, rv);
}

int bh_exchange_start(struct bh_tclient *t, struct bh_msg *take_msg, bh_exchange_done *done, void *arg,
                      struct bh_exchange **out) {
    struct bh_exchange *x = exchange_get(t);
    uint64_t serial;

    if (x == NULL) {
        bh_msg_free(take_msg);
        return BH_E_LIMIT;
    }
    pthread_mutex_lock(&t->lock);
    if (t->generation == 0 || t->closing) {
        spare_locked(t, x);
        pthread_mutex_unlock(&t->lock);
        bh_msg_free(take_msg);
        return BH_E_UNAVAILABLE;
    }
    x->done = done;
    x->arg = arg;
    x->cancelled = x->lost = false;
    x->generation = t->generation;
    x->serial = serial = ++t->serial;
    x->state = X_SENDING;
    activate_locked(t, x);
    t->starting++;
    if (out != NULL)
        *out = x;
    pthread_mutex_unlock(&t->lock);

    nng_aio_set_msg(x->aio, bh_msg_to_nng(take_msg));
    nng_ctx_send(x->ctx, x->aio);

    /* A cancel or a loss that came before the send had begun found nothing to stop. */
    pthread_mutex_lock(&t->lock);
    if (x->serial == serial && x->state != X_SPARE && (x->cancelled || x->lost))
        nng_aio_cancel(x->aio);
    if (--t->starting == 0 && t->closing)
        pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return 0;
}

void bh_exchange_cancel(struct bh_exchange *x) {
    struct bh_tclient *t = x->t;

    pthread_mutex_lock(&t->lock);
    x->cancelled = true;
    nng_aio_cancel(x->aio);
    pthread_mutex_unlock(&t->lock);
}

/* ---- connection -------------------------------------------------------------------------- */

static void on_up(nng_pipe p, nng_pipe_ev ev, void *arg) {
    struct bh_tclient *t = arg;

    (void)ev;
    pthread_mutex_lock(&t->lock);
    t->pipe = nng_pipe_id(p);
    t->generation = ++t->last_generation;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    t->ev.up(t->self);
}

/* nng ends what it had sent over the pipe; what still waited to be sent would wait for the next
 * connection, perhaps for ever. */
static void on_down(nng_pipe p, nng_pipe_ev ev, void *arg) {
    struct bh_tclient *t = arg;
    bool ours;

    (void)ev;
    pthread_mutex_lock(&t->lock);
    ours = nng_pipe_id(p) == t->pipe;
    if (ours) {
        for (struct bh_exchange *x = t->active; x != NULL; x = x->next) {
            x->lost = true;
            nng_aio_cancel(x->aio);
        }
        t->pipe = 0;
        t->generation = 0;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    if (ours)
        t->ev.down(t->self);
}

uint64_t bh_tclient_generation(struct bh_tclient *t) {
    uint64_t g;

    pthread_mutex_lock(&t->lock);
    g = t->generation;
    pthread_mutex_unlock(&t->lock);
    return g;
}

bool bh_tclient_wait(struct bh_tclient *t, int64_t deadline_ns) {
    bool up;

    pthread_mutex_lock(&t->lock);
    while (t->generation == 0 && bh_cond_wait_until(&t->changed, &t->lock, deadline_ns))
        continue;
    up = t->generation != 0;
    pthread_mutex_unlock(&t->lock);
    return up;
}

static void on_timer(void *arg) {
    struct bh_tclient *t = arg;

    if (nng_aio_result(t->timer) == 0)
        t->ev.tick(t->self);
}

void bh_tclient_tick_in(struct bh_tclient *t, int ms) {
    pthread_mutex_lock(&t->lock);
    if (!t->closing)
        nng_sleep_aio(ms, t->timer);
    pthread_mutex_unlock(&t->lock);
}

static int dial(struct bh_tclient *t) {
    int rv = nng_dialer_create(&t->dialer, t->sock, t->url);

    if (rv != 0)
        return rv;
    nng_dialer_set_ms(t->dialer, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
    nng_dialer_set_ms(t->dialer, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
    rv = nng_dialer_start(t->dialer, NNG_FLAG_NONBLOCK);
    if (rv != 0)
        nng_dialer_close(t->dialer);
    return rv;
}

void bh_tclient_redial(struct bh_tclient *t) {
    nng_dialer_close(t->dialer);
    (void)dial(t);
}

static int open_socket(struct bh_tclient *t, size_t max_message) {
    int rv = nng_aio_alloc(&t->timer, on_timer, t);

    if (rv != 0)
        return rv;
    rv = nng_req0_open(&t->sock);
    if (rv != 0) {
        nng_aio_free(t->timer);
        return rv;
    }
    if ((rv = nng_socket_set_size(t->sock, NNG_OPT_RECVMAXSZ, max_message)) != 0 ||
        (rv = nng_socket_set_ms(t->sock, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE)) != 0 ||
        (rv = nng_pipe_notify(t->sock, NNG_PIPE_EV_ADD_POST, on_up, t)) != 0 ||
        (rv = nng_pipe_notify(t->sock, NNG_PIPE_EV_REM_POST, on_down, t)) != 0 || (rv = dial(t)) != 0) {
        nng_close(t->sock);
        nng_aio_free(t->timer);
    }
    return rv;
}

int bh_tclient_open(const char *path, size_t max_message, const struct bh_tclient_events *events, void *self,
                    struct bh_tclient **out, struct bh_err *err) {
    struct bh_tclient *t;
    char url[160];
    sigset_t old;
    int rv;

    if (bh_nng_url(url, sizeof url, path, err) != 0)
        return err->code;
    t = bh_xcalloc(1, sizeof *t);
    t->ev = *events;
    t->self = self;
    t->url = bh_xstrdup(url);
    pthread_mutex_init(&t->lock, NULL);
    bh_cond_init(&t->changed);
    *out = t; /* before the dialer: its callbacks may come at once */
    bh_nng_signals_block(&old);
    rv = open_socket(t, max_message);
    bh_nng_signals_restore(&old);
    if (rv == 0)
        return 0;
    *out = NULL;
    free(t->url);
    free(t);
    return bh_nng_err(err, rv, "dial", path);
}

/* The dialer first, then every context, then the socket: closing a socket with work under way is where
 * nng 1.5.2 has its races. */
void bh_tclient_free(struct bh_tclient *t) {
    struct bh_exchange *x;

    pthread_mutex_lock(&t->lock);
    t->closing = true;
    for (x = t->active; x != NULL; x = x->next) {
        x->cancelled = true;
        nng_aio_cancel(x->aio);
    }
    while (t->active != NULL || t->starting > 0)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    nng_aio_stop(t->timer);
    nng_dialer_close(t->dialer);
    while ((x = t->spare) != NULL) {
        t->spare = x->next;
        exchange_free(x);
    }
    nng_close(t->sock);
    nng_aio_free(t->timer);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t->url);
    free(t);
}
