/*
 * helper.c - how a child of launch gives up everything before foreign bytes are read.
 *
 * Room: launch's children.  What then reads them (svc-runtime/rightless, bulkhead-tree) can neither
 * regain a right nor reach the host: it may be taken over and gain nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cap-ng.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "launch.h"

#define NOBODY  65534
#define SAFE_FD 40 /* above all numbers that a program gets */
#define MAX_FDS 8

int lnc_place(int *from, int n, int *program, struct bh_err *err) {
    int moved = program != NULL ? fcntl(*program, F_DUPFD_CLOEXEC, SAFE_FD) : SAFE_FD - 1;
    bool ok = moved >= 0;

    for (int i = 0; i < n; i++)
        ok = ok && (from[i] < 0 || (from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, SAFE_FD)) >= 0);
    for (int i = 0; i < n; i++) {
        close(3 + i);
        ok = ok && (from[i] < 0 || dup2(from[i], 3 + i) >= 0);
    }
    if (!ok || close_range(3 + (unsigned)n, (unsigned)moved - 1, 0) != 0 ||
        close_range((unsigned)moved + 1, ~0u, 0) != 0)
        return bh_err_errno(err, errno, "give a helper its descriptors");
    if (program != NULL)
        *program = moved;
    return 0;
}

int lnc_become(int root, int userns, uint64_t caps, struct bh_err *err) {
    if ((root >= 0 && fchdir(root) != 0) || (userns >= 0 && setns(userns, CLONE_NEWUSER) != 0) ||
        (root >= 0 && chroot(".") != 0) || setgroups(0, NULL) != 0 || setresgid(0, 0, 0) != 0 ||
        setresuid(0, 0, 0) != 0)
        return bh_err_errno(err, errno, "become root of the container");
    capng_clear(CAPNG_SELECT_BOTH);
    for (unsigned i = 0; i < 64; i++)
        if (caps & ((uint64_t)1 << i))
            capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, i);
    if (capng_apply(CAPNG_SELECT_BOTH) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return bh_err_set(err, BH_E_INTERNAL, "drop the capabilities of a helper");
    return 0;
}

/* A change from uid 0 to another clears all capabilities. */
static int become_nobody(struct bh_err *err) {
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return bh_err_errno(err, errno, "become nobody");
    return 0;
}

static _Noreturn void answer(const struct lnc_ask *a, int to) {
    struct bh_err err = BH_ERR_INIT;
    int from[1 + MAX_FDS] = {to};

    for (unsigned i = 0; i < a->n_fds; i++)
        from[1 + i] = a->fds[i];
    if ((a->inside ? lnc_become(a->root, a->userns, a->caps, &err) : become_nobody(&err)) != 0 ||
        lnc_place(from, 1 + (int)a->n_fds, NULL, &err) != 0) {
        bh_log_err("helper-not-started", &err);
        _exit(1);
    }
    a->work(a->arg, a->out, &err);
    _exit(bh_write_all(3, &err, sizeof(err)) == 0 && bh_write_all(3, a->out, a->size) == 0 ? 0 : 1);
}

int lnc_ask(const struct lnc_ask *a, struct bh_err *err) {
    struct bh_err said = BH_ERR_INIT;
    bool whole = false;
    int p[2];

    if (pipe2(p, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    pid_t pid = fork();
    if (pid == 0)
        answer(a, p[1]);
    close(p[1]);
    if (pid > 0)
        whole = bh_read_full(p[0], &said, sizeof(said)) == (ssize_t)sizeof(said) &&
                bh_read_full(p[0], a->out, a->size) == (ssize_t)a->size;
    close(p[0]);
    if (pid < 0 || waitpid(pid, NULL, 0) != pid)
        return bh_err_errno(err, errno, "fork");
    if (!whole)
        return bh_err_set(err, BH_E_ABORTED, "the helper that was asked has ended without an answer");
    if (said.code == 0)
        return 0;
    bh_err_set(err, said.code < 0 ? said.code : BH_E_INTERNAL, "%.*s", (int)sizeof(said.msg) - 1, said.msg);
    said.reason[sizeof(said.reason) - 1] = 0;
    return bh_err_reason(err, said.reason);
}
