/*
 * client_stream_priv.h - a stream of a client: its state, and what client_stream.c, client_window.c and client_fds.c
 * share of it.
 *
 * Room: libbulkhead and the rooms that call the store.  Not for other files.
 */
#ifndef BH_RPC_CLIENT_STREAM_PRIV_H
#define BH_RPC_CLIENT_STREAM_PRIV_H

#include "base/clock.h"
#include "rpc/client_priv.h"

#define BH_STREAM_WINDOW_MAX 8
#define BH_STREAM_TOKEN_SIZE 16
#define BH_STREAM_GRACE_NS   (BH_NSEC / 20)

enum bh_slot_state { BH_SLOT_FREE, BH_SLOT_ASKED, BH_SLOT_READY };

struct bh_slot {
    struct bh_stream *s;
    struct bh_exchange *x;
    enum bh_slot_state state;
    uint64_t seq;
    bool last;          /* the only request of the stream: its DONE ends the call at the service too */
    struct bh_msg *msg; /* BH_SLOT_READY */
    size_t offset, len;
};

struct bh_stream {
    struct bh_conn *conn;
    struct bh_stream *next, *prev;
    uint64_t id;
    int64_t deadline; /* monotonic, 0: none */
    unsigned window;
    pthread_mutex_t lock;
    pthread_cond_t changed;

    struct bh_slot pull[BH_STREAM_WINDOW_MAX], push[BH_STREAM_WINDOW_MAX];
    uint64_t next_pull, next_recv, next_push;
    unsigned pushing, exchanges; /* under way */
    bool sent_end, sent_any;
    struct bh_msg *current; /* what the caller reads now */

    bool cancelled, finished, closed; /* closed: the service has forgotten the call */
    int failed;                       /* BH_E_*: no DONE will come */
    bool done;                        /* DONE has come: */
    uint64_t final_seq;               /* this many chunks exist */
    struct bh_err status;
    struct bh_msg *reply; /* frame of the DONE that has a payload */

    unsigned fds;
    uint8_t token[BH_STREAM_TOKEN_SIZE];
    bool has_token;
    int fd_conn;
};

/* client_window.c: what was asked for ahead of its use, and what was pushed and not acknowledged; s->lock is held. */
void bh_stream_fail(struct bh_stream *s, int code);
/* Asks for the chunk seq, in its slot. */
int bh_window_pull(struct bh_stream *s, struct bh_slot *p, uint64_t seq);
/* Ask for every chunk of the window that has not been asked for. */
void bh_window_pull_ahead(struct bh_stream *s);
/* Of a PUSH, from nng's threads, without the lock; arg is its slot. */
void bh_window_push_done(void *arg, int code, struct bh_msg *take_reply);

/* client_stream.c; s->lock is held.  Why it was cancelled or has failed: err->code. */
int bh_stream_error(struct bh_stream *s, struct bh_err *err);
/* Waits for a change; false when the deadline has passed. */
bool bh_stream_wait(struct bh_stream *s);

#endif
