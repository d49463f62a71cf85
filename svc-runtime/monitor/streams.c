/*
 * streams.c - moves bytes: container -> log and clients, clients -> container.
 *
 * Room: monitor, without rights.  Bytes are moved, never looked at; the first of them are kept for main.c,
 * which reads them only where they cannot be the container's, because its program never ran.  A client is not trusted
 * to read, nor to leave its descriptors in any mode: every write here returns at once.  When a client is behind by
 * MON_CLIENT_PENDING, the container waits for it, as with docker; a client that has taken nothing for STUCK_NS is let
 * go, so that nobody can stop a container's log for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "monitor.h"

#define STUCK_NS (600 * BH_NSEC)
/* After the end of the process: others may hold its pipes open (exec in the background). */
#define GRACE_NS (BH_NSEC / 2)
/* After the end: how long a client may take nothing before its rest is dropped. */
#define FLUSH_NS (30 * BH_NSEC)

/* Writes what goes without waiting; the flags of the descriptor are the client's and stay as they are.
 * >= 0: bytes taken (0: full for now), -1: the client is gone. */
static ssize_t put(int fd, const void *data, size_t n) {
    struct iovec iov = {(void *)data, n};
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    ssize_t r = send(fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (r < 0 && errno == ENOTSOCK)
        r = pwritev2(fd, &iov, 1, -1, RWF_NOWAIT);
    if (r < 0 && (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS)) {
        /* A pipe that polls writable takes PIPE_BUF bytes; a terminal that does, takes some. */
        if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
            return p.revents & (POLLERR | POLLNVAL) ? -1 : 0;
        r = write(fd, data, n < 4096 ? n : 4096);
    }
    if (r >= 0)
        return r;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void out_close(struct mon_client *c, int s) {
    close_fd(&c->out[s]);
    bh_buf_fini(&c->pending[s]);
    bh_buf_init(&c->pending[s], 2 * MON_CLIENT_PENDING);
}

static void client_settle(struct mon_client *c) {
    if (c->in < 0 && c->out[0] < 0 && c->out[1] < 0) {
        bh_buf_fini(&c->pending[0]);
        bh_buf_fini(&c->pending[1]);
        c->used = false;
    }
}

int mon_client_add(struct monitor *m, uint32_t stdio, const int *fds, struct bh_err *err) {
    for (unsigned i = 0; i < MON_MAX_CLIENTS; i++) {
        struct mon_client *c = &m->client[i];
        unsigned n = 0;

        if (c->used)
            continue;
        *c = (struct mon_client){.used = true, .in = -1, .out = {-1, -1}, .progress_ns = bh_mono_ns()};
        bh_buf_init(&c->pending[0], 2 * MON_CLIENT_PENDING);
        bh_buf_init(&c->pending[1], 2 * MON_CLIENT_PENDING);
        if (stdio & 1)
            c->in = fds[n++];
        if (stdio & 2)
            c->out[0] = fds[n++];
        if (stdio & 4)
            c->out[1] = fds[n++];
        if (m->in < 0)
            close_fd(&c->in);
        else if (c->in >= 0)
            m->stdin_once_used = true;
        client_settle(c);
        return 0;
    }
    return bh_err_set(err, BH_E_LIMIT, "%d clients are attached already", MON_MAX_CLIENTS);
}

/* ---- container -> log, clients ------------------------------------------------------------ */

static void client_flush(struct mon_client *c, int s) {
    struct bh_buf *b = &c->pending[s];
    size_t done = 0;

    while (c->out[s] >= 0 && done < b->len) {
        ssize_t r = put(c->out[s], b->data + done, b->len - done);

        if (r < 0) {
            out_close(c, s);
            return;
        }
        if (r == 0)
            break;
        done += (size_t)r;
    }
    if (done > 0) {
        bh_buf_shift(b, done);
        c->progress_ns = bh_mono_ns();
    }
}

static void client_give(struct mon_client *c, int s, const char *data, size_t n) {
    if (c->out[s] < 0)
        return;
    if (c->pending[s].len == 0)
        c->progress_ns = bh_mono_ns();
    while (c->pending[s].len == 0 && n > 0) {
        ssize_t r = put(c->out[s], data, n);

        if (r < 0) {
            out_close(c, s);
            return;
        }
        if (r == 0)
            break;
        data += r;
        n -= (size_t)r;
    }
    if (n > 0)
        bh_buf_add(&c->pending[s], data, n); /* below its ceiling: reading stops at half of it */
}

/* An entry is in one file: a large one would make files larger than was asked for.  At a line's end if there is one. */
static uint32_t log_piece(const struct monitor *m, const char *data, uint32_t n) {
    uint64_t most = m->log.max_size / 4 > 512 ? m->log.max_size / 4 : 512;
    const char *end = n > most ? memrchr(data, '\n', most) : NULL;

    if (n <= most)
        return n;
    return end != NULL ? (uint32_t)(end - data) + 1 : (uint32_t)most;
}

static void log_give(struct monitor *m, int s, const char *data, uint32_t n) {
    static bool told;

    while (m->log_on && n > 0) {
        uint32_t piece = log_piece(m, data, n);

        if (rt_log_append(&m->log, (unsigned)s + 1, bh_now_ns(), data, piece) != 0) {
            if (!told) /* once: the disk may be full for long */
                bh_log(BH_LOG_ERR, "log-write-failed", "container=%s errno=%d", m->orders.id, errno);
            told = true;
            return;
        }
        data += piece;
        n -= piece;
    }
}

static void keep_first(struct monitor *m, const char *data, size_t n) {
    size_t room = sizeof(m->first) - 1 - m->n_first;

    n = n < room ? n : room;
    memcpy(m->first + m->n_first, data, n);
    m->n_first += n;
}

static void out_read(struct monitor *m, int s) {
    static char chunk[MON_CHUNK];
    ssize_t r = read(m->out[s], chunk, sizeof(chunk));

    if (r < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (r <= 0) { /* the end; EIO from a terminal is the same */
        if (m->in == m->out[s])
            m->in = -1;
        close_fd(&m->out[s]);
        return;
    }
    m->exited_mono_ns = m->exited ? bh_mono_ns() : 0;
    keep_first(m, chunk, (size_t)r);
    log_give(m, s, chunk, (uint32_t)r);
    for (unsigned i = 0; i < MON_MAX_CLIENTS; i++)
        if (m->client[i].used)
            client_give(&m->client[i], s, chunk, (size_t)r);
}

static bool clients_behind(const struct monitor *m) {
    for (unsigned i = 0; i < MON_MAX_CLIENTS; i++) {
        const struct mon_client *c = &m->client[i];

        if (c->used && (c->pending[0].len >= MON_CLIENT_PENDING || c->pending[1].len >= MON_CLIENT_PENDING))
            return true;
    }
    return false;
}

/* ---- clients -> container ------------------------------------------------------------------ */

void mon_stdin_close(struct monitor *m) {
    if (m->tty)
        m->in = -1; /* the master stays: it is the output as well */
    else
        close_fd(&m->in);
    m->in_pending.len = 0;
    for (unsigned i = 0; i < MON_MAX_CLIENTS; i++)
        if (m->client[i].used) {
            close_fd(&m->client[i].in);
            client_settle(&m->client[i]);
        }
}

static void in_flush(struct monitor *m) {
    size_t done = 0;

    while (m->in >= 0 && done < m->in_pending.len) {
        ssize_t r = write(m->in, m->in_pending.data + done, m->in_pending.len - done);

        if (r < 0 && errno != EAGAIN && errno != EINTR) {
            mon_stdin_close(m); /* the container has closed its side */
            return;
        }
        if (r <= 0)
            break;
        done += (size_t)r;
    }
    if (done > 0)
        bh_buf_shift(&m->in_pending, done);
    if (m->stdin_closing && m->in_pending.len == 0 && m->in >= 0)
        mon_stdin_close(m);
}

static void in_read(struct monitor *m, struct mon_client *c) {
    static char chunk[MON_CHUNK];
    ssize_t r = read(c->in, chunk, sizeof(chunk));

    if (r < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (r > 0) {
        bh_buf_add(&m->in_pending, chunk, (size_t)r);
        in_flush(m);
        return;
    }
    close_fd(&c->in);
    client_settle(c);
    if (!(m->orders.flags & RT_STDIN_ONCE) || m->tty) /* a terminal stays: its user may have detached and come again */
        return;
    m->stdin_closing = true;
    in_flush(m);
}

/* ---- the loop's two questions --------------------------------------------------------------- */

static unsigned want(struct pollfd *p, unsigned at, unsigned max, int fd, short events) {
    if (fd < 0 || at >= max)
        return at;
    p[at] = (struct pollfd){.fd = fd, .events = events};
    return at + 1;
}

unsigned mon_streams_poll(struct monitor *m, struct pollfd *p, unsigned max) {
    bool behind = clients_behind(m);
    unsigned n = 0;

    for (int s = 0; s < 2 && !behind; s++)
        n = want(p, n, max, m->out[s], POLLIN);
    if (m->in >= 0)
        n = want(p, n, max, m->in, m->in_pending.len > 0 ? POLLOUT : 0); /* 0: still tells when the reader has gone */
    for (unsigned i = 0; i < MON_MAX_CLIENTS; i++) {
        struct mon_client *c = &m->client[i];

        if (!c->used)
            continue;
        if (m->in_pending.len == 0 && !m->stdin_closing)
            n = want(p, n, max, c->in, POLLIN);
        for (int s = 0; s < 2; s++)
            n = want(p, n, max, c->out[s], c->pending[s].len > 0 ? POLLOUT : 0);
    }
    return n;
}

static short ready(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};

    return fd >= 0 && poll(&p, 1, 0) == 1 ? p.revents : 0;
}

static void client_run(struct monitor *m, struct mon_client *c, int64_t now) {
    for (int s = 0; s < 2; s++) {
        if (c->out[s] < 0)
            continue;
        if (c->pending[s].len > 0)
            client_flush(c, s);
        else if (ready(c->out[s], 0) & (POLLERR | POLLNVAL))
            out_close(c, s);
        if (c->out[s] >= 0 && c->pending[s].len > 0 && now - c->progress_ns > (m->exited ? FLUSH_NS : STUCK_NS))
            out_close(c, s);
    }
    if (m->in_pending.len == 0 && !m->stdin_closing && ready(c->in, POLLIN) & (POLLIN | POLLHUP | POLLERR))
        in_read(m, c);
    client_settle(c);
}

/* Asks each descriptor anew: closing one while going through an answered list could hit its successor. */
void mon_streams_run(struct monitor *m) {
    int64_t now = bh_mono_ns();

    for (int s = 0; s < 2; s++)
        if (!clients_behind(m) && ready(m->out[s], POLLIN))
            out_read(m, s);
    if (m->in >= 0 && !m->tty && ready(m->in, 0) & POLLERR)
        mon_stdin_close(m);
    in_flush(m);
    for (unsigned i = 0; i < MON_MAX_CLIENTS; i++)
        if (m->client[i].used)
            client_run(m, &m->client[i], now);
}

bool mon_streams_drained(const struct monitor *m) {
    for (int s = 0; s < 2; s++)
        if (ready(m->out[s], POLLIN) & POLLIN)
            return false;
    for (unsigned i = 0; i < MON_MAX_CLIENTS; i++) {
        const struct mon_client *c = &m->client[i];

        if (c->used && (c->pending[0].len > 0 || c->pending[1].len > 0))
            return false;
    }
    return (m->out[0] < 0 && m->out[1] < 0) || bh_mono_ns() - m->exited_mono_ns > GRACE_NS;
}

void mon_clients_close(struct monitor *m) {
    for (unsigned i = 0; i < MON_MAX_CLIENTS; i++) {
        struct mon_client *c = &m->client[i];

        if (!c->used)
            continue;
        close_fd(&c->in);
        out_close(c, 0);
        out_close(c, 1);
        client_settle(c);
    }
}
