/*
 * fdchannel.c - fd.sock: descriptors that travel beside a call.
 *
 * Room: every room that serves.  nng cannot carry descriptors.  Whoever connects must show, within two
 * seconds, the token that its call was given, and be the same user; a token works once and for ten
 * seconds.  Trusts the kernel's credentials only.  One thread, the timekeeper, accepts.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "rpc/server_priv.h"

#define PENDING_MAX 64
#define PENDING_NS  (2 * BH_NSEC)

struct bh_fd_pending {
    int fd;
    uid_t uid;
    int64_t until;
};

int bh_fdchannel_listen(struct bh_server *s, struct bh_err *err) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    BH_SCOPE_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return bh_err_errno(err, errno, "make the descriptor socket of %s", s->dir);
    if ((size_t)snprintf(addr.sun_path, sizeof addr.sun_path, "%s/fd.sock", s->dir) >= sizeof addr.sun_path)
        return bh_err_set(err, BH_E_INVALID, "socket path %s/fd.sock: longer than 107 bytes", s->dir);
    /* rpc.sock is ours already, so nobody else serves here: what lies there is a leftover */
    unlink(addr.sun_path);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || chmod(addr.sun_path, s->config.mode) != 0 ||
        listen(fd, 64) != 0)
        return bh_err_errno(err, errno, "listen on %s", addr.sun_path);
    s->pending = bh_xcalloc(PENDING_MAX, sizeof *s->pending);
    s->fd_listener = bh_take_fd(&fd);
    return 0;
}

void bh_fdchannel_offer(struct bh_call *c) {
    if (getrandom(c->token, sizeof c->token, 0) != (ssize_t)sizeof c->token)
        return; /* no token: the client cannot connect and the handler gets an error */
    c->token_until = c->opened + BH_TOKEN_NS;
}

void bh_fdchannel_drop(struct bh_call *c) {
    if (c->fds_in != NULL)
        bh_fdpass_close(c->fds_in, c->n_fds_in);
    free(c->fds_in);
    c->fds_in = NULL;
    if (c->fd_conn >= 0)
        close(c->fd_conn);
    c->fd_conn = -1;
}

/* ---- the accepting side -------------------------------------------------------------------- */

static void forget(struct bh_server *s, unsigned i, bool close_it) {
    if (close_it)
        close(s->pending[i].fd);
    s->pending[i] = s->pending[--s->n_pending];
}

static void accept_all(struct bh_server *s) {
    while (s->n_pending < PENDING_MAX) {
        struct ucred cred;
        socklen_t len = sizeof cred;
        int fd = accept4(s->fd_listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
            return;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
            close(fd);
            continue;
        }
        s->pending[s->n_pending++] =
            (struct bh_fd_pending){.fd = fd, .uid = cred.uid, .until = bh_mono_ns() + PENDING_NS};
    }
}

static bool same_token(const uint8_t *a, const uint8_t *b) {
    unsigned differ = 0;

    for (unsigned i = 0; i < BH_TOKEN_SIZE; i++)
        differ |= a[i] ^ b[i];
    return differ == 0;
}

/* Gives connection and descriptors to the call that the token names. */
static bool hand_over(struct bh_server *s, const uint8_t *token, uid_t uid, int conn, const int *fds, unsigned n) {
    struct bh_call *c;
    bool found = false;

    pthread_mutex_lock(&s->lock);
    DL_FOREACH2(s->calls, c, all_next) {
        if (c->token_until == 0 || !same_token(c->token, token))
            continue;
        found = c->who.uid == uid && bh_mono_ns() < c->token_until && c->state != CALL_FINISHED;
        c->token_until = 0; /* used, rightly or not */
        if (!found)
            break;
        c->fd_conn = conn;
        c->fds_in = bh_xcalloc(n, sizeof *fds);
        memcpy(c->fds_in, fds, n * sizeof *fds);
        c->n_fds_in = n;
        c->fds_ready = true;
        pthread_cond_broadcast(&c->changed);
        break;
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

static void read_token(struct bh_server *s, unsigned i) {
    struct bh_fd_pending *p = &s->pending[i];
    uint8_t token[BH_TOKEN_SIZE];
    int fds[BH_CALL_MAX_FDS];
    struct bh_err refused = BH_ERR_INIT;
    unsigned n = 0;
    size_t got = 0;
    int rc = bh_fdpass_recv(p->fd, token, sizeof token, &got, fds, BH_CALL_MAX_FDS, &n, &refused);
    bool ours;

    if (rc == BH_FDPASS_AGAIN)
        return;
    ours = got == sizeof token && hand_over(s, token, p->uid, p->fd, fds, n);
    if (!ours)
        bh_fdpass_close(fds, n);
    forget(s, i, !ours);
}

unsigned bh_fdchannel_poll(struct bh_server *s, struct pollfd *v, unsigned max) {
    unsigned n = 0;

    if (s->fd_listener < 0)
        return 0;
    v[n++] = (struct pollfd){.fd = s->n_pending < PENDING_MAX ? s->fd_listener : -1, .events = POLLIN};
    for (unsigned i = 0; i < s->n_pending && n < max; i++)
        v[n++] = (struct pollfd){.fd = s->pending[i].fd, .events = POLLIN};
    return n;
}

void bh_fdchannel_serve(struct bh_server *s, const struct pollfd *v, unsigned n) {
    int64_t now = bh_mono_ns();

    if (n == 0)
        return;
    for (unsigned i = s->n_pending; i-- > 0;) {
        if (i + 1 < n && v[i + 1].revents != 0)
            read_token(s, i);
        else if (now >= s->pending[i].until)
            forget(s, i, true);
    }
    if (v[0].revents != 0) {
        unsigned before = s->n_pending;

        accept_all(s);
        for (unsigned i = s->n_pending; i-- > before;)
            read_token(s, i); /* mostly it is there already */
    }
}

int64_t bh_fdchannel_next(const struct bh_server *s) {
    int64_t next = INT64_MAX;

    for (unsigned i = 0; i < s->n_pending; i++)
        next = s->pending[i].until < next ? s->pending[i].until : next;
    return next;
}

void bh_fdchannel_close(struct bh_server *s) {
    while (s->n_pending > 0)
        forget(s, s->n_pending - 1, true);
    free(s->pending);
    s->pending = NULL;
    if (s->fd_listener >= 0)
        close(s->fd_listener);
    s->fd_listener = -1;
}

/* ---- for handlers -------------------------------------------------------------------------- */

bool bh_call_wants_fds(const struct bh_call *call) {
    return (call->fds & 1) != 0;
}

/* Waits until the client has shown its token. */
static int wait_connected(struct bh_call *c, struct bh_err *err) {
    int64_t until = c->opened + BH_TOKEN_NS;
    bool in_time = true;

    if (c->fds == 0)
        return bh_err_set(err, BH_E_INVALID, "%s: the call was opened without descriptors", c->method->name);
    while (!c->fds_ready && !c->ended && in_time)
        in_time = bh_cond_wait_until(&c->changed, &c->server->lock, until);
    if (c->fds_ready)
        return 0;
    if (c->ended) {
        *err = c->err;
        return err->code;
    }
    return bh_err_set(err, BH_E_DEADLINE, "%s: the client has not sent its descriptors within 10 s", c->method->name);
}

int bh_call_take_fds(struct bh_call *call, int *fds, unsigned max, unsigned *out_n, struct bh_err *err) {
    int rc;

    pthread_mutex_lock(&call->server->lock);
    rc = wait_connected(call, err);
    if (rc == 0 && call->n_fds_in > max)
        rc = bh_err_set(err, BH_E_INVALID, "%s: %u descriptors came, at most %u are wanted", call->method->name,
                        call->n_fds_in, max);
    if (rc == 0) {
        memcpy(fds, call->fds_in, call->n_fds_in * sizeof *fds);
        *out_n = call->n_fds_in;
        call->n_fds_in = 0;
    }
    pthread_mutex_unlock(&call->server->lock);
    return rc;
}

int bh_call_give_fds(struct bh_call *call, const int *fds, unsigned n, struct bh_err *err) {
    struct pollfd v[2] = {{.events = POLLOUT}, {.events = POLLIN}};
    uint8_t mark = 'f';
    int rc;

    if (n == 0 || n > BH_CALL_MAX_FDS)
        return bh_err_set(err, BH_E_INVALID, "%s: %u descriptors in one message, 1 to %d are allowed",
                          call->method->name, n, BH_CALL_MAX_FDS);
    pthread_mutex_lock(&call->server->lock);
    rc = wait_connected(call, err);
    pthread_mutex_unlock(&call->server->lock);
    if (rc != 0)
        return rc;
    while ((rc = bh_fdpass_send(call->fd_conn, &mark, 1, fds, n, err)) != BH_FDPASS_OK) {
        if (rc != BH_FDPASS_AGAIN)
            return bh_err_prefix(err, "%s", call->method->name);
        v[0].fd = call->fd_conn;
        v[1].fd = bh_call_cancel_fd(call);
        (void)poll(v, 2, 1000);
        if (bh_call_cancelled(call))
            return bh_err_set(err, BH_E_CANCELLED, "%s: cancelled while sending descriptors", call->method->name);
    }
    return 0;
}

int bh_call_give_pipe(struct bh_call *call, int beside, int *out_fd, struct bh_err *err) {
    int ends[2];
    int rc;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "%s: make a pipe", call->method->name);
    (void)fcntl(ends[1], F_SETPIPE_SZ, 1 << 20); /* faster where it is allowed */
    const int given[] = {ends[1], beside};
    rc = bh_call_give_fds(call, given, beside >= 0 ? 2 : 1, err);
    close(ends[1]);
    if (rc == 0)
        *out_fd = ends[0];
    else
        close(ends[0]);
    return rc;
}
