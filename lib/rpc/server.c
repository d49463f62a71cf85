/*
 * server.c - a service from listen to stop, and the timekeeper in between.
 *
 * Room: every room that serves.  bh_server_run is the timekeeper: deadlines, held PULLs, orphans,
 * fd.sock, and the watch over the listener are its work; handlers run elsewhere.  Trusts its own
 * configuration.  Must not wait for a peer.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc/server_priv.h"

#define THREADS_DEFAULT 64
#define WATCH_NS        (10 * BH_NSEC)
#define WATCH_WAIT_MS   2000
#define DRAIN_NS        (4 * BH_NSEC) /* for unary calls to end by themselves */
#define UNWIND_NS       (BH_NSEC / 2) /* for cancelled handlers to return */
#define POLL_MAX        68

/* ---- listen ------------------------------------------------------------------------------ */

static void server_free(struct bh_server *s) {
    bh_fdchannel_close(s);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->pool.work);
    free(s->dir);
    free(s->name);
    free(s);
}

static int open_sockets(struct bh_server *s, struct bh_err *err) {
    BH_SCOPE_FREE char *path = bh_xasprintf("%s/rpc.sock", s->dir);

    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0)
        return bh_err_errno(err, errno, "serve %s: make an eventfd", s->dir);
    if (bh_tserver_listen(path, s->config.mode, BH_FRAME_MAX_MESSAGE, &bh_dispatch_events, s, &s->transport, err) != 0)
        return err->code;
    return bh_fdchannel_listen(s, err);
}

int bh_server_listen(const struct bh_server_config *config, struct bh_server **out, struct bh_err *err) {
    struct bh_server *s = bh_xcalloc(1, sizeof *s);

    /* a dozen threads that mostly sleep need no arena each */
    mallopt(M_ARENA_MAX, 2);
    s->config = *config;
    s->dir = bh_xstrdup(config->dir);
    s->name = bh_xstrdup(config->service_name);
    s->wake_fd = s->fd_listener = -1;
    s->last_join = bh_mono_ns();
    pthread_mutex_init(&s->lock, NULL);
    bh_pool_init(&s->pool, config->threads != 0 ? config->threads : THREADS_DEFAULT);
    while (s->epoch == 0) {
        if (getrandom(&s->epoch, sizeof s->epoch, 0) != (ssize_t)sizeof s->epoch) {
            server_free(s);
            return bh_err_set(err, BH_E_INTERNAL, "serve %s: no random numbers", config->dir);
        }
    }
    if (open_sockets(s, err) != 0) {
        if (s->transport != NULL)
            bh_tserver_free(s->transport);
        server_free(s);
        return err->code;
    }
    *out = s;
    return 0;
}

/* ---- timekeeper -------------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* What the time says about one call; returns when to look again.  The call may be gone afterwards. */
static int64_t look_at(struct bh_call *c, int64_t now, struct bh_outbox *o) {
    int64_t next = INT64_MAX;

    if (c->state == CALL_FINISHED) {
        if (now < c->finished + BH_ORPHAN_NS)
            return c->finished + BH_ORPHAN_NS;
        bh_call_free(c);
        return INT64_MAX;
    }
    if (c->ended)
        return INT64_MAX;
    if (c->deadline != 0) {
        if (now >= c->deadline) {
            bh_call_end(c, BH_E_DEADLINE, "the time for the call is over", o);
            return INT64_MAX;
        }
        next = c->deadline;
    }
    if (!c->stream)
        return next;
    bh_stream_idle(c, now, o);
    if (bh_stream_parked(c))
        return least(next, least(bh_stream_next(c), now + BH_ORPHAN_NS));
    if (now >= c->active + BH_ORPHAN_NS) {
        bh_call_end(c, BH_E_CANCELLED, "the client has not asked for 60 s", o);
        return INT64_MAX;
    }
    return least(next, c->active + BH_ORPHAN_NS);
}

static int64_t look_at_peers(struct bh_server *s, int64_t now) {
    struct bh_peer_link *p, *tmp;
    int64_t next = INT64_MAX;

    HASH_ITER(hh, s->peers, p, tmp) {
        if (p->kick_at != 0 && now >= p->kick_at) {
            p->kick_at = INT64_MAX;
            bh_tserver_kick(s->transport, p->pipe);
        } else if (p->kick_at != 0) {
            next = least(next, p->kick_at);
        }
    }
    return next;
}

static void sweep(struct bh_server *s) {
    int64_t now = bh_mono_ns(), next = now + WATCH_NS;
    struct bh_call *c, *tmp;

    pthread_mutex_lock(&s->lock);
    DL_FOREACH_SAFE2(s->calls, c, tmp, all_next) {
        struct bh_outbox o = {0};

        next = least(next, look_at(c, now, &o));
        bh_outbox_flush(s, &o);
    }
    next = least(next, look_at_peers(s, now));
    s->next_wake = next;
    pthread_mutex_unlock(&s->lock);
}

/* After a burst: contexts, threads' heaps and message memory go back. */
static void give_back(struct bh_server *s) {
    bool trim;

    pthread_mutex_lock(&s->lock);
    trim = s->busy_since_trim && s->n_calls == 0;
    if (trim)
        s->busy_since_trim = false;
    pthread_mutex_unlock(&s->lock);
    if (!trim)
        return;
    bh_tserver_tidy(s->transport);
    malloc_trim(0);
}

/* ---- the watch over the listener ----------------------------------------------------------- */

/* The greeting of a REQ peer; a listener that lives answers with its own at once. */
static const uint8_t greeting[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};

static bool greets_back(const char *dir) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    BH_SCOPE_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct pollfd v = {.fd = fd, .events = POLLIN};
    uint8_t reply[8];

    if (fd < 0 || (size_t)snprintf(addr.sun_path, sizeof addr.sun_path, "%s/rpc.sock", dir) >= sizeof addr.sun_path)
        return false;
    return connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0 &&
           write(fd, greeting, sizeof greeting) == (ssize_t)sizeof greeting && poll(&v, 1, WATCH_WAIT_MS) == 1 &&
           read(fd, reply, sizeof reply) == (ssize_t)sizeof reply;
}

/* nng 1.5.2 can stop accepting without a word; a service that nobody can reach had better end. */
static int watch(struct bh_server *s, struct bh_err *err) {
    int64_t quiet;

    pthread_mutex_lock(&s->lock);
    quiet = bh_mono_ns() - s->last_join;
    pthread_mutex_unlock(&s->lock);
    if (quiet < WATCH_NS || greets_back(s->dir) || greets_back(s->dir))
        return 0;
    return bh_err_set(err, BH_E_UNAVAILABLE, "serve %s/rpc.sock: it does not accept connections any more", s->dir);
}

/* ---- run and stop -------------------------------------------------------------------------- */

static void wait_a_while(struct bh_server *s, int64_t until) {
    struct pollfd v[POLL_MAX];
    int64_t left = least(until, bh_fdchannel_next(s)) - bh_mono_ns();
    uint64_t drain;
    unsigned n;

    v[0] = (struct pollfd){.fd = s->wake_fd, .events = POLLIN};
    n = bh_fdchannel_poll(s, v + 1, POLL_MAX - 1);
    (void)poll(v, n + 1, left <= 0 ? 0 : (int)(left / 1000000) + 1);
    if (v[0].revents != 0)
        (void)!read(s->wake_fd, &drain, sizeof drain);
    bh_fdchannel_serve(s, v + 1, n);
}

static int64_t due(struct bh_server *s) {
    int64_t at;

    pthread_mutex_lock(&s->lock);
    at = s->next_wake;
    pthread_mutex_unlock(&s->lock);
    return at;
}

static int serve(struct bh_server *s, struct bh_err *err) {
    int64_t next_watch = bh_mono_ns() + WATCH_NS;

    while (!atomic_load(&s->stop)) {
        int64_t now = bh_mono_ns();

        if (now >= due(s))
            sweep(s);
        if (now >= next_watch) {
            if (watch(s, err) != 0)
                return err->code;
            give_back(s);
            next_watch = bh_mono_ns() + WATCH_NS;
        }
        wait_a_while(s, least(due(s), next_watch));
    }
    return 0;
}

/* Ends every call that is of that sort; returns how many calls still run. */
static unsigned end_calls(struct bh_server *s, bool streams_only) {
    struct bh_call *c, *tmp;
    unsigned running = 0;

    pthread_mutex_lock(&s->lock);
    DL_FOREACH_SAFE2(s->calls, c, tmp, all_next) {
        struct bh_outbox o = {0};

        if (c->stream || !streams_only)
            bh_call_end(c, BH_E_UNAVAILABLE, "the service is stopping", &o);
        bh_outbox_flush(s, &o);
        running += c->state != CALL_FINISHED;
    }
    pthread_mutex_unlock(&s->lock);
    return running;
}

static bool all_sent(struct bh_server *s) {
    bool sent;

    pthread_mutex_lock(&s->lock);
    sent = s->unsent == 0;
    pthread_mutex_unlock(&s->lock);
    return sent;
}

static void drain(struct bh_server *s) {
    struct timespec tick = {.tv_nsec = 5000000}, last = {.tv_nsec = 50000000};
    int64_t soft = bh_mono_ns() + DRAIN_NS, hard = soft + UNWIND_NS;

    pthread_mutex_lock(&s->lock);
    s->draining = true;
    pthread_mutex_unlock(&s->lock);
    /* the listener stays: closing it would close the connections that it has accepted */
    while (bh_mono_ns() < hard && end_calls(s, bh_mono_ns() < soft) > 0) {
        sweep(s);
        nanosleep(&tick, NULL);
    }
    for (int i = 0; i < 200 && !all_sent(s); i++)
        nanosleep(&tick, NULL);
    nanosleep(&last, NULL); /* what nng has taken is not yet what the peer has */
}

int bh_server_run(struct bh_server *server, struct bh_err *err) {
    int rc = bh_tserver_start(server->transport, err);

    if (rc == 0)
        rc = serve(server, err);
    drain(server);
    return rc;
}

void bh_server_stop(struct bh_server *server) {
    uint64_t one = 1;

    atomic_store(&server->stop, true);
    (void)!write(server->wake_fd, &one, sizeof one);
}

void bh_server_free(struct bh_server *server) {
    struct timespec tick = {.tv_nsec = 5000000};
    struct bh_call *c, *tmp;
    unsigned threads = 1;

    bh_tserver_free(server->transport);
    while (threads > 0) {
        pthread_mutex_lock(&server->lock);
        server->pool.stopping = true;
        pthread_cond_broadcast(&server->pool.work);
        threads = server->pool.threads;
        pthread_mutex_unlock(&server->lock);
        nanosleep(&tick, NULL);
    }
    DL_FOREACH_SAFE2(server->calls, c, tmp, all_next)
    bh_call_free(c);
    server_free(server);
}
