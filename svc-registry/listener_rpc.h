/*
 * listener_rpc.h - the client of a call as a listener (event.h): events go out one after the other.
 *
 * Room: registry, for *_rpc.c.
 */
#ifndef REG_LISTENER_RPC_H
#define REG_LISTENER_RPC_H

#include <protobuf-c/protobuf-c.h>
#include <pthread.h>

#include "rpc/server.h"
#include "svc-registry/event.h"

struct reg_client {
    struct bh_call *call;
    pthread_mutex_t lock;
};
#define REG_CLIENT_INIT(c)                                                                                             \
    { .call = (c), .lock = PTHREAD_MUTEX_INITIALIZER }

/* Of an event's text, which may be NULL. */
char *reg_event_text(const char *s);
/* From any thread.  Mere progress is left out while another thread writes. */
int reg_client_tell(struct reg_client *c, const struct reg_event *e, const ProtobufCMessage *msg, struct bh_err *err);

#endif
