/*
 * server.h - the serving side: listen, and what a handler can do with its call.
 *
 * Room: store, registry, build, runtime.  Frames, call life cycle and limits are told in
 * docs/protocol.md.  Handlers run on a bounded pool of threads and may block.
 */
#ifndef BH_RPC_SERVER_H
#define BH_RPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"
#include "rpc/method.h"

struct bh_peer {
    uid_t uid;
    gid_t gid;
    pid_t pid; /* for the log only: it may be reused */
    unsigned roles;
};

struct bh_server_config {
    const char *dir;          /* holds rpc.sock and fd.sock; this process may create them there */
    mode_t mode;              /* of both sockets, 0660 or 0666 */
    const char *service_name; /* "store", in logs and Version */
    const struct bh_service *services;
    unsigned n_services;
    void *room; /* first argument of every handler */
    /* uid -> roles for uids that are not 0; called in the accept path, must not block */
    unsigned (*roles_of)(void *roles_arg, uid_t uid, gid_t gid);
    void *roles_arg;
    unsigned threads;        /* handler threads at most; 0: 64 */
    unsigned calls_per_peer; /* 0: 64 */
};

struct bh_server;

/* Two steps, because a room confines itself between them: bind needs the folder and makes nng's
 * threads; nothing is accepted before bh_server_run. */
int bh_server_listen(const struct bh_server_config *config, struct bh_server **out, struct bh_err *err);
/* Serve until bh_server_stop; answers running calls, then returns. */
int bh_server_run(struct bh_server *server, struct bh_err *err);
void bh_server_stop(struct bh_server *server); /* from any thread or a signal handler */
/* For tests, after bh_server_run has returned.  A service ends with _exit instead: closing nng 1.5.2 is
 * where it has its races. */
void bh_server_free(struct bh_server *server);

/* Handlers for the two methods that every service has (messages: common.proto). */
bh_handler bh_rpc_ping;
bh_handler bh_rpc_version;

/* ---- inside a handler -------------------------------------------------------------------- */

const struct bh_peer *bh_call_peer(const struct bh_call *call);
uint64_t bh_call_id(const struct bh_call *call); /* for logs */
struct bh_arena *bh_call_arena(struct bh_call *call);
/* True once the client has cancelled or gone, or the deadline has passed. */
bool bh_call_cancelled(const struct bh_call *call);
/* Readable from that moment on; for poll beside other descriptors.  Do not read or close it. */
int bh_call_cancel_fd(struct bh_call *call);

int bh_call_reply(struct bh_call *call, const ProtobufCMessage *reply, struct bh_err *err);

/* Streams.  One thread may send while another receives.  Each blocks until the client has asked for
 * (taken) the chunk: memory is bounded by the window.  At most 1 MiB a chunk; longer is split by
 * bh_call_send_bytes. */
int bh_call_send_bytes(struct bh_call *call, const void *data, size_t n, struct bh_err *err);
int bh_call_send_msg(struct bh_call *call, const ProtobufCMessage *msg, struct bh_err *err);
/* The next chunk of the client; *out_n == 0 and *out == NULL: the client has closed its side.
 * The bytes are valid until the next receive. */
int bh_call_recv_bytes(struct bh_call *call, const void **out, size_t *out_n, struct bh_err *err);
/* From another thread: the receiver gets the end of the client's side now, whether it has come or not. */
void bh_call_stop_recv(struct bh_call *call);

/* Descriptors beside a call (methods with BH_METHOD_FDS; local callers only).
 * take: wait until the client has sent its descriptors; ownership passes to the handler.
 * give: hand descriptors to the client, which waits for them; the handler keeps its own copies. */
#define BH_CALL_MAX_FDS 250
bool bh_call_wants_fds(const struct bh_call *call); /* the client opened the call with descriptors announced */
int bh_call_take_fds(struct bh_call *call, int *fds, unsigned max, unsigned *out_n, struct bh_err *err);
int bh_call_give_fds(struct bh_call *call, const int *fds, unsigned n, struct bh_err *err);
/* A new pipe whose write end only the client holds after this: its close is the end of the bytes.  The read end is the
 * handler's.  beside: a descriptor that goes along, and stays the caller's; -1: none. */
int bh_call_give_pipe(struct bh_call *call, int beside, int *out_fd, struct bh_err *err);

#endif
