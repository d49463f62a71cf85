/*
 * stop.h - the end of an operation before its time, told to all that work for it.
 *
 * Room: registry.  An operation (a pull, push, copy) has one; it is set when the client has cancelled or gone, and
 * when one piece has failed so that the others need not go on.  What waits for the network has `fd` beside its
 * descriptors; what waits for the store is ended by `kick`.
 */
#ifndef REG_STOP_H
#define REG_STOP_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"

struct reg_stop {
    int fd; /* readable: stop now */
    bool set;
    pthread_mutex_t lock;
    void (*kick)(void *arg); /* called once, by the thread that stops; may be NULL */
    void *arg;
    pthread_t watcher;
    int cancel_fd, quit_fd;
};

/* Watches cancel_fd until reg_stop_fini. */
int reg_stop_init(struct reg_stop *s, int cancel_fd, void (*kick)(void *arg), void *arg, struct bh_err *err);
void reg_stop_fini(struct reg_stop *s);
void reg_stop_now(struct reg_stop *s); /* any thread */
bool reg_stop_is_set(struct reg_stop *s);
/* BH_E_CANCELLED once it is set. */
int reg_stop_check(struct reg_stop *s, struct bh_err *err);

#endif
