/*
 * room.h - what the files of this room share: the room itself and what it can do with containers.
 *
 * Room: runtime.  The operations below take plain values, check who asks, and are called by the
 * *_rpc.c files only, from handler threads.  cancel_fd is readable once the caller has gone (-1: never).
 */
#ifndef RT_ROOM_H
#define RT_ROOM_H

#include "base/arena.h"
#include "base/err.h"
#include "proc/control.h"
#include "svc-runtime/container.h"
#include "svc-runtime/db.h"
#include "svc-runtime/exec.h"
#include "svc-runtime/filter.h"
#include "svc-runtime/launch_client.h"
#include "svc-runtime/log_view.h"
#include "svc-runtime/monitor_client.h"
#include "svc-runtime/request.h"
#include "svc-runtime/spec_make.h"
#include "svc-runtime/store.h"
#include "svc-runtime/trial.h"
#include "svc-runtime/work.h"

struct rt_room {
    struct rt_db *db;
    struct rt_launch *launch;
    pthread_mutex_t host_lock;
    struct rt_launch_info host; /* as the last trial found it */
    int oci;                    /* RT_OCI_*: new containers get it; < 0: none works */
    struct rt_trial trial;
    struct rt_monitors *monitors;
    struct rt_store *store;
    struct rt_table *table;
    struct rt_execs *execs;
    struct rt_work *work;
    struct bh_control *control; /* NULL until ready */
    int monitor_dir;            /* for logs and exits */
    char monitor_path[32];      /* the same as a path: "/monitor" */
    atomic_bool syncing;        /* a rt_sync_store is queued */
};

/* ---- host.c: what the trial found ---- */
int rt_host_try(struct rt_room *room, struct bh_err *err);
/* A thread tries again, less and less often, while what is preferred does not work. */
void rt_host_watch(struct rt_room *room);
struct rt_launch_info rt_host(struct rt_room *room, int *out_oci); /* out_oci may be NULL */

uint32_t rt_host_held(struct rt_room *room); /* RT_HELD_* */
/* What this host cannot hold is taken out of the limits, with a warning for each; what is out of range is an error. */
int rt_host_limits(struct rt_room *room, struct rt_limits *limits, struct bh_arena *arena, struct bh_strlist *warnings,
                   struct bh_err *err);

/* ---- create.c ---- */
int rt_random_id(char out[RT_ID_SIZE], struct bh_err *err);
struct rt_created {
    char id[RT_ID_SIZE];
    struct bh_strlist warnings; /* there may be some before */
};
/* Has a worker read the seccomp profile that came with the request, if one did, and puts it into the specification. */
int rt_profile(struct rt_room *room, const struct rt_caller *who, struct rt_made *made, struct bh_arena *arena,
               struct bh_err *err);
/* request: the same as req, packed, for the row; the limits are settled. */
int rt_create(struct rt_room *room, const struct rt_caller *who, const char *name, const struct rt_request *req,
              struct rt_blob request, struct bh_arena *arena, struct rt_created *out, struct bh_err *err);

/* ---- start.c ---- */
struct rt_stdio {
    unsigned bits; /* 1 stdin, 2 stdout, 4 stderr */
    int fds[3];    /* as many as there are bits, in that order; the caller keeps them */
    unsigned n;
    unsigned rows, cols; /* 0: as they are */
};
/* Running already: attaches stdio, if there is any, and is content. */
int rt_start(struct rt_container *c, const struct rt_stdio *stdio, struct bh_err *err);
/* The same with c->op held. */
int rt_start_locked(struct rt_container *c, const struct rt_stdio *stdio, struct bh_err *err);
/* Listens to the monitor of a container that runs.  BH_E_NOT_FOUND: there is none. */
int rt_listen(struct rt_container *c, struct bh_err *err);
/* What the monitor left behind; false: nothing. */
bool rt_read_exit(struct rt_container *c, struct rt_monitor_state *out);
bool rt_exit_left(struct rt_room *room, const char *id, struct rt_monitor_state *out);
/* Jobs: put the present status into the row and the store. */
void rt_save_later(struct rt_container *c);
void rt_note_now(struct rt_container *c);

/* ---- stop.c ---- */
struct rt_stop_how {
    bool timeout_set;
    int timeout; /* seconds, -1: for ever */
    const char *signal;
};
int rt_stop(struct rt_container *c, const struct rt_stop_how *how, int cancel_fd, bool *out_was_running,
            struct bh_err *err);
int rt_restart(struct rt_container *c, const struct rt_stop_how *how, int cancel_fd, struct bh_err *err);
/* text: how the caller named it. */
/* SIGKILL, which "" means, waits for the end, as docker does: what follows may be `rm`. */
int rt_kill(struct rt_container *c, const char *text, const char *signal, int cancel_fd, struct bh_err *err);
int rt_signal(struct rt_container *c, int number, struct bh_err *err);
/* Ends what still runs of a container whose monitor has died: its streams and its end are nobody's. */
void rt_end_unwatched(struct rt_container *c);

/* ---- pause.c ---- */
/* With launch: the processes stand still, or go on. */
int rt_freeze(struct rt_container *c, bool on, struct bh_err *err);
/* The same as a state of the container. */
int rt_pause(struct rt_container *c, struct bh_err *err);
int rt_unpause(struct rt_container *c, struct bh_err *err);
/* A signal was sent to a paused container: it goes on, as docker has it. */
void rt_wake(struct rt_container *c);

/* ---- wait.c ---- */
int rt_wait(struct rt_room *room, const struct rt_caller *who, const char *text, const char *condition, int cancel_fd,
            struct rt_status *out, struct bh_err *err);
/* Until it does not run; BH_E_DEADLINE. */
int rt_wait_stopped(struct rt_container *c, int timeout_ms, int cancel_fd, struct bh_err *err);

/* ---- remove.c ---- */
int rt_remove(struct rt_container *c, bool force, struct bh_err *err);
void rt_auto_remove(struct rt_container *c);
int rt_prune(struct rt_room *room, const struct rt_caller *who, const struct bh_pair *filters, size_t n,
             struct bh_arena *arena, struct bh_strlist *out_ids, uint64_t *out_bytes, struct bh_err *err);
int rt_rename(struct rt_container *c, const char *name, struct bh_err *err);

/* ---- list.c ---- */
struct rt_item {
    struct rt_container *c;
    struct rt_status status;
    char name[RT_NAME_SIZE];
    const char *image;           /* shown: as written, or the id when the name means another image now */
    uint64_t size_rw, size_root; /* the second: with the image */
};
struct rt_list_want {
    bool all, size;
    int last;
    const struct bh_pair *filters;
    size_t n_filters;
};
/* Newest first; references until rt_items_free. */
int rt_list(struct rt_room *room, const struct rt_caller *who, const struct rt_list_want *want, struct bh_arena *arena,
            struct rt_item **out, size_t *out_n, struct bh_err *err);
/* Those that are exposed, as docker: while it runs, and not in the host's network, where nothing needs to be. */
const struct bh_strlist *rt_item_ports(const struct rt_item *it);
/* Fills the sizes; what cannot be told any more stays 0. */
void rt_item_measure(struct rt_item *it, struct bh_arena *arena);
void rt_items_free(struct rt_item *items, size_t n);
int rt_select(struct rt_room *room, const struct rt_caller *who, struct rt_filter *f, struct bh_arena *arena,
              struct rt_item **out, size_t *out_n, struct bh_err *err);

/* ---- attach.c ---- */
int rt_attach(struct rt_container *c, const struct rt_stdio *stdio, struct bh_err *err);
int rt_resize(struct rt_container *c, unsigned rows, unsigned cols, struct bh_err *err);

/* ---- logs.c ---- */
int rt_logs(struct rt_container *c, const struct rt_log_want *want, bool follow, int cancel_fd, rt_log_sink *sink,
            void *arg, struct bh_err *err);

/* ---- tree.c: what a walker makes of a container's files ---- */
/* Writes into out_fd, which stays the caller's. mode: enum rt_tree_mode. */
int rt_tree(struct rt_container *c, int mode, int out_fd, struct bh_err *err);
int rt_tree_size(struct rt_container *c, uint64_t *out, struct bh_err *err);
/* One path at a time, without its NUL: "A /x".  */
int rt_diff(struct rt_container *c, int (*entry)(void *arg, char kind, const char *path, struct bh_err *err), void *arg,
            struct bh_err *err);

/* ---- commit.c ---- */
struct rt_commit {
    const char *reference, *author, *message;
    struct bh_strlist changes;
    bool no_pause;
};
int rt_commit(struct rt_container *c, const struct rt_commit *how, struct bh_arena *arena, char **out_id,
              struct bh_err *err);

/* ---- step_remove.c ---- */
int rt_step_kill(struct rt_room *room, const char *id, struct bh_err *err);
void rt_step_remove_later(struct rt_room *room, const char *id);
/* Removes what no row tells of. */
void rt_steps_recover(struct rt_room *room);

/* ---- recover.c ---- */
/* Loads the rows and finds out how each container fares. */
int rt_recover(struct rt_room *room, struct bh_err *err);
/* Tell the store, soon, which containers exist; tried again until it answers. */
void rt_sync_later(struct rt_room *room);

#endif
