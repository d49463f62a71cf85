/*
 * transport_nng.h - what transport.c and transport_dial.c share about nng.
 *
 * Room: every room that serves or calls.  Not for other files.
 */
#ifndef BH_RPC_TRANSPORT_NNG_H
#define BH_RPC_TRANSPORT_NNG_H

#include <nng/nng.h>
#include <pthread.h>
#include <signal.h>

#include "rpc/transport.h"

static inline struct bh_msg *bh_msg_of_nng(nng_msg *m) {
    return (struct bh_msg *)m;
}
static inline nng_msg *bh_msg_to_nng(struct bh_msg *m) {
    return (nng_msg *)m;
}

/* nng makes its threads at its first call and they inherit the mask: no signal is for them. */
static inline void bh_nng_signals_block(sigset_t *old) {
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, old);
}
static inline void bh_nng_signals_restore(const sigset_t *old) {
    pthread_sigmask(SIG_SETMASK, old, NULL);
}

/* A context of the socket and the aio that it is used with; false when there is no memory. */
bool bh_nng_ctx_open(nng_socket sock, void (*event)(void *), void *arg, nng_ctx *out_ctx, nng_aio **out_aio);

int bh_nng_err(struct bh_err *err, int rv, const char *what, const char *path);
int bh_nng_url(char *out, size_t size, const char *path, struct bh_err *err);

#endif
