/*
 * cancel.h - ending what a build waits for: every long call is noted here while it lasts.
 *
 * Room: build.  One per build.  Once set it stays set: calls that begin later end at once.
 */
#ifndef BUILD_CANCEL_H
#define BUILD_CANCEL_H

#include <pthread.h>
#include <stdbool.h>

#include "rpc/client.h"

struct build_wait {
    struct bh_stream *stream;
    struct build_wait *next;
};

struct build_cancel {
    pthread_mutex_t lock;
    struct build_wait *waits;
    bool set;
};

void build_cancel_init(struct build_cancel *c);
void build_cancel_fini(struct build_cancel *c);
void build_cancel_set(struct build_cancel *c);
bool build_cancelled(struct build_cancel *c);
/* c NULL: nobody will end it. */
void build_wait_begin(struct build_cancel *c, struct build_wait *w, struct bh_stream *stream);
void build_wait_end(struct build_cancel *c, struct build_wait *w);

#endif
