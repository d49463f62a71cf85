/*
 * ask.c - see ask.h.
 *
 * Room: supervisor, launch.  Must not believe more of an answer than its length and that its texts end.
 */
#include "proc/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"

#define NOBODY  65534
#define PARKED  300 /* descriptors wait above this while the numbers below are given out */
#define MAX_FDS 40

int bh_place(int first, int *from, unsigned n, int *const *keep, unsigned n_keep, struct bh_err *err) {
    bool ok = true;

    for (unsigned i = 0; i < n_keep; i++)
        ok = ok && (*keep[i] = fcntl(*keep[i], F_DUPFD_CLOEXEC, PARKED)) >= 0;
    for (unsigned i = 0; i < n; i++)
        ok = ok && (from[i] < 0 || (from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, PARKED)) >= 0);
    ok = ok && close_range((unsigned)first, PARKED - 1, 0) == 0;
    for (unsigned i = 0; i < n; i++)
        ok = ok && (from[i] < 0 || dup2(from[i], first + (int)i) >= 0);
    ok = ok && close_range((unsigned)first + n, ~0u, n_keep > 0 ? CLOSE_RANGE_CLOEXEC : 0) == 0;
    return ok ? 0 : bh_err_errno(err, errno, "hand descriptors over");
}

/* A change from uid 0 to another clears all capabilities. */
static int become_nobody(struct bh_err *err) {
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return bh_err_errno(err, errno, "become nobody");
    return 0;
}

static _Noreturn void answer(const struct bh_ask *a, int to) {
    struct bh_err err = BH_ERR_INIT;
    int from[1 + MAX_FDS] = {to};

    for (unsigned i = 0; i < a->n_fds && i < MAX_FDS; i++)
        from[1 + i] = a->fds[i];
    if ((a->become != NULL ? a->become(a->who, &err) : become_nobody(&err)) != 0 ||
        bh_place(BH_ASK_ANSWER, from, 1 + a->n_fds, NULL, 0, &err) != 0) {
        bh_log_err("helper-not-started", &err);
        _exit(1);
    }
    a->work(a->arg, a->out, &err);
    _exit(bh_write_all(BH_ASK_ANSWER, &err, sizeof err) == 0 && bh_write_all(BH_ASK_ANSWER, a->out, a->size) == 0 ? 0
                                                                                                                  : 1);
}

int bh_ask(const struct bh_ask *a, struct bh_err *err) {
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
        whole = bh_read_full(p[0], &said, sizeof said) == (ssize_t)sizeof said &&
                bh_read_full(p[0], a->out, a->size) == (ssize_t)a->size;
    close(p[0]);
    if (pid < 0 || waitpid(pid, NULL, 0) != pid)
        return bh_err_errno(err, errno, "fork");
    if (!whole)
        return bh_err_set(err, BH_E_ABORTED, "the helper that was asked has ended without an answer");
    if (said.code == 0)
        return 0;
    said.reason[sizeof said.reason - 1] = said.hint[sizeof said.hint - 1] = said.msg[sizeof said.msg - 1] = 0;
    bh_err_set(err, said.code < 0 ? said.code : BH_E_INTERNAL, "%s", said.msg);
    bh_err_reason(err, said.reason);
    return said.hint[0] != 0 ? bh_err_hint(err, "%s", said.hint) : err->code;
}
