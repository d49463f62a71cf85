/*
 * room.h - the one order in which a room starts.
 *
 * Room: store, registry, build, runtime; the worker has a smaller one at the foot.  The supervisor
 * has already made the room's namespaces and its root, dropped ids and capabilities and set
 * no_new_privs.  A room then does, and serve/serve.c does it for all that serve:
 *
 *     bh_room_begin(&room, &spec, argc, argv, &err)      arguments, descriptors, signals, limits, Landlock
 *     bh_server_listen(&config, &server, &err)           nng's threads start here
 *     bh_room_confine(&room, &err)                       seccomp, over all threads
 *     bh_room_ready(&room, on_stop, on_reload, arg, &err) control thread, READY
 *     bh_server_run(server, &err)
 *     bh_room_end(&room, &err)                           never returns
 *
 * Files that must stay open (a database) may be opened any time after bh_room_begin.
 */
#ifndef BH_PROC_ROOM_H
#define BH_PROC_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "proc/control.h"
#include "proc/sandbox.h"

/* The same bits as BH_ROLE_* of rpc/method.h. */
enum bh_room_role {
    BH_ROOM_ADMIN = 1 << 0,
    BH_ROOM_USER = 1 << 1,
    BH_ROOM_STORE = 1 << 2,
    BH_ROOM_REGISTRY = 1 << 3,
    BH_ROOM_BUILD = 1 << 4,
    BH_ROOM_RUNTIME = 1 << 5,
};

struct bh_room_spec {
    const char *name;            /* "store" */
    bool state;                  /* reads and writes BH_ROOM_STATE */
    bool monitor;                /* reads BH_ROOM_MONITOR, connects to run/monitor */
    bool network;                /* TCP and the resolver */
    bool launch;                 /* BH_FD_LAUNCH is open */
    uint64_t max_memory;         /* RLIMIT_AS in bytes; 0: 4 GiB */
    uint64_t max_files;          /* RLIMIT_NOFILE; 0: 8192 */
    const char *const *syscalls; /* beside base, threads, files, sockets (and net); NULL: none */
};

#define BH_ROOM_MAX_ADMINS 64

struct bh_room {
    const struct bh_room_spec *spec;
    uid_t store_uid, registry_uid, build_uid, runtime_uid, worker_uid, monitor_uid;
    uid_t admins[BH_ROOM_MAX_ADMINS]; /* beside uid 0 */
    unsigned n_admins;
    mode_t socket_mode;         /* for bh_server_config.mode; the folder gives the sockets their group */
    char run_dir[64];           /* for bh_server_config.dir: "/run/store" */
    struct bh_buf config;       /* text of the engine's config file, "" when there is none */
    int landlock_abi;           /* 0: this kernel has none */
    struct bh_control *control; /* after bh_room_ready */
};

/* Arguments: --uids S,R,B,T,W,M [--admins N,..] [--socket-mode 0660] as the supervisor passes them. */
int bh_room_begin(struct bh_room *room, const struct bh_room_spec *spec, int argc, char **argv, struct bh_err *err);
int bh_room_confine(struct bh_room *room, struct bh_err *err);
/* The same with BH_SECCOMP_* beside what the spec says; tests use it. */
int bh_room_confine_flags(struct bh_room *room, unsigned seccomp_flags, struct bh_err *err);
/* The text behind a descriptor of on_reload, which stays the caller's; out is made new. */
int bh_room_read_config(int fd, struct bh_buf *out, struct bh_err *err);
/* on_stop and on_reload run in the control thread; on_reload owns the descriptor, may be NULL. */
int bh_room_ready(struct bh_room *room, void (*on_stop)(void *), void (*on_reload)(void *, int config_fd), void *arg,
                  struct bh_err *err);
/* err->code 0: exit status 0.  Else the error is logged and the status is 1.  Threads of nng are not joined. */
_Noreturn void bh_room_end(struct bh_room *room, const struct bh_err *err);

/* BH_ROOM_* of a peer's uid; for serve.c (uid 0 is ADMIN there already). */
unsigned bh_room_roles(const struct bh_room *room, uid_t uid);

/* ---- the worker -------------------------------------------------------------------------- */

/*
 * The supervisor starts a worker as `bulkhead-unpack JOB N` with the N descriptors of the SPAWN as
 * 4, 5, ..  This closes everything else but 0-2, lowers the limits, and takes away every path, every
 * socket, every new process and thread: what is left is bh_syscalls_base and the extra list.
 */
#define BH_WORKER_FIRST_FD 4
int bh_worker_confine(unsigned n_fds, uint64_t max_memory, const char *const *syscalls, struct bh_err *err);
int bh_worker_confine_flags(unsigned n_fds, uint64_t max_memory, const char *const *syscalls, unsigned seccomp_flags,
                            struct bh_err *err);

#endif
