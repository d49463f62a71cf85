/*
 * fdmsg.c - sendmsg and recvmsg with SCM_RIGHTS, in one place.
 *
 * Room: both ends of fd.sock.  Trusts neither the number of descriptors nor the length that comes.
 * Must not leak a descriptor on any path.
 */
#include "rpc/fdmsg.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX 253 /* SCM_MAX_FD of the kernel */

void bh_fds_close(const int *fds, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        close(fds[i]);
}

int bh_fdmsg_send(int sock, const void *data, size_t n, const int *fds, unsigned n_fds) {
    alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_MAX * sizeof(int))];
    struct iovec iov = {.iov_base = (void *)data, .iov_len = n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t sent;

    if (n_fds > FDS_MAX) {
        errno = EINVAL;
        return -1;
    }
    if (n_fds > 0) {
        struct cmsghdr *c;

        memset(control, 0, sizeof control);
        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    do
        sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

/* Descriptors of one control message, behind those of earlier ones.  Returns how many came. */
static unsigned collect(struct cmsghdr *c, int all[FDS_MAX], unsigned have) {
    unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

    if (n > FDS_MAX - have) /* there is no room for more in the control data */
        n = FDS_MAX - have;
    memcpy(all + have, CMSG_DATA(c), n * sizeof(int));
    return n;
}

ssize_t bh_fdmsg_recv(int sock, void *data, size_t size, int *fds, unsigned max, unsigned *out_n) {
    alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_MAX * sizeof(int))];
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int all[FDS_MAX]; /* fds stays as it is when the message is refused: its owner closes what it finds there */
    unsigned n = 0;
    ssize_t got;

    *out_n = 0;
    do
        got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            n += collect(c, all, n);
    }
    if (n > max || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        bh_fds_close(all, n);
        errno = EMSGSIZE;
        return -1;
    }
    if (got == 0) { /* the same as an end to who asked: what lies beside no byte at all is nobody's */
        bh_fds_close(all, n);
        n = 0;
    }
    if (n > 0)
        memcpy(fds, all, n * sizeof *fds);
    *out_n = n;
    return got;
}
