/*
 * cond.h - condition variables that wait by the clock that nobody sets.
 *
 * Room: all.
 */
#ifndef BH_BASE_COND_H
#define BH_BASE_COND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* For bh_cond_wait_until; ends with pthread_cond_destroy. */
void bh_cond_init(pthread_cond_t *c);
/* Waits with `lock` held until it is woken, which can be for nothing, or until bh_mono_ns() has reached `until_ns`; 0
 * is never.  False when the time has passed. */
bool bh_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *lock, int64_t until_ns);

#endif
