/*
 * confine.c - memory limits, then the sandbox of lib/proc.
 *
 * Room: worker.  Afterwards this process can read, write, allocate and exit; it has no open, no
 * socket, no exec, no new thread.  A spare can receive one message more: what it holds then is what its job needs.
 */
#include "unpack/confine.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>

#include "oci/digest.h"
#include "oci/json.h"
#include "proc/room.h"
#include "unpack/crew.h"

#define MEMORY_MAX ((uint64_t)768 << 20) /* of addresses */
#define DATA_MAX   ((uint64_t)240 << 20) /* of memory that is really ours: what a hostile archive can make us take */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static int limit_data(struct bh_err *err) {
    const struct rlimit want = {DATA_MAX, DATA_MAX};
    if (!SANITIZED && setrlimit(RLIMIT_DATA, &want) != 0)
        return bh_err_errno(err, errno, "limit the memory of a worker");
    return 0;
}

int unp_confine(unsigned n_fds, bool takes_order, struct bh_err *err) {
    static const char *const none[] = {NULL};
    static const char *const order[] = {"recvmsg", NULL};
    mallopt(M_ARENA_MAX, 1);  /* an arena for each thread would reserve 64 MiB of addresses each */
    signal(SIGXFSZ, SIG_IGN); /* a write past RLIMIT_FSIZE is told as an error */
    signal(SIGPIPE, SIG_IGN);
    bh_json_startup();
    int rc = bh_digest_startup(err);
    if (rc == 0)
        rc = limit_data(err);
    if (rc == 0)
        rc = unp_crew_start(err);
    return rc != 0 ? rc : bh_worker_confine(n_fds, MEMORY_MAX, takes_order ? order : none, err);
}
