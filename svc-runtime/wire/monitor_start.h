/*
 * monitor_start.h - what launch hands to a monitor when it starts one, and the first word back.
 *
 * Rooms: launch (writes the orders, reads the report) and monitor.  Both are ours and of the same
 * build; the layout is fixed so that neither parses anything.  Descriptors have fixed numbers.
 */
#ifndef RT_WIRE_MONITOR_START_H
#define RT_WIRE_MONITOR_START_H

#include <stdint.h>

#include "wire/launch_wire.h"
#include "wire/pid.h"

enum rt_monitor_fd {
    RT_MFD_ORDERS = 3, /* memfd: struct rt_monitor_orders */
    RT_MFD_REPORT = 4, /* pipe to launch: one struct rt_launch_reply, which launch passes on */
    RT_MFD_STATE = 5,  /* folder state/monitor/<id>: log, exit */
    RT_MFD_RECORD = 6, /* folder state/launch/containers/<id>: the pid record */
    RT_MFD_RUN = 7,    /* folder run/monitor, where the socket lies */
    RT_MFD_LISTEN = 8, /* the listening socket */
    RT_MFD_STDIN = 9,  /* of the first attachment, if its bit is set */
    RT_MFD_STDOUT = 10,
    RT_MFD_STDERR = 11,
    RT_MFD_INIT = 12,  /* EXEC without an OCI runtime: pidfd of the container's first process */
    RT_MFD_ENTER = 13, /* and a memfd, struct rt_enter */
    RT_MFD_END = 14
};

#define RT_MONITOR_MAX_ARGS 24

struct rt_monitor_orders {
    char id[RT_ID_SIZE];
    char exec_id[RT_ID_SIZE]; /* "" for the container itself */
    char socket_name[160];    /* in run/monitor */
    char record_name[80];     /* in containers/<id> */
    char log_path[128];       /* where the OCI runtime writes why it failed */
    char pid_path[128];
    char console_path[100]; /* "" without a terminal */
    char program[256];      /* args[0] of the container's process, for error texts */
    char stage[64];         /* where launch mounted all this; let go once the process runs; "" with filter */
    char filter[4096];      /* EXEC without an OCI runtime: the file with the container's seccomp filter; else "" */
    char argv[4096];        /* of the OCI runtime: NUL-terminated strings one after the other */
    uint32_t argc;
    uint32_t cgroup; /* the container has one */
    uint32_t flags;  /* RT_* of spec.h */
    uint32_t stdio;  /* which of RT_MFD_STDIN.. are open */
    uint32_t rows, cols;
    uint32_t uid, gid;      /* of the monitor once it has dropped its rights */
    uint32_t runtime_uid;   /* who may talk to it */
    uint32_t container_uid; /* who owns the pipes: root of the container, in the host's numbers */
    uint32_t log_max_files;
    uint64_t log_max_size;
    int32_t oom_score_adj; /* EXEC without an OCI runtime, where oom_set is */
    uint32_t oom_set;
};

#endif
