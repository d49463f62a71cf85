/*
 * spawn.h - start a program in a room of its own: namespaces, root, ids, capabilities, descriptors.
 *
 * Room: supervisor (root, single-threaded); this is privileged code and counts as such.  Everything
 * in the struct is decided by the caller from its own tables; no byte of it comes from a peer, but
 * for the job name of a worker, which is only ever an argument.
 */
#ifndef BH_PROC_SPAWN_H
#define BH_PROC_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proc/ask.h"
#include "proc/sandbox.h"

enum bh_bind_flags {
    BH_BIND_RW = 1 << 0,       /* else read-only */
    BH_BIND_DEV = 1 << 1,      /* a device node that must open */
    BH_BIND_OPTIONAL = 1 << 2, /* skipped when the host has no such path */
    BH_BIND_EXEC = 1 << 3,     /* programs and libraries may be mapped from it */
};

struct bh_bind {
    const char *source; /* absolute path on the host; a symbolic link is copied as a link when target equals it */
    const char *target; /* absolute path in the room; made as needed */
    unsigned flags;
};

struct bh_spawn {
    const char *name; /* for messages */
    int exe_fd;       /* the binary, opened O_PATH by the caller */
    const char *const *argv;
    const char *const *envp;
    uint64_t namespaces; /* CLONE_NEW* */
    const char *stage;   /* an empty folder on which the new root is mounted; NULL: keep the host's root */
    const struct bh_bind *binds;
    unsigned n_binds;
    bool proc;      /* mount /proc of the new pid namespace */
    int *fds;       /* fds[i] of this process becomes i, -1: closed */
    unsigned n_fds; /* everything else is closed */
    const struct bh_limit *limits;
    unsigned n_limits;
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    unsigned n_groups;
    uint64_t caps; /* uid 0 only: the bounding set, which exec makes the permitted set */
    bool may_gain; /* leave no_new_privs off (launch: containers have programs that are setuid) */
};

#define BH_SPAWN_MAX_FDS 256

/* Returns once the program runs (exec has happened) or the reason why not is known.  It is killed
 * when this process dies.  *out_pidfd belongs to the caller. */
int bh_spawn(const struct bh_spawn *s, pid_t *out_pid, int *out_pidfd, struct bh_err *err);

#endif
