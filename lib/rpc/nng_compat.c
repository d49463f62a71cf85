/*
 * nng_compat.c - two functions that every executable with nng 1.5.2 defines itself.
 *
 * Room: all executables that use nng; never libbulkhead.so, because a library must not change what
 * the rest of its process sees.  Trusts nothing, keeps no state.  docs/protocol.md, "Carrier", tells
 * what goes wrong without it.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not instrumented: a sanitizer's own start-up calls these before it is ready. */
#define BH_VISIBLE __attribute__((visibility("default"), used, no_sanitize("address", "undefined", "thread")))

/* How many processors nng shall believe in: it makes four threads for each one, and a service of
 * ours needs few.  Code of ours that wants the true number asks sched_getaffinity. */
#define NNG_PROCESSORS 2

long __sysconf(int name);

/* A peer that closes while the connection is being set up makes sendmsg fail with EPIPE; nng 1.5.2
 * takes that for a closed listener and never accepts again (nanomsg/nng issue 1518), and gives up a
 * dialer in the same way.  A reset is what it handles well. */
BH_VISIBLE ssize_t sendmsg(int fd, const struct msghdr *msg, int flags) {
    ssize_t n = syscall(SYS_sendmsg, fd, msg, flags);

    if (n < 0 && errno == EPIPE)
        errno = ECONNRESET;
    return n;
}

BH_VISIBLE long sysconf(int name) {
    if (name == _SC_NPROCESSORS_ONLN)
        return NNG_PROCESSORS;
    return __sysconf(name);
}
