/*
 * client_fds.c - descriptors beside a call: one message each way over fd.sock.
 *
 * Room: libbulkhead and the rooms that call the store.  Whoever shows the call's token is believed to be its client, so
 * the token is sent once and to the service's own socket alone.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/mem.h"
#include "rpc/client_stream_priv.h"

static int connect_fds(struct bh_stream *s, const int *fds, unsigned n, struct bh_err *err) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    BH_SCOPE_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (!s->has_token)
        return bh_err_set(err, BH_E_INTERNAL, "stream of %s: the service gave no token for descriptors", s->conn->path);
    if (fd < 0)
        return bh_err_errno(err, errno, "make a socket for descriptors");
    if ((size_t)snprintf(addr.sun_path, sizeof addr.sun_path, "%s/fd.sock", s->conn->dir) >= sizeof addr.sun_path)
        return bh_err_set(err, BH_E_INVALID, "socket path %s/fd.sock: longer than 107 bytes", s->conn->dir);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0)
        return bh_err_errno(err, errno, "connect to %s", addr.sun_path);
    if (bh_fdpass_send(fd, s->token, sizeof s->token, fds, n, err) != 0)
        return bh_err_prefix(err, "%s", addr.sun_path);
    s->has_token = false;
    pthread_mutex_lock(&s->lock);
    s->fd_conn = bh_take_fd(&fd);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

int bh_stream_send_fds(struct bh_stream *s, const int *fds, unsigned n, struct bh_err *err) {
    if ((s->fds & 1) == 0)
        return bh_err_set(err, BH_E_INVALID, "stream of %s: opened without descriptors announced", s->conn->path);
    if (s->fd_conn >= 0)
        return bh_err_set(err, BH_E_INVALID, "stream of %s: its descriptors were sent already", s->conn->path);
    return connect_fds(s, fds, n, err);
}

/* Why no descriptors will come: the call has ended, or the time is over. */
static int no_fds(struct bh_stream *s, struct bh_err *err) {
    int rc = 0;

    pthread_mutex_lock(&s->lock);
    if (s->cancelled || (s->failed != 0 && !s->done))
        rc = bh_stream_error(s, err);
    else if (s->done && s->status.code != 0) {
        *err = s->status;
        rc = err->code;
    } else if (s->deadline != 0 && bh_mono_ns() > s->deadline + BH_STREAM_GRACE_NS)
        rc = bh_err_set(err, BH_E_DEADLINE, "stream of %s: no descriptors in time", s->conn->path);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int bh_stream_recv_fds(struct bh_stream *s, int *fds, unsigned max, unsigned *out_n, struct bh_err *err) {
    struct pollfd v = {.events = POLLIN};
    uint8_t mark;
    size_t got;

    if ((s->fds & 2) == 0)
        return bh_err_set(err, BH_E_INVALID, "stream of %s: opened without descriptors expected", s->conn->path);
    if (s->fd_conn < 0 && connect_fds(s, NULL, 0, err) != 0)
        return err->code;
    v.fd = s->fd_conn;
    while (poll(&v, 1, 50) == 0) {
        if (no_fds(s, err) != 0)
            return err->code;
    }
    if (bh_fdpass_recv(s->fd_conn, &mark, 1, &got, fds, max, out_n, err) != 0)
        return bh_err_prefix(err, "%s/fd.sock", s->conn->dir);
    if (got > 0)
        return 0;
    if (no_fds(s, err) != 0)
        return err->code;
    return bh_err_set(err, BH_E_ABORTED, "stream of %s: the service ended without sending descriptors", s->conn->path);
}
