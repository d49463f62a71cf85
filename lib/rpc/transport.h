/*
 * transport.h - messages, requests that wait for a reply, and connections; hides nng.
 *
 * Room: every room that serves or calls.  Only transport.c and client_transport.c include nng, so
 * that another carrier of requests and replies can take its place.  The callbacks below come from the
 * carrier's own threads and must not block.  A peer's bytes are not looked at here.
 */
#ifndef BH_RPC_TRANSPORT_H
#define BH_RPC_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* ---- a message: one contiguous body ------------------------------------------------------ */

struct bh_msg;

struct bh_msg *bh_msg_new(size_t n); /* zeroed; NULL when memory is gone */
void bh_msg_free(struct bh_msg *m);  /* NULL allowed */
uint8_t *bh_msg_data(struct bh_msg *m);
size_t bh_msg_size(const struct bh_msg *m);

/* ---- serving ----------------------------------------------------------------------------- */

struct bh_tserver;
struct bh_slot; /* a request that has not been answered yet */

struct bh_tserver_events {
    void (*joined)(void *self, uint32_t pipe, uid_t uid, gid_t gid, pid_t pid);
    void (*left)(void *self, uint32_t pipe);
    /* slot and message belong to the receiver; it ends the slot with bh_slot_reply or bh_slot_drop */
    void (*request)(void *self, uint32_t pipe, struct bh_slot *slot, struct bh_msg *take_msg);
    void (*sent)(void *self, uint32_t pipe); /* one reply has left for this pipe, or was dropped */
};

/* Binds and makes the carrier's threads; nothing is accepted before bh_tserver_start. */
int bh_tserver_listen(const char *path, mode_t mode, size_t max_message, const struct bh_tserver_events *events,
                      void *self, struct bh_tserver **out, struct bh_err *err);
int bh_tserver_start(struct bh_tserver *t, struct bh_err *err);
void bh_tserver_free(struct bh_tserver *t); /* for tests: a service ends with _exit (docs/protocol.md) */
void bh_tserver_kick(struct bh_tserver *t, uint32_t pipe);
bool bh_tserver_crowded(struct bh_tserver *t); /* nearly all contexts hold a request */
void bh_tserver_tidy(struct bh_tserver *t);    /* give back contexts that a burst has left */
void bh_slot_reply(struct bh_slot *slot, struct bh_msg *take_msg);
void bh_slot_drop(struct bh_slot *slot);

/* ---- calling ----------------------------------------------------------------------------- */

struct bh_tclient;
struct bh_exchange; /* a request on its way and its reply */

/* code 0: reply is the receiver's to free.  BH_E_UNAVAILABLE: the connection was lost. */
typedef void bh_exchange_done(void *arg, int code, struct bh_msg *take_reply);

struct bh_tclient_events {
    void (*up)(void *self);   /* a new connection; may start an exchange */
    void (*down)(void *self); /* it has gone; exchanges on it fail by themselves */
    void (*tick)(void *self); /* what bh_tclient_tick_in asked for */
};

int bh_tclient_open(const char *path, size_t max_message, const struct bh_tclient_events *events, void *self,
                    struct bh_tclient **out, struct bh_err *err);
void bh_tclient_free(struct bh_tclient *t); /* every exchange must have ended */
/* Number of the present connection, 0 when there is none. */
uint64_t bh_tclient_generation(struct bh_tclient *t);
/* Wait for a connection until deadline_ns (monotonic). */
bool bh_tclient_wait(struct bh_tclient *t, int64_t deadline_ns);
void bh_tclient_tick_in(struct bh_tclient *t, int ms); /* one tick at a time */
void bh_tclient_redial(struct bh_tclient *t);          /* replace a dialer that has given up */
/* Takes the message in any case.  Not connected: BH_E_UNAVAILABLE and `done` is not called.  *out (may be
 * NULL) is valid until `done` has returned. */
int bh_exchange_start(struct bh_tclient *t, struct bh_msg *take_msg, bh_exchange_done *done, void *arg,
                      struct bh_exchange **out);
void bh_exchange_cancel(struct bh_exchange *x); /* done comes soon, with BH_E_CANCELLED */

#endif
