/*
 * syscalls.c - the named lists of system calls that the rooms' filters are made of.
 *
 * Room: all but the supervisor.  Each line says what needs it.  A call that is in no list ends the
 * process that makes it.  Names of other architectures (open, stat, poll ..) are skipped where they
 * do not exist.  Which arguments are allowed is told in sandbox_seccomp.c.
 */
#include <stddef.h>

#include "proc/sandbox.h"

const char *const bh_syscalls_base[] = {"read",
                                        "write",
                                        "readv",
                                        "writev",
                                        "pread64",
                                        "pwrite64",
                                        "preadv",
                                        "pwritev", /* descriptors at hand */
                                        "close",
                                        "lseek",
                                        "dup",
                                        "dup2",
                                        "dup3",
                                        "fcntl",
                                        "fcntl64",
                                        "close_range", /* the same */
                                        "poll",
                                        "ppoll",
                                        "select",
                                        "pselect6", /* waiting */
                                        "fstat",
                                        "newfstatat",
                                        "statx", /* size of a descriptor; glibc's fstat is newfstatat("") */
                                        "ftruncate",
                                        "fallocate",
                                        "fdatasync",
                                        "fsync", /* files at hand */
                                        "fadvise64",
                                        "copy_file_range",
                                        "splice",
                                        "tee",
                                        "sendfile",
                                        "sync_file_range", /* bulk between descriptors */
                                        "brk",
                                        "mmap",
                                        "munmap",
                                        "mremap",
                                        "mprotect",
                                        "madvise",
                                        "membarrier", /* memory, never executable */
                                        "futex",
                                        "futex_waitv",
                                        "sched_yield",
                                        "sched_getaffinity",
                                        "get_robust_list", /* locks */
                                        "clock_gettime",
                                        "clock_getres",
                                        "clock_nanosleep",
                                        "nanosleep",
                                        "gettimeofday",
                                        "time", /* time */
                                        "rt_sigaction",
                                        "rt_sigprocmask",
                                        "rt_sigreturn",
                                        "sigaltstack",
                                        "rt_sigpending", /* signals */
                                        "rt_sigtimedwait",
                                        "rt_sigsuspend",
                                        "restart_syscall", /* the same */
                                        "getpid",
                                        "gettid",
                                        "getppid",
                                        "getuid",
                                        "geteuid",
                                        "getgid",
                                        "getegid", /* who am I */
                                        "getrandom",
                                        "getcpu",
                                        "sysinfo",
                                        "uname",
                                        "getrusage",
                                        "times", /* what is here */
                                        "getrlimit",
                                        "prlimit64",
                                        "prctl",  /* own limits */
                                        "tgkill", /* abort(), own process */
                                        "exit",
                                        "exit_group",
                                        "ioctl",
                                        NULL};

const char *const bh_syscalls_threads[] = {"clone",
                                           "clone3",
                                           "set_robust_list",
                                           "rseq",
                                           "set_tid_address",
                                           "arch_prctl",
                                           "sched_setaffinity",
                                           "sched_getparam",
                                           "sched_getscheduler",
                                           "setpriority",
                                           "getpriority",
                                           NULL};

const char *const bh_syscalls_files[] = {
    "open",       "openat",    "openat2",    "access",    "faccessat", "faccessat2", "stat",
    "lstat",      "statfs",    "fstatfs",                                                         /* look */
    "getdents64", "readlink",  "readlinkat", "getcwd",    "chdir",     "fchdir",                  /* look */
    "link",       "linkat",    "unlink",     "unlinkat",  "rename",    "renameat",   "renameat2", /* names */
    "mkdir",      "mkdirat",   "rmdir",      "symlink",   "symlinkat",                            /* names */
    "chmod",      "fchmod",    "fchmodat",   "chown",     "fchown",    "lchown",     "fchownat",
    "umask",      "utimensat",                                                                       /* owners */
    "truncate",   "flock",     "syncfs",     "fgetxattr", "fsetxattr", "flistxattr", "memfd_create", /* content */
    NULL};

const char *const bh_syscalls_sockets[] = {
    "socket",         "socketpair",      "bind",       "listen",      "accept",   "accept4",  "connect",
    "shutdown",                                                                                        /* ends */
    "sendmsg",        "recvmsg",         "sendto",     "recvfrom",    "sendmmsg", "recvmmsg",          /* bytes */
    "getsockname",    "getpeername",     "getsockopt", "setsockopt",                                   /* facts */
    "epoll_create1",  "epoll_ctl",       "epoll_wait", "epoll_pwait", "eventfd2", "pipe",     "pipe2", /* events */
    "timerfd_create", "timerfd_settime", "signalfd4",  NULL};

/* TLS and the resolver read files (bh_syscalls_files) and ask the kernel for addresses (AF_NETLINK). */
const char *const bh_syscalls_net[] = {"eventfd", "epoll_create", "epoll_pwait2", "geteuid", NULL};
