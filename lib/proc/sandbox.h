/*
 * sandbox.h - how a process gives up what it does not need: limits, Landlock, seccomp.
 *
 * Room: all but the supervisor.  Each step only ever takes rights away, and each reports failure:
 * a room that could not confine itself must not serve.  Order: limits, Landlock (it binds only the
 * calling thread and the threads made later), the listening socket, seccomp (all threads).
 * Builds with ASan or TSan let through the few calls that those need and leave RLIMIT_AS alone.
 */
#ifndef BH_PROC_SANDBOX_H
#define BH_PROC_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* ---- limits ------------------------------------------------------------------------------ */

struct bh_limit {
    int resource; /* RLIMIT_* */
    uint64_t max; /* soft and hard become this, or the present hard limit where that is lower */
};

int bh_sandbox_lower(int resource, uint64_t max, struct bh_err *err); /* one of them */
/* Lowers the limits, no core files, not dumpable (so no process of the same uid can trace it or
 * read its memory), no new privileges. */
int bh_sandbox_limits(const struct bh_limit *limits, unsigned n, struct bh_err *err);

/* ---- Landlock ---------------------------------------------------------------------------- */

enum bh_landlock_access {
    BH_LANDLOCK_READ = 1,    /* files and folders below path, or that one file */
    BH_LANDLOCK_WRITE = 2,   /* the same, and change, make, rename, remove; never devices, never execute */
    BH_LANDLOCK_RW_FILE = 3, /* one file or device that exists: read and write it */
};

struct bh_landlock_rule {
    const char *path; /* a path that does not exist is skipped: there is nothing to allow */
    enum bh_landlock_access access;
};

enum bh_landlock_flags {
    BH_LANDLOCK_TCP = 1 << 0,     /* TCP stays allowed (registry) */
    BH_LANDLOCK_SIGNALS = 1 << 1, /* signals to processes outside stay allowed */
};

/* From here on this thread and those it makes reach nothing but the rules.  Also closes, where the
 * kernel's ABI has it: TCP, abstract unix sockets and signals to others.  A kernel without
 * Landlock is no error; *out_abi (may be NULL) gets 0 then. */
int bh_sandbox_landlock(const struct bh_landlock_rule *rules, unsigned n, unsigned flags, int *out_abi,
                        struct bh_err *err);
/* 0: not there. */
int bh_sandbox_landlock_abi(void);

/* ---- seccomp ----------------------------------------------------------------------------- */

/* Lists of system calls by name, NULL-terminated.  A name that this machine does not know is skipped. */
extern const char *const bh_syscalls_base[];    /* memory, read, write, time, futex, exit: what any C program does */
extern const char *const bh_syscalls_threads[]; /* clone for threads only */
extern const char *const bh_syscalls_files[];   /* open, stat, link, rename, fsync .. below what it can see */
extern const char *const bh_syscalls_sockets[]; /* unix sockets, epoll, eventfd: a server with nng */
extern const char *const bh_syscalls_net[];     /* on top of sockets: what a client of TCP and DNS needs */

enum bh_seccomp_flags {
    BH_SECCOMP_INET = 1 << 0, /* socket() may also make AF_INET, AF_INET6 and AF_NETLINK (resolver) */
    BH_SECCOMP_TRAP = 1 << 1, /* a refused call writes its name to stderr first; the default of debug builds */
    BH_SECCOMP_FORK = 1 << 2, /* clone, clone3, fork and exec are taken from the lists as they are */
    BH_SECCOMP_TTY = 1 << 3,  /* ioctl also sets the size of a terminal */
};

/*
 * Allow the union of the lists, kill the whole process for everything else, in all threads.
 * lists: NULL-terminated.  Arguments are checked too: mmap and mprotect never with PROT_EXEC, clone
 * only for threads (clone3 answers ENOSYS, so that libc takes clone), socket and socketpair only
 * AF_UNIX (EAFNOSUPPORT: libraries probe), ioctl only on terminals' size and FIONREAD/FIONBIO,
 * prctl only the name of a thread and queries.  io_uring, bpf, ptrace, keyctl, userfaultfd,
 * perf_event_open, mount and its family, setns, unshare and kexec are refused in any list.
 */
int bh_sandbox_seccomp(const char *const *const *lists, unsigned flags, struct bh_err *err);

#endif
