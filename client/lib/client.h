/*
 * client.h - inside of a bulkhead client; seen by client/lib only.
 */
#ifndef BULKHEAD_LIB_CLIENT_H
#define BULKHEAD_LIB_CLIENT_H

#include <protobuf-c/protobuf-c.h>
#include <pthread.h>

#include "base/err.h"
#include "bulkhead/bulkhead.h"
#include "rpc/client.h"

enum { SERVICE_STORE, SERVICE_RUNTIME, SERVICE_REGISTRY, SERVICE_BUILD, SERVICE_COUNT };

struct bulkhead {
    char *dir; /* holds store/, runtime/, ... */
    pthread_mutex_t lock;
    struct bh_conn *conn[SERVICE_COUNT]; /* made when first used, under lock */
    bulkhead_stream *streams;            /* open ones, for bulkhead_cancel; under lock */
    bool cancelled;
};

struct bulkhead_stream {
    struct bulkhead *client;
    struct bh_stream *stream;
    const ProtobufCMessageDescriptor *reply_type;
    bulkhead_stream *next, **link;
};

struct method {
    int service;
    char name[128]; /* "bulkhead.store.v1.Store/ImageList" */
    const ProtobufCMessageDescriptor *request, *reply;
};

int client_method(const char *service, const char *method, struct method *out, struct bh_err *err);
int client_conn(bulkhead *b, int service, struct bh_conn **out, struct bh_err *err);
/* Copy the error out; returns its code. */
int client_fail(const struct bh_err *from, struct bulkhead_error *to);

#endif
