/*
 * client.h - the calling side: a connection to one service, unary calls, streams, descriptors.
 *
 * Room: libbulkhead, and the rooms that call the store.  Thread-safe: several threads may use one
 * connection; one thread may send and another receive on one stream; bh_stream_cancel may come
 * from any thread.  Nothing here prints, exits or keeps global state.
 */
#ifndef BH_RPC_CLIENT_H
#define BH_RPC_CLIENT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct bh_conn;
struct bh_stream;

/* dir: folder of the service's sockets ("/run/bulkhead/store").  Dials in the background; the first
 * call waits for the connection at most 3 s (or its own deadline) and then fails as UNAVAILABLE. */
int bh_conn_open(const char *dir, struct bh_conn **out, struct bh_err *err);
void bh_conn_close(struct bh_conn *conn);
/* Random id of the service instance; changes when the service restarts.  0 before the first contact. */
uint64_t bh_conn_epoch(struct bh_conn *conn);

/* method: "bulkhead.store.v1.Store/ImageList".  reply_type: descriptor of the expected reply.
 * *out_reply is freed with protobuf_c_message_free_unpacked(reply, NULL).  timeout_ms 0: none.
 * BH_CALL_IDEMPOTENT: sent once more after UNAVAILABLE. */
enum bh_call_flags { BH_CALL_IDEMPOTENT = 1 << 0 };
int bh_conn_call(struct bh_conn *conn, const char *method, const ProtobufCMessage *request,
                 const ProtobufCMessageDescriptor *reply_type, uint32_t timeout_ms, unsigned flags,
                 ProtobufCMessage **out_reply, struct bh_err *err);

struct bh_stream_options {
    uint32_t timeout_ms; /* 0: none */
    unsigned window;     /* chunks in flight each way; 0: 4, or 1 when descriptors travel */
    bool announce_fds;   /* this side will send descriptors with bh_stream_send_fds */
    bool expect_fds;     /* the service will send some: bh_stream_recv_fds */
};

/* Opens a call of any kind (a unary one too, when descriptors travel beside it). */
int bh_stream_open(struct bh_conn *conn, const char *method, const ProtobufCMessage *request,
                   const struct bh_stream_options *options, struct bh_stream **out, struct bh_err *err);
int bh_stream_send_fds(struct bh_stream *s, const int *fds, unsigned n, struct bh_err *err); /* keeps the caller's */
int bh_stream_recv_fds(struct bh_stream *s, int *fds, unsigned max, unsigned *out_n, struct bh_err *err);

/* A call that the service has ended already: its error; without one ABORTED, which closing is not. */
int bh_stream_send(struct bh_stream *s, const void *data, size_t n, struct bh_err *err);
int bh_stream_close_send(struct bh_stream *s, struct bh_err *err); /* half-close */
/* Next chunk; *out_n == 0 and *out == NULL: the service has finished its side (call bh_stream_finish
 * for the status).  Valid until the next receive. */
int bh_stream_recv(struct bh_stream *s, const void **out, size_t *out_n, struct bh_err *err);
/* Waits for the end, drops unread chunks, returns the status.  out_reply may be NULL; else it gets the
 * message that the handler replied with, or NULL. */
int bh_stream_finish(struct bh_stream *s, const ProtobufCMessageDescriptor *reply_type, ProtobufCMessage **out_reply,
                     struct bh_err *err);
void bh_stream_cancel(struct bh_stream *s); /* any thread; the stream's calls return CANCELLED */
void bh_stream_free(struct bh_stream *s);   /* cancels when not finished; NULL allowed */

/* A reply, a stream, of this scope. */
void bh_scope_msg(ProtobufCMessage **msg);
void bh_scope_stream(struct bh_stream **s);
#define BH_SCOPE_MSG    BH_SCOPE(bh_scope_msg)
#define BH_SCOPE_STREAM BH_SCOPE(bh_scope_stream)

#endif
