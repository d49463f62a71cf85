/*
 * fdpass.c - owns the layout of SCM_RIGHTS control data; the contract is in fdpass.h.
 *
 * Room: all, also the privileged ones.  Trusts the kernel, not the peer.  Must not allocate, must
 * not keep a descriptor that it does not hand to the caller.
 */
#include "base/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Room for the kernel's limit, so that control data is cut only by a kernel that changed it. */
#define KERNEL_MAX_FDS 253

union control {
    char bytes[CMSG_SPACE(sizeof(int) * KERNEL_MAX_FDS)];
    struct cmsghdr align;
};

void bh_fdpass_close(int *fds, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

static int send_with(int sock, const void *msg, size_t n, const int *fds, unsigned n_fds, int flags,
                     struct bh_err *err) {
    union control control;
    struct iovec iov = {.iov_base = (void *)msg, .iov_len = n};
    struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t sent;

    if (n == 0 || n_fds > BH_FDPASS_MAX)
        return bh_err_set(err, BH_E_INVALID, "send message: %zu bytes with %u descriptors, at most %d", n, n_fds,
                          BH_FDPASS_MAX);
    if (n_fds > 0) {
        memset(&control, 0, CMSG_SPACE(sizeof(int) * n_fds));
        hdr.msg_control = control.bytes;
        hdr.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    do
        sent = sendmsg(sock, &hdr, MSG_NOSIGNAL | flags);
    while (sent < 0 && errno == EINTR);
    if (sent == (ssize_t)n)
        return BH_FDPASS_OK;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return BH_FDPASS_AGAIN;
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN))
        return bh_err_set(err, BH_E_UNAVAILABLE, "send message: the other side has gone");
    return bh_err_errno(err, sent < 0 ? errno : EMSGSIZE, "send message of %zu bytes", n);
}

int bh_fdpass_send(int sock, const void *msg, size_t n, const int *fds, unsigned n_fds, struct bh_err *err) {
    return send_with(sock, msg, n, fds, n_fds, 0, err);
}

int bh_fdpass_try_send(int sock, const void *msg, size_t n, const int *fds, unsigned n_fds, struct bh_err *err) {
    return send_with(sock, msg, n, fds, n_fds, MSG_DONTWAIT, err);
}

/* Moves all descriptors of the message into all[], in order.  Returns how many. */
static unsigned collect(struct msghdr *hdr, int all[KERNEL_MAX_FDS]) {
    unsigned n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < count && n < KERNEL_MAX_FDS; i++)
            memcpy(&all[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return n;
}

int bh_fdpass_recv(int sock, void *msg, size_t max, size_t *out_n, int *fds, unsigned max_fds, unsigned *out_n_fds,
                   struct bh_err *err) {
    union control control;
    struct iovec iov = {.iov_base = msg, .iov_len = max};
    struct msghdr hdr = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    int all[KERNEL_MAX_FDS];
    ssize_t got;

    do
        got = recvmsg(sock, &hdr, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return BH_FDPASS_AGAIN;
    if (got < 0 && errno != ECONNRESET)
        return bh_err_errno(err, errno, "receive message");
    if (got < 0)
        got = 0;

    unsigned n = collect(&hdr, all);
    if ((hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || n > max_fds) {
        bh_fdpass_close(all, n);
        return bh_err_set(err, BH_E_INVALID, "receive message: %s",
                          (hdr.msg_flags & MSG_TRUNC)    ? "longer than any that is known"
                          : (hdr.msg_flags & MSG_CTRUNC) ? "its descriptors were cut"
                                                         : "more descriptors than expected");
    }
    if (got == 0) { /* the same as an end to who asked: what lies beside no byte at all is nobody's */
        bh_fdpass_close(all, n);
        n = 0;
    }
    if (n > 0)
        memcpy(fds, all, sizeof(int) * n);
    if (out_n_fds)
        *out_n_fds = n;
    *out_n = (size_t)got;
    return BH_FDPASS_OK;
}
