/*
 * control.h - what a room and the supervisor say to each other, in fixed layouts.
 *
 * Room: all.  One inherited SOCK_SEQPACKET pair for each room, always descriptor BH_FD_CONTROL in
 * the room.  The supervisor reads nothing but these structs; a message of another size or type, or
 * one that the room is not allowed to send, ends the room (it is broken or taken over) and the
 * supervisor starts it again.  Workers are spawned for the store only.
 */
#ifndef BH_PROC_CONTROL_H
#define BH_PROC_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Descriptors that every room finds open at start.  Everything else is closed. */
#define BH_FD_CONTROL 3 /* SEQPACKET to the supervisor */
#define BH_FD_LAUNCH  4 /* runtime and launch: SEQPACKET between them; other rooms: closed */
#define BH_FD_CONFIG  5 /* sealed memfd: the text of the engine's config file, empty when there is none */

/* Paths inside a room (its own root; outside it is DIR/...).  launch sees the host instead and gets
 * --root DIR. */
#define BH_ROOM_STATE   "/state"   /* rw: DIR/state/<room> */
#define BH_ROOM_RUN     "/run"     /* DIR/run: own folder rw, the others' for connect only */
#define BH_ROOM_MONITOR "/monitor" /* runtime only, ro: DIR/state/monitor */

/* A room with a network finds behind the text of BH_FD_CONFIG one NUL and then the files that it names, one after the
 * other: "PATH SIZE" and a newline, the bytes. */

enum bh_control_type {
    /* room -> supervisor */
    BH_CONTROL_READY = 1, /* the endpoint answers */
    BH_CONTROL_SPAWN = 2, /* store: start a worker; descriptors beside it become 4.. in the worker */
    BH_CONTROL_KILL = 3,  /* store: end a worker */
    BH_CONTROL_ROOMS = 4, /* runtime: tell about all rooms */
    /* supervisor -> room */
    BH_CONTROL_STOP = 16,    /* finish within 3 s */
    BH_CONTROL_SPAWNED = 17, /* answer to SPAWN */
    BH_CONTROL_EXITED = 18,  /* a worker has ended */
    BH_CONTROL_ROOM = 19,    /* one room; the last has count 0 more to come */
    BH_CONTROL_RELOAD = 20,  /* a new config memfd beside it */
};

#define BH_CONTROL_MAX_FDS 250 /* the layers of a build step, each by its own; the kernel passes 253 */
#define BH_CONTROL_JOB     24

struct bh_control_spawn {
    uint32_t type;
    uint32_t seq;
    char job[BH_CONTROL_JOB]; /* first argument of bulkhead-unpack */
    uint32_t n_fds;
    uint32_t cpu_seconds; /* RLIMIT_CPU, 0: the default of the config */
    uint64_t file_size;   /* RLIMIT_FSIZE, 0: the default of the config */
};

struct bh_control_kill {
    uint32_t type;
    uint32_t seq; /* of the SPAWN */
};

struct bh_control_spawned {
    uint32_t type;
    uint32_t seq;
    int32_t pid; /* in the host's numbers, for the log; < 0: -errno */
    uint32_t zero;
};

struct bh_control_exited {
    uint32_t type;
    uint32_t seq;
    int32_t wait_status; /* as of waitpid */
    uint32_t max_rss_kb;
};

struct bh_control_simple {
    uint32_t type; /* READY, ROOMS, STOP, RELOAD */
    uint32_t seq;
};

/* What the kernel says of a room, read from /proc by the supervisor. */
struct bh_control_room {
    uint32_t type;
    uint32_t seq;
    uint32_t more; /* rooms still to come */
    uint32_t restarts;
    char name[16];
    char state[16]; /* "ready", "starting", "backoff", "stopped" */
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
    uint32_t seccomp_mode; /* 0 none, 1 strict, 2 filter */
    uint32_t seccomp_filters;
    uint32_t no_new_privs;
    uint32_t threads;
    uint32_t open_fds;
    uint32_t dumpable; /* 0 or 1 as seen by the owner of /proc/PID */
    uint32_t rss_kb;
    uint64_t cap_inheritable, cap_permitted, cap_effective, cap_bounding, cap_ambient;
    uint64_t ns_mnt, ns_pid, ns_net, ns_ipc, ns_uts, ns_user, ns_cgroup; /* inode numbers */
    int64_t started_ns;
};

/* ---- the room's side --------------------------------------------------------------------- */

struct bh_control;

/* on_stop and on_reload run in the control thread.  on_reload owns config_fd. */
struct bh_control_events {
    void (*on_stop)(void *arg);
    void (*on_reload)(void *arg, int config_fd);
    void *arg;
};

/* Makes the thread that reads BH_FD_CONTROL.  When the supervisor is gone, on_stop is called. */
int bh_control_start(const struct bh_control_events *events, struct bh_control **out, struct bh_err *err);
int bh_control_ready(struct bh_control *c, struct bh_err *err);

/* Start a worker and keep a handle of it.  fds become 4, 5, .. in the worker; the caller keeps its own. */
struct bh_worker;
int bh_worker_spawn(struct bh_control *c, const char *job, const int *fds, unsigned n_fds, uint32_t cpu_seconds,
                    uint64_t file_size, struct bh_worker **out, struct bh_err *err);
/* Waits for its end (timeout_ms < 0: no limit; on time-out it is killed and BH_E_DEADLINE returned).
 * Frees the handle.  *out_status as of waitpid. */
int bh_worker_wait(struct bh_worker *w, int timeout_ms, int *out_status, struct bh_err *err);
void bh_worker_kill(struct bh_worker *w);

/* All rooms, as the kernel has them.  *out is malloc'd. */
int bh_control_rooms(struct bh_control *c, struct bh_control_room **out, unsigned *out_n, struct bh_err *err);

#endif
