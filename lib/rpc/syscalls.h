/*
 * syscalls.h - what a service calls after bh_server_listen, for the filter of its room.
 *
 * Room: every room that serves; used by tests that compare it with the lists of lib/proc.  Found
 * with strace under load (unary calls, streams of 1 MiB chunks, descriptors, deadlines, the watch over
 * the listener), plus what glibc takes for a thread that starts or ends.
 *
 * Order in a room's main: inherited descriptors, limits, Landlock, bh_server_listen (binds; makes
 * nng's threads), seccomp for all threads, bh_server_run.  Landlock comes first because it binds only
 * threads that are made later; seccomp comes after because TSYNC reaches the threads that exist.
 * Before and in bh_server_listen nng needs besides: bind, listen, getsockname, chmod, unlink,
 * epoll_create1, eventfd2, clone3, prlimit64, prctl, sysinfo, newfstatat.
 */
#ifndef BH_RPC_SYSCALLS_H
#define BH_RPC_SYSCALLS_H

#include <stddef.h>

static const char *const bh_rpc_syscalls[] = {
    /* requests and replies */
    "futex", "readv", "sendmsg", "epoll_wait", "epoll_ctl", "accept", "fcntl", "read", "write", "shutdown", "close",
    "getrandom",
    /* fd.sock and the timekeeper */
    "poll", "accept4", "getsockopt", "recvmsg", "eventfd2",
    /* the watch over the listener: socket only with AF_UNIX */
    "socket", "connect",
    /* memory and threads of handlers */
    "mmap", "munmap", "mprotect", "madvise", "brk", "clone", "clone3", "set_robust_list", "rseq", "rt_sigprocmask",
    "exit", "exit_group", "nanosleep", "clock_nanosleep", "clock_gettime", "sched_yield", "restart_syscall",
    "rt_sigreturn", NULL};

#endif
