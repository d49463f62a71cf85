/*
 * monitor.h - the parts of a monitor: one process watched, its streams, those who look on.
 *
 * Room: monitor.  One process, one thread, one poll loop.  start.c runs before the rights are
 * dropped, everything else after.
 */
#ifndef MON_MONITOR_H
#define MON_MONITOR_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/log.h"
#include "wire/monitor_start.h"
#include "wire/monitor_wire.h"
#include "wire/spec.h"

#define MON_MAX_CLIENTS 64
#define MON_MAX_PEERS   64
/* Bytes that wait for one slow client before the container has to wait as well. */
#define MON_CLIENT_PENDING ((size_t)1 << 20)
#define MON_CHUNK          65536u

/* One attachment.  A stream that is not attached, or has gone, is -1. */
struct mon_client {
    bool used;
    int in;
    int out[2];               /* stdout, stderr */
    struct bh_buf pending[2]; /* read from the container, not yet taken by the client */
    int64_t progress_ns;      /* monotonic: when the client last took something */
};

/* One connection of runtime. */
struct mon_peer {
    int fd; /* -1: free */
    bool watching;
    uint32_t told_phase;
};

struct monitor {
    struct rt_monitor_orders orders;
    pid_t pid;
    struct rt_monitor_state state;
    int out[2]; /* what the process writes; with a terminal out[0] is the master and out[1] -1 */
    int in;     /* what it reads; the master with a terminal; -1: closed or none */
    bool tty;
    bool stdin_once_used; /* a client with stdin has been attached */
    bool stdin_closing;   /* close `in` when in_pending is empty */
    struct bh_buf in_pending;
    struct rt_log log;
    bool log_on;
    int stat_fd;     /* /proc/PID/stat of the process, -1: its program runs for sure */
    char first[512]; /* of what came out, for when it was the OCI runtime that wrote it */
    size_t n_first;
    bool never_ran; /* it ended without its program */
    int oom_fd;     /* memory.events or memory.oom_control of its cgroup, -1: none */
    int signal_fd;
    ino_t socket_ino; /* of the socket's name: a later monitor of this container may have taken it over */
    bool exited;
    bool watched; /* somebody has been connected */
    bool noted;   /* an exec session: runtime would find it after a restart */
    int64_t exited_mono_ns;
    struct mon_client client[MON_MAX_CLIENTS];
    struct mon_peer peer[MON_MAX_PEERS];
};

#define MON_START "unable to start container process: "

/* start.c: make the streams, start the process, learn the pid.  Sets *out_hint on failure. */
int mon_start(struct monitor *m, int *out_hint, struct bh_err *err);
/* Takes the master of the process's terminal out of what a connected socket has brought. */
int mon_terminal_take(struct monitor *m, int from, struct bh_err *err);

/* enter.c: an exec session without an OCI runtime; theirs: its 0, 1 and 2. */
int mon_enter(struct monitor *m, const int theirs[3], int *out_hint, struct bh_err *err);

/* streams.c: bytes between the process, its log and its clients. */
int mon_client_add(struct monitor *m, uint32_t stdio, const int *fds, struct bh_err *err);
/* Puts what it waits for into p[0..max); the count. */
unsigned mon_streams_poll(struct monitor *m, struct pollfd *p, unsigned max);
void mon_streams_run(struct monitor *m);
void mon_stdin_close(struct monitor *m);
bool mon_streams_drained(const struct monitor *m);
void mon_clients_close(struct monitor *m);

/* peers.c: runtime's connections. */
unsigned mon_peers_poll(struct monitor *m, struct pollfd *p, unsigned max);
void mon_peers_run(struct monitor *m, const struct pollfd *p, unsigned n);
void mon_peers_tell(struct monitor *m);
/* Somebody has been told of the end and has hung up, or holds no connection any more. */
bool mon_peers_done(const struct monitor *m);

/* exit_text.c: what an OCI runtime wrote -> message and 125, 126 or 127. */
int mon_runtime_failed(const char *text, const char *program, int *out_hint, struct bh_err *err);

#endif
