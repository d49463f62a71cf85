/*
 * peers.c - runtime's connections: watch, attach, resize, close stdin.
 *
 * Room: monitor, without rights.  Who connects must be runtime's uid or root, as the kernel tells;
 * even so a message of a wrong size, type or count of descriptors ends the connection.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/mem.h"
#include "monitor.h"

static void peer_close(struct mon_peer *p) {
    if (p->fd >= 0)
        close(p->fd);
    *p = (struct mon_peer){.fd = -1};
}

/* A peer that does not read loses its connection, never holds us up. */
static void peer_send(struct monitor *m, struct mon_peer *p, uint32_t type, int code) {
    struct rt_monitor_state s = m->state;
    struct bh_err ignored = BH_ERR_INIT;

    s.type = type;
    s.code = code;
    if (bh_fdpass_send(p->fd, &s, sizeof(s), NULL, 0, &ignored) != BH_FDPASS_OK)
        peer_close(p);
    else if (type == RT_MONITOR_STATE)
        p->told_phase = s.phase;
}

static void peer_accept(struct monitor *m) {
    int fd = accept4(RT_MFD_LISTEN, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred who;
    socklen_t n = sizeof(who);

    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 && (who.uid == 0 || who.uid == m->orders.runtime_uid)) {
        for (unsigned i = 0; i < MON_MAX_PEERS; i++) {
            if (m->peer[i].fd < 0) {
                m->peer[i] = (struct mon_peer){.fd = fd};
                return;
            }
        }
    }
    close(fd);
}

static int resize(struct monitor *m, const struct rt_monitor_request *q) {
    struct winsize ws = {.ws_row = q->rows, .ws_col = q->cols};

    if (!m->tty)
        return BH_E_INVALID;
    if (m->out[0] >= 0 && ioctl(m->out[0], TIOCSWINSZ, &ws) != 0)
        return bh_err_from_errno(errno);
    return 0;
}

/* Takes what it keeps out of fds. */
static void peer_request(struct monitor *m, struct mon_peer *p, const struct rt_monitor_request *q, int *fds,
                         unsigned n_fds) {
    struct bh_err err = BH_ERR_INIT;
    int code;

    if (q->type == RT_MONITOR_WATCH) {
        p->watching = true;
        peer_send(m, p, RT_MONITOR_STATE, 0);
    } else if (q->type == RT_MONITOR_RESIZE) {
        peer_send(m, p, RT_MONITOR_DONE, resize(m, q));
    } else if (q->type == RT_MONITOR_CLOSE_STDIN) {
        m->stdin_closing = true;
        if (m->in_pending.len == 0)
            mon_stdin_close(m);
        peer_send(m, p, RT_MONITOR_DONE, 0);
    } else if (q->type == RT_MONITOR_ATTACH && q->stdio != 0 && q->stdio < 8 &&
               n_fds == (unsigned)__builtin_popcount(q->stdio)) {
        code = m->exited ? BH_E_CONFLICT : mon_client_add(m, q->stdio, fds, &err);
        for (unsigned i = 0; i < n_fds && code == 0; i++)
            fds[i] = -1;
        peer_send(m, p, RT_MONITOR_DONE, code);
    } else {
        peer_close(p);
    }
}

static void peer_read(struct monitor *m, struct mon_peer *p) {
    struct rt_monitor_request q;
    struct bh_err err = BH_ERR_INIT;
    int fds[3] = {-1, -1, -1};
    unsigned n_fds = 0;
    size_t n = 0;
    int r = bh_fdpass_recv(p->fd, &q, sizeof(q), &n, fds, 3, &n_fds, &err);

    if (r == BH_FDPASS_AGAIN)
        return;
    if (r < 0 || n != sizeof(q))
        peer_close(p);
    else
        peer_request(m, p, &q, fds, n_fds);
    bh_fdpass_close(fds, n_fds);
}

unsigned mon_peers_poll(struct monitor *m, struct pollfd *p, unsigned max) {
    unsigned n = 0;

    if (n < max)
        p[n++] = (struct pollfd){.fd = RT_MFD_LISTEN, .events = POLLIN};
    for (unsigned i = 0; i < MON_MAX_PEERS && n < max; i++)
        if (m->peer[i].fd >= 0)
            p[n++] = (struct pollfd){.fd = m->peer[i].fd, .events = POLLIN};
    return n;
}

void mon_peers_run(struct monitor *m, const struct pollfd *p, unsigned n) {
    for (unsigned k = 1; k < n; k++)
        for (unsigned i = 0; i < MON_MAX_PEERS && p[k].revents != 0; i++)
            if (m->peer[i].fd == p[k].fd) {
                peer_read(m, &m->peer[i]);
                break;
            }
    if (n > 0 && p[0].revents != 0) /* last: a new connection may get the number of one just closed */
        peer_accept(m);
}

void mon_peers_tell(struct monitor *m) {
    for (unsigned i = 0; i < MON_MAX_PEERS; i++)
        if (m->peer[i].fd >= 0 && m->peer[i].watching && m->peer[i].told_phase != m->state.phase)
            peer_send(m, &m->peer[i], RT_MONITOR_STATE, 0);
}

bool mon_peers_done(const struct monitor *m) {
    for (unsigned i = 0; i < MON_MAX_PEERS; i++)
        if (m->peer[i].fd >= 0)
            return false;
    return true;
}
