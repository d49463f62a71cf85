/*
 * fdmsg.h - one SEQPACKET message with descriptors beside it, as fd.sock carries them.
 *
 * Room: both ends of fd.sock.  What comes in is counted, close-on-exec and complete, or refused.
 */
#ifndef BH_RPC_FDMSG_H
#define BH_RPC_FDMSG_H

#include <stddef.h>
#include <sys/types.h>

/* 0, or -1 with errno (EAGAIN when the socket is full). */
int bh_fdmsg_send(int sock, const void *data, size_t n, const int *fds, unsigned n_fds);
/* Bytes read (0: the peer has closed, or has sent no byte, and what lay beside it is closed), or -1 with errno;
 * EMSGSIZE: more bytes or descriptors than there is room for, all of them closed and fds untouched. */
ssize_t bh_fdmsg_recv(int sock, void *data, size_t size, int *fds, unsigned max, unsigned *out_n);
void bh_fds_close(const int *fds, unsigned n);

#endif
