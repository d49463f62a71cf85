/*
 * waitq.h - a lock, and threads that wait until what it guards has changed.
 *
 * Room: runtime.  A waiter sleeps in poll, not in a condition variable, so that the end of its own
 * call (cancelled, client gone) wakes it as well and nobody has to look round now and then.
 */
#ifndef RT_WAITQ_H
#define RT_WAITQ_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"

struct rt_waiter;

struct rt_waitq {
    pthread_mutex_t lock; /* guards what the queue belongs to */
    struct rt_waiter *head;
};

void rt_waitq_init(struct rt_waitq *q);
void rt_waitq_fini(struct rt_waitq *q);
/* With the lock held: everybody looks again. */
void rt_waitq_wake(struct rt_waitq *q);
/* Until pred(arg), which is called with the lock held.  timeout_ms < 0: no limit.  cancel_fd readable
 * (or -1): BH_E_CANCELLED.  BH_E_DEADLINE when the time is over. */
int rt_waitq_wait(struct rt_waitq *q, bool (*pred)(void *arg), void *arg, int timeout_ms, int cancel_fd,
                  struct bh_err *err);

#endif
