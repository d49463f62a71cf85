/*
 * fdpass.h - one message and its descriptors over a SOCK_SEQPACKET (or SOCK_DGRAM) unix socket.
 *
 * Room: all; nng carries no descriptors, this does.  Received descriptors are close-on-exec.  The
 * peer is not trusted: a message that is too long, control data that was cut, or more descriptors
 * than the caller has room for is refused, and whatever arrived with it is closed.  What the bytes
 * mean is the caller's concern.
 */
#ifndef BH_BASE_FDPASS_H
#define BH_BASE_FDPASS_H

#include <stddef.h>

#include "base/err.h"

#define BH_FDPASS_MAX 250 /* descriptors in one message; the kernel's own limit is 253 */

enum bh_fdpass { BH_FDPASS_OK = 0, BH_FDPASS_AGAIN = 1 };

/* Sends msg[0..n), n > 0, as one message; the caller keeps fds.  BH_FDPASS_AGAIN: the socket is
 * non-blocking and full.  BH_E_UNAVAILABLE: the peer has gone.  Never raises SIGPIPE. */
int bh_fdpass_send(int sock, const void *msg, size_t n, const int *fds, unsigned n_fds, struct bh_err *err);

/* Does not wait, whatever the other holders of the socket have set. */
int bh_fdpass_try_send(int sock, const void *msg, size_t n, const int *fds, unsigned n_fds, struct bh_err *err);

/* Receives one message of at most max bytes.  *out_n == 0: the peer has closed its end (or sent no byte: what lay
 * beside it is closed).
 * fds[0..*out_n_fds) belong to the caller.  With max_fds 0 fds and out_n_fds may be NULL.
 * BH_FDPASS_AGAIN: the socket is non-blocking and empty.  BH_E_INVALID: refused, see above. */
int bh_fdpass_recv(int sock, void *msg, size_t max, size_t *out_n, int *fds, unsigned max_fds, unsigned *out_n_fds,
                   struct bh_err *err);

/* Close fds[0..n) and make them -1. */
void bh_fdpass_close(int *fds, unsigned n);

#endif
