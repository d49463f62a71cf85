/*
 * serve.h - a room that serves: from its arguments to its last reply, in the one order of proc/room.h.
 *
 * Room: store, registry, build, runtime.  What differs between them is in struct bh_serve; what must not (closed
 * before a byte is taken, roles from the kernel's word alone) is here.
 */
#ifndef BH_SERVE_H
#define BH_SERVE_H

#include "proc/room.h"
#include "rpc/server.h"

struct bh_serve {
    struct bh_room_spec spec;
    const struct bh_service *service;
    void *state;      /* first argument of every handler */
    unsigned threads; /* as in bh_server_config; 0: its default */
    unsigned calls_per_peer;
    /* The room is closed, nothing is served yet: make what the handlers need. */
    int (*open)(void *arg, struct bh_err *err);
    void (*ready)(void *arg);                 /* NULL; room->control is there, nothing is served yet */
    void (*stop)(void *arg);                  /* NULL; control thread, before running calls are told to end */
    void (*reload)(void *arg, int config_fd); /* NULL; control thread; owns the descriptor */
    void *arg;
};

/* Returns when the server has stopped, or with what kept it from serving.  s lives as long as the process. */
int bh_serve(struct bh_room *room, const struct bh_serve *s, int argc, char **argv, struct bh_err *err);

#endif
