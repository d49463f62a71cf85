/*
 * monitor_wire.h - runtime asks a monitor; a monitor tells how its process fares.
 *
 * Rooms: runtime (connects) and monitor (listens on DIR/run/monitor/<id>.sock for a container,
 * <exec_id>.sock for an exec session: an address has 107 bytes, too few for both ids).  SOCK_SEQPACKET, one struct a
 * message.  The monitor checks SO_PEERCRED: runtime's uid or root.  A monitor stays until its process has ended and its
 * outputs have drained; after the end it waits a short time for runtime to fetch the exit, then
 * leaves `exit` in state/monitor/<id> (containers) and goes.
 *
 * state/monitor/<id>/exit: one struct rt_monitor_state with RT_MONITOR_EXITED, written durably
 * before EXITED is sent.
 *
 * state/monitor/<id>/exec-<exec_id>: the same of an exec session that nobody watches, until its end has been fetched:
 * RT_MONITOR_RUNNING (ask its monitor), or RT_MONITOR_EXITED when nobody came for it.
 *
 * state/monitor/<id>/log: entries, each struct rt_log_entry followed by `len` bytes, appended as
 * they are read from the container (not cut at lines).  log.1 is the one before, and so on.
 */
#ifndef RT_WIRE_MONITOR_WIRE_H
#define RT_WIRE_MONITOR_WIRE_H

#include <stdint.h>

#define RT_EXEC_NOTE "exec-"

enum rt_monitor_type {
    /* runtime -> monitor */
    RT_MONITOR_WATCH = 1,  /* answer with STATE now, and again with every change */
    RT_MONITOR_ATTACH = 2, /* stdio bits as in rt_launch_request, descriptors beside it */
    RT_MONITOR_RESIZE = 3,
    RT_MONITOR_CLOSE_STDIN = 4,
    /* monitor -> runtime */
    RT_MONITOR_STATE = 16,
    RT_MONITOR_DONE = 17 /* answer to ATTACH, RESIZE, CLOSE_STDIN: code */
};

enum rt_monitor_phase { RT_MONITOR_STARTING = 1, RT_MONITOR_RUNNING = 2, RT_MONITOR_EXITED = 3 };

struct rt_monitor_request {
    uint32_t type;
    uint32_t stdio; /* ATTACH: 1 stdin, 2 stdout, 4 stderr */
    uint16_t rows, cols;
    uint32_t zero;
};

struct rt_monitor_state {
    uint32_t type;     /* RT_MONITOR_STATE or RT_MONITOR_DONE */
    uint32_t phase;    /* RT_MONITOR_* */
    int32_t pid;       /* of the container's first process, in the host's numbers */
    int32_t code;      /* DONE: 0 or BH_E_* */
    int32_t exit_code; /* EXITED: as docker has it, 128+n for a signal */
    int32_t signal;
    uint32_t oom_killed;
    uint32_t tty;             /* it has a terminal */
    uint64_t pid_start_ticks; /* field 22 of /proc/PID/stat, guards against a reused pid */
    int64_t started_ns, finished_ns;
};

struct rt_log_entry {
    int64_t time_ns;
    uint32_t len;   /* at most 65,536 */
    uint8_t stream; /* 1 stdout, 2 stderr */
    uint8_t zero[3];
};

#endif
