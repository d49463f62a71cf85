/*
 * cond.c - see cond.h.
 */
#include "base/cond.h"

#include <time.h>

#include "base/clock.h"

void bh_cond_init(pthread_cond_t *c) {
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

bool bh_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *lock, int64_t until_ns) {
    const struct timespec until = {.tv_sec = until_ns / BH_NSEC, .tv_nsec = until_ns % BH_NSEC};

    if (until_ns == 0)
        return pthread_cond_wait(c, lock) == 0;
    return pthread_cond_timedwait(c, lock, &until) == 0;
}
