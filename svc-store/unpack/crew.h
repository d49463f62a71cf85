/*
 * crew.h - a few threads that were made before the sandbox closed and wait for work.
 *
 * Room: worker.  After confinement this process can make no thread and no process, so all that a
 * job may need are here from the start.
 */
#ifndef UNP_CREW_H
#define UNP_CREW_H

#include "base/err.h"

#define UNP_CREW 4u

typedef void unp_work_fn(void *arg);

int unp_crew_start(struct bh_err *err);
/* member: 0 .. UNP_CREW - 1; it must be idle. */
void unp_crew_run(unsigned member, unp_work_fn *fn, void *arg);
/* Waits until the member is idle. */
void unp_crew_wait(unsigned member);

#endif
