/*
 * engine.h - everything that the supervisor knows while it runs: one struct, one thread.
 *
 * Room: supervisor (root).  No pointer of this file ever leaves the process.  Strings come from the
 * command line and from the administrator's configuration; of the rooms it stores nothing but states.
 */
#ifndef SUP_ENGINE_H
#define SUP_ENGINE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proc/control.h"
#include "rooms.h"

/* Something that epoll watches; `ready` is called with it. */
struct sup_engine;
struct sup_source {
    int fd;
    void (*ready)(struct sup_engine *e, struct sup_source *s);
};

enum sup_state { SUP_STOPPED, SUP_STARTING, SUP_READY, SUP_STOPPING, SUP_BACKOFF };

struct sup_room {
    struct sup_source process; /* pidfd */
    struct sup_source control; /* our end of BH_FD_CONTROL */
    const struct sup_row *row;
    enum sup_state state;
    pid_t pid;
    unsigned restarts;
    unsigned failures;   /* in a row, without a long life between */
    unsigned pair;       /* number of the runtime-launch pair it holds */
    int64_t started_ns;  /* wall clock, for `system rooms` */
    int64_t ready_ms;    /* monotonic */
    int64_t deadline_ms; /* STARTING: ready by then; STOPPING: gone by then; BACKOFF: start then; 0: none */
};

struct sup_worker {
    struct sup_source process;
    struct sup_worker *next;
    pid_t pid;
    uint32_t seq; /* the store's number; 0 once the store that asked has gone */
};

struct sup_user {
    uid_t uid;
    gid_t gid;
};

#define SUP_N_FILES 4
struct sup_config {
    char files[SUP_N_FILES][PATH_MAX]; /* patterns of what the registry room gets to read */
    uint32_t uid_base;
    int64_t restart_max_ms; /* longest wait before a room that keeps dying starts again */
    mode_t socket_mode;
    gid_t socket_gid;
    char admins[1024]; /* "1000,1001" */
    char root[PATH_MAX];
};

struct sup_engine {
    char root[PATH_MAX], state_dir[PATH_MAX], run_dir[PATH_MAX], stage[PATH_MAX], libexec[PATH_MAX];
    char config_path[PATH_MAX]; /* "" when there is none */
    struct sup_config config;
    struct sup_user users[SUP_N_USERS + 1]; /* the last one is root */
    struct sup_room rooms[SUP_N_ROOMS];
    struct sup_worker *workers;
    unsigned n_workers;
    struct sup_source signals;
    int epoll_fd, lock_fd, null_fd;
    int config_fd[2];   /* sealed; the second, for rooms with a network, with the files that the first one names */
    int pair_fd[2];     /* ends of the runtime-launch pair that nobody has taken yet */
    unsigned last_pair; /* number of the newest */
    bool announced;     /* `ready` was said */
    bool stopping;
    int exit_status;
};

/* loop.c */
int sup_watch(struct sup_engine *e, struct sup_source *s, struct bh_err *err);
void sup_unwatch(struct sup_engine *e, struct sup_source *s); /* and close */
int64_t sup_now_ms(void);
int sup_loop(struct sup_engine *e, struct bh_err *err);
void sup_stop(struct sup_engine *e, int exit_status);

/* config.c */
int sup_config_load(struct sup_engine *e, struct bh_err *err); /* again with every SIGHUP */

/* folders.c */
int sup_folders_make(struct sup_engine *e, const char *root, struct bh_err *err);
int sup_folders_own(struct sup_engine *e, struct bh_err *err);
/* Makes "/" a mount when it is none (a chroot). */
int sup_folders_own_root(struct sup_engine *e, struct bh_err *err);

/* child.c: processes of rooms */
int sup_room_start(struct sup_engine *e, struct sup_room *room, struct bh_err *err);
void sup_room_stop(struct sup_room *room);
void sup_room_kill(struct sup_room *room, const char *why);
void sup_room_ready(struct sup_engine *e, struct sup_room *room);
unsigned sup_binds_system(struct bh_bind *binds);
/* Completes s (binary, environment, standard descriptors: the first three of its fds) and starts it. */
int sup_spawn(struct sup_engine *e, struct bh_spawn *s, const char *binary, pid_t *out_pid, int *out_pidfd,
              struct bh_err *err);

#define SUP_MAX_BINDS 40
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SUP_SANITIZED true /* their reports need /proc and deep stacks */
#define SUP_STACK     ((uint64_t)8 << 20)
#else
#define SUP_SANITIZED false
#define SUP_STACK     ((uint64_t)1 << 20)
#endif

/* worker.c */
int sup_worker_start(struct sup_engine *e, const struct bh_control_spawn *m, const int *fds, pid_t *out_pid,
                     struct bh_err *err);
void sup_worker_kill(struct sup_engine *e, uint32_t seq);
void sup_workers_kill(struct sup_engine *e, bool tell); /* tell: there is a store that waits for their end */

/* messages.c */
void sup_control_readable(struct sup_engine *e, struct sup_source *s);
void sup_tell(struct sup_room *room, const void *msg, size_t n, int fd); /* a room that does not read is killed */

/* logpipe.c: standard error of a child, line by line, with its name and pid in front */
int sup_log_open(struct sup_engine *e, const char *name, int *out_write_fd, struct sup_source **out,
                 struct bh_err *err);
void sup_log_name_pid(struct sup_source *log, pid_t pid);

/* facts.c */
void sup_facts_read(const char *name, pid_t pid, struct bh_control_room *out);

/* notify.c */
void sup_notify(const char *state);

#endif
