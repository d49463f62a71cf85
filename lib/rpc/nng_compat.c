/*
 * nng_compat.c - four functions that every executable with nng 1.5.2 defines itself.
 *
 * Room: all executables that use nng; never libbulkhead.so, because a library must not change what
 * the rest of its process sees.  Trusts nothing, keeps no state.  docs/protocol.md, "Carrier", tells
 * what goes wrong without it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <nng/nng.h>
#include <stdint.h>
#include <stdlib.h>
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

/* ---- transfers that nobody ends ----------------------------------------------------------------
 *
 * When a connection closes between two parts of a message, nng (up to 1.11 at least) starts the next part
 * on an operation that is stopped already: it is refused without a callback, the message before it
 * never ends, and the thread that clears closed connections away waits for it for ever.  From then on
 * no connection ends any more.  A client that is thrown out while it sends does that to a service in
 * every second try (tests/unit/rpc/test_leave.c).  A refused operation is known by its result; here
 * its callback is run after all.  nng calls these two by their exported names. */

typedef void transfer(nng_stream *, nng_aio *);

void nng_stream_send(nng_stream *s, nng_aio *aio);
void nng_stream_recv(nng_stream *s, nng_aio *aio);

static transfer *real_send, *real_recv;

__attribute__((constructor)) static void find_real(void) {
    real_send = (transfer *)(uintptr_t)dlsym(RTLD_NEXT, "nng_stream_send");
    real_recv = (transfer *)(uintptr_t)dlsym(RTLD_NEXT, "nng_stream_recv");
    if (real_send == NULL || real_recv == NULL)
        abort();
}

static void end_refused(nng_aio *aio) {
    if (nng_aio_result(aio) == NNG_ECANCELED)
        nng_aio_finish(aio, NNG_ECLOSED);
}

BH_VISIBLE void nng_stream_send(nng_stream *s, nng_aio *aio) {
    real_send(s, aio);
    end_refused(aio);
}

BH_VISIBLE void nng_stream_recv(nng_stream *s, nng_aio *aio) {
    real_recv(s, aio);
    end_refused(aio);
}
