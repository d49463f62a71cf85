/*
 * enter.h - an exec session without an OCI runtime: what the monitor's child takes into the container.
 *
 * Room: monitor, before it has dropped its rights, and its child, which is root of the container's user
 * namespace alone from the moment on that it joins.
 */
#ifndef MON_ENTER_H
#define MON_ENTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#define MON_MAX_CGROUPS 64

/* What went wrong, as the child tells it. */
enum mon_step {
    MON_STEP_STARTED, /* nothing: value is the pid */
    MON_STEP_CGROUP,
    MON_STEP_JOIN,
    MON_STEP_ORDERS,
    MON_STEP_TERMINAL,
    MON_STEP_LIMIT,
    MON_STEP_FOLDER, /* what: the working folder */
    MON_STEP_FILTER,
    MON_STEP_USER,
    MON_STEP_PROGRAM, /* it was looked for */
    MON_STEP_EXEC,    /* it was found */
    MON_STEP_N
};

struct mon_step_report {
    uint32_t step;
    int32_t value; /* pid or errno */
    char what[240];
};

struct mon_enter {
    int cgroup[MON_MAX_CGROUPS]; /* version 1: `tasks` of each hierarchy */
    unsigned n_cgroups;
    int cgroup_v2; /* folder, -1: none */
    struct sock_filter filter[BPF_MAXINSNS];
    unsigned n_filter; /* 0: none */
    unsigned filter_flags;
    int report, terminal, stdio[3]; /* our ends; terminal: a socket that the master goes through */
    bool oom_set;
    int oom_score_adj;
};

/* inside.c: from here on in the container.  orders: a memfd, struct rt_enter.  Ends in the program, or tells why not.
 */
_Noreturn void mon_inside(const struct mon_enter *e, int orders);
/* Also there: tells it and ends the process. */
_Noreturn void mon_step_failed(const struct mon_enter *e, enum mon_step step, int error, const char *what);

#endif
