/*
 * work.h - what must be done, but nobody should wait for: rows, notes to the store, auto-remove.
 *
 * Room: runtime.  A few threads and one queue.  Jobs of one container may run at the same time and in
 * any order, so each reads the present state instead of carrying one.
 */
#ifndef RT_WORK_H
#define RT_WORK_H

#include "base/err.h"

struct rt_work;
typedef void rt_job(void *room, void *arg);

int rt_work_new(void *room, struct rt_work **out, struct bh_err *err);
void rt_work_add(struct rt_work *w, rt_job *job, void *arg);
/* Returns once nothing is queued or running; for a clean stop. */
void rt_work_drain(struct rt_work *w, int timeout_ms);

#endif
