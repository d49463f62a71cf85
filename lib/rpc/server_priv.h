/*
 * server_priv.h - what the files of the serving side share: server, peer, call, and who may touch what.
 *
 * Room: every room that serves.  One mutex, server->lock, guards everything here but the fields that
 * are marked otherwise.  Replies are collected in an outbox under the lock and sent after it.
 */
#ifndef BH_RPC_SERVER_PRIV_H
#define BH_RPC_SERVER_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>
#include <utlist.h>

#include "rpc/frame.h"
#include "rpc/server.h"
#include "rpc/transport.h"

#define BH_WINDOW         8 /* slots for each direction of a stream */
#define BH_CALLS_PER_PEER 64
#define BH_CALLS_PER_UID  256
#define BH_HELD_PER_UID   1024 /* requests parked or running */
#define BH_UNSENT_MAX     256
#define BH_PARKED_MAX     ((size_t)16 << 20) /* bytes of PUSH that wait for handlers, for each peer */
#define BH_REQUEST_MAX    (256u << 10)
#define BH_QUEUE_MAX      1024
#define BH_PULL_HOLD_NS   (20 * BH_NSEC)
#define BH_ORPHAN_NS      (60 * BH_NSEC)
#define BH_TOKEN_NS       (10 * BH_NSEC)
#define BH_TOKEN_SIZE     16
#define BH_REFUSALS_MAX   3

/* What one user has under way, over all its connections. */
struct bh_uid_use {
    uid_t uid;
    unsigned peers, calls, held;
    UT_hash_handle hh;
};

struct bh_peer_link {
    uint32_t pipe;
    struct bh_peer who;
    struct bh_uid_use *use;
    struct bh_call *calls;
    unsigned n_calls, unsent, refused;
    size_t parked;
    int64_t kick_at; /* 0: not */
    UT_hash_handle hh;
};

struct bh_pull {
    struct bh_slot *slot;
    int64_t since;
    bool last; /* the client's only request: its DONE ends the call without a CANCEL */
};

struct bh_push {
    struct bh_slot *slot;
    struct bh_msg *msg;
    size_t offset, len;
    bool end;
};

enum bh_call_state { CALL_QUEUED, CALL_RUNNING, CALL_FINISHED };

struct bh_call {
    struct bh_server *server;
    struct bh_peer_link *peer; /* NULL once it has gone */
    struct bh_uid_use *use;
    struct bh_peer who;
    uint64_t id;
    const struct bh_service *service;
    const struct bh_method *method;
    const ProtobufCMethodDescriptor *desc;

    enum bh_call_state state;
    bool stream; /* opened as one: PULL and PUSH, DONE is kept */
    bool closed; /* the client does not want the outcome, or cannot get it */
    bool ended;  /* status is decided, maybe before the handler has returned */
    atomic_bool cancelled;
    int cancel_fd;
    int status; /* BH_E_* */
    struct bh_err err;

    struct bh_slot *slot; /* unary: the request that waits */
    struct bh_pull pull[BH_WINDOW];
    struct bh_push push[BH_WINDOW];
    uint64_t out_seq, in_seq;
    bool in_end;
    bool deaf;              /* the handler receives no more */
    struct bh_msg *current; /* chunk that the handler reads now; handler's thread only */
    struct bh_msg *reply;   /* handler's thread until finished */
    pthread_cond_t changed;

    struct bh_msg *request; /* the packed request, until it is unpacked */
    size_t request_off, request_len;
    struct bh_arena arena; /* handler's thread only */

    int64_t opened, deadline, active, finished; /* monotonic; deadline 0: none */

    unsigned fds; /* Envelope.fds */
    uint8_t token[BH_TOKEN_SIZE];
    int64_t token_until; /* 0: none or used */
    int fd_conn;
    int *fds_in; /* descriptors that came, not yet taken */
    unsigned n_fds_in;
    bool fds_ready;

    struct bh_call *next, *prev;             /* of the peer */
    struct bh_call *all_next, *all_prev;     /* of the server */
    struct bh_call *queue_next, *queue_prev; /* waiting for a thread */
};

/* ---- outbox: replies that go out when the lock is released -------------------------------- */

#define BH_OUTBOX_MAX (2 * BH_WINDOW + 2)

struct bh_outbox {
    struct {
        struct bh_slot *slot;
        struct bh_msg *msg; /* NULL: drop */
    } v[BH_OUTBOX_MAX];
    unsigned n;
    uint32_t kick; /* connection to end, 0: none */
};

/* ---- pool ---------------------------------------------------------------------------------- */

struct bh_pool {
    pthread_cond_t work;
    struct bh_call *queue;
    unsigned queued, threads, idle, max;
    bool stopping;
};

struct bh_fd_pending; /* a connection on fd.sock that has not shown its token */

struct bh_server {
    struct bh_server_config config;
    char *dir, *name;
    uint64_t epoch;
    struct bh_tserver *transport;
    pthread_mutex_t lock;
    struct bh_peer_link *peers; /* by pipe */
    struct bh_uid_use *uses;    /* by uid */
    struct bh_call *calls;
    unsigned n_calls;
    struct bh_pool pool;
    unsigned unsent;
    bool draining;
    bool busy_since_trim;
    int64_t next_wake, last_join;
    atomic_bool stop;
    int wake_fd;
    int fd_listener;
    struct bh_fd_pending *pending;
    unsigned n_pending;
};

/* peer.c; the lock is held */
struct bh_peer_link *bh_peer_add(struct bh_server *s, uint32_t pipe, uid_t uid, gid_t gid, pid_t pid, unsigned roles);
struct bh_peer_link *bh_peer_find(struct bh_server *s, uint32_t pipe);
void bh_peer_remove(struct bh_server *s, struct bh_peer_link *p);
struct bh_call *bh_peer_call(struct bh_peer_link *p, uint64_t id);
void bh_use_put(struct bh_server *s, struct bh_uid_use *use); /* frees it when nothing counts on it */
unsigned bh_peer_roles(const struct bh_server *s, uid_t uid, gid_t gid);

/* outbox: peer.c; p may be NULL (gone): the request is dropped */
void bh_outbox_add(struct bh_server *s, struct bh_outbox *o, struct bh_peer_link *p, struct bh_slot *slot,
                   struct bh_msg *take_msg);
void bh_outbox_flush(struct bh_server *s, struct bh_outbox *o); /* without the lock */
void bh_server_wake(struct bh_server *s, int64_t at);           /* the timekeeper shall look at `at`; lock held */

/* dispatch.c: events of the transport */
extern const struct bh_tserver_events bh_dispatch_events;
/* dispatch.c: the handler of one call, on a pool thread, without the lock */
void bh_dispatch_run(struct bh_call *call);

/* call.c; the lock is held */
struct bh_call *bh_call_new(struct bh_server *s, struct bh_peer_link *p);
void bh_call_answer(struct bh_call *c, struct bh_slot **slot, struct bh_msg *take_msg, struct bh_outbox *o);
void bh_call_answer_done(struct bh_call *c, struct bh_slot **slot, bool with_reply, struct bh_outbox *o);
void bh_call_end(struct bh_call *c, int status, const char *text, struct bh_outbox *o); /* cancel, deadline */
void bh_call_finish(struct bh_call *c, int status, const struct bh_err *err, struct bh_outbox *o);
void bh_call_orphan(struct bh_call *c, struct bh_outbox *o); /* the peer has gone */
void bh_call_free(struct bh_call *c);
struct bh_msg *bh_done_frame(uint64_t id, int status, const struct bh_err *err, uint64_t seq);

/* stream.c; the lock is held */
/* The call may be gone afterwards. */
void bh_stream_pull(struct bh_call *c, const bh_envelope *env, struct bh_slot *slot, struct bh_outbox *o);
void bh_stream_push(struct bh_call *c, const bh_envelope *env, struct bh_slot *slot, struct bh_msg *take_msg,
                    size_t offset, size_t len, struct bh_outbox *o);
void bh_stream_answer_all(struct bh_call *c, struct bh_outbox *o);
void bh_stream_idle(struct bh_call *c, int64_t now, struct bh_outbox *o);
int64_t bh_stream_next(const struct bh_call *c); /* when a parked PULL has waited long enough */
bool bh_stream_parked(const struct bh_call *c);

/* pool.c */
void bh_pool_init(struct bh_pool *p, unsigned max);
int bh_pool_add(struct bh_server *s, struct bh_call *c); /* lock held; -1: no thread can be had */

/* fdchannel.c */
int bh_fdchannel_listen(struct bh_server *s, struct bh_err *err);
void bh_fdchannel_offer(struct bh_call *c); /* token; lock held */
struct pollfd;
unsigned bh_fdchannel_poll(struct bh_server *s, struct pollfd *v, unsigned max);
void bh_fdchannel_serve(struct bh_server *s, const struct pollfd *v, unsigned n);
int64_t bh_fdchannel_next(const struct bh_server *s);
void bh_fdchannel_close(struct bh_server *s);
void bh_fdchannel_drop(struct bh_call *c);

#endif
