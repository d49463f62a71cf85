/*
 * direct_worker.c - see direct_worker.h.
 */
#include "direct_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/mem.h"
#include "proc/room.h"

struct direct {
    pid_t pid;
};

static void child(const char *path, const char *job, const int *fds, unsigned n) {
    int high[256];
    char count[8];

    for (unsigned i = 0; i < n; i++)
        high[i] = fcntl(fds[i], F_DUPFD, 300);
    for (unsigned i = 0; i < n; i++)
        dup2(high[i], BH_WORKER_FIRST_FD + (int)i);
    close_range(BH_WORKER_FIRST_FD + n, ~0U, 0);
    unsetenv("LD_PRELOAD");
    snprintf(count, sizeof count, "%u", n);
    execl(path, "bulkhead-unpack", job, count, (char *)NULL);
    _exit(127);
}

static int spawn(void *arg, const char *job, const int *fds, unsigned n, void **out, struct bh_err *err) {
    const char *path = getenv("BH_TEST_UNPACK");
    struct direct *d;
    pid_t pid;

    (void)arg;
    pid = fork();
    if (pid < 0)
        return bh_err_errno(err, errno, "fork");
    if (pid == 0)
        child(path != NULL ? path : BH_BINARY_DIR "/bin/bulkhead-unpack", job, fds, n);
    d = bh_xcalloc(1, sizeof *d);
    d->pid = pid;
    *out = d;
    return 0;
}

static int wait_for(void *worker, int timeout_ms, int *out_status, struct bh_err *err) {
    struct direct *d = worker;

    (void)timeout_ms;
    (void)err;
    while (waitpid(d->pid, out_status, 0) < 0 && errno == EINTR)
        continue;
    free(d);
    return 0;
}

static void end(void *worker) {
    kill(((struct direct *)worker)->pid, SIGKILL);
}

const struct store_worker_ops direct_worker_ops = {spawn, wait_for, end, bh_fdpass_send};
