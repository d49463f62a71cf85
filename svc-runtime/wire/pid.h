/*
 * pid.h - a process named so that a reused number is noticed.
 *
 * Rooms: monitor (writes the record), launch (reads it, perhaps as another launch than the one that
 * started the process).
 */
#ifndef RT_WIRE_PID_H
#define RT_WIRE_PID_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* state/launch/containers/<id>/run, and exec-<exec_id>: whom a signal is for. */
struct rt_pid_record {
    int64_t pid;
    uint64_t start_ticks;
};

/* Field 22 of /proc/PID/stat; 0: no such process. */
uint64_t rt_pid_ticks(pid_t pid);
/* A pidfd of the process recorded in dirfd/name while it lives; BH_E_NOT_FOUND when it has ended or
 * was never there.  out_pid may be NULL. */
int rt_pid_open(int dirfd, const char *name, int *out_pidfd, pid_t *out_pid, struct bh_err *err);

#endif
