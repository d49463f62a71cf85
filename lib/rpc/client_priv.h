/*
 * client_priv.h - what client.c and the files of a stream share.
 *
 * Room: libbulkhead and the rooms that call the store.  Not for other files.
 */
#ifndef BH_RPC_CLIENT_PRIV_H
#define BH_RPC_CLIENT_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "rpc/client.h"
#include "rpc/frame.h"
#include "rpc/transport.h"

struct bh_conn {
    char *dir, *path;
    struct bh_tclient *transport;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t epoch;
    uint64_t next_call;
    unsigned pending; /* exchanges that nobody waits for: HELLO, CANCEL */
    struct bh_stream *streams;
    bool ticking; /* a timer tells the service which streams are still wanted */
};

/* A wait for one exchange on the caller's stack. */
struct bh_waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    int code;
    struct bh_msg *reply;
};

uint64_t bh_conn_next_call(struct bh_conn *conn);
/* Waits for a connection, until deadline_ns (0: none) and at most 3 s. */
int bh_conn_ready(struct bh_conn *conn, int64_t deadline_ns, struct bh_err *err);
/* One request and its reply, on the calling thread.  *out_reply is freed with bh_msg_free. */
int bh_conn_exchange(struct bh_conn *conn, struct bh_msg *take_msg, int64_t deadline_ns, struct bh_msg **out_reply,
                     struct bh_err *err);
/* Sends CANCEL and does not wait. */
void bh_conn_send_cancel(struct bh_conn *conn, uint64_t call);
int bh_conn_lost(const struct bh_conn *conn, int code, struct bh_err *err);
/* The error of a DONE frame; 0 when its status is OK. */
int bh_done_error(const bh_envelope *env, struct bh_err *err);
int bh_reply_unpack(const struct bh_frame *frame, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out,
                    struct bh_err *err);
int64_t bh_deadline_in(uint32_t timeout_ms);

void bh_conn_keep_streams(struct bh_conn *conn);

/* client_stream.c; conn->lock is held */
uint64_t bh_stream_id(const struct bh_stream *s);
struct bh_stream *bh_stream_next_of(struct bh_stream *s);

#endif
