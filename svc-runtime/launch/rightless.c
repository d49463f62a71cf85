/*
 * rightless.c - how a child of launch gives up everything before it reads foreign bytes.
 *
 * Room: launch's children.  After either function returns 0 the process can neither regain a right
 * nor reach the host; what it then reads may take it over and gain nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cap-ng.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "launch.h"
#include "proc/sandbox.h"

#define NOBODY  65534
#define SAFE_FD 40 /* above all numbers that a program gets */

static int close_all_but(int a, int b) {
    int low = a < b ? a : b, high = a < b ? b : a;

    if (close_range(3, (unsigned)low - 1, 0) != 0 || close_range((unsigned)high + 1, ~0u, 0) != 0)
        return -1;
    return low + 1 >= high ? 0 : close_range((unsigned)low + 1, (unsigned)high - 1, 0);
}

int lnc_place(int *from, int n, int *program, struct bh_err *err) {
    unsigned end = 3 + (unsigned)n;
    int moved = program != NULL ? fcntl(*program, F_DUPFD_CLOEXEC, SAFE_FD) : -1;

    for (int i = 0; i < n; i++)
        if (from[i] >= 0 && (from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, SAFE_FD)) < 0)
            return bh_err_errno(err, errno, "move a descriptor");
    for (int i = 0; i < n; i++) {
        if (from[i] >= 0 && dup2(from[i], 3 + i) < 0)
            return bh_err_errno(err, errno, "move a descriptor");
        if (from[i] < 0)
            close(3 + i);
    }
    if (program != NULL && (moved < 0 || close_range(end, (unsigned)moved - 1, 0) != 0))
        return bh_err_errno(err, errno, "move a program");
    if (close_range(program != NULL ? (unsigned)moved + 1 : end, ~0u, 0) != 0)
        return bh_err_errno(err, errno, "close what a helper does not need");
    if (program != NULL)
        *program = moved;
    return 0;
}

int lnc_ask(void (*work)(const void *arg, int to), const void *arg, struct bh_buf *out, int *out_status,
            struct bh_err *err) {
    int p[2], status = -1;
    ssize_t n;

    if (pipe2(p, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        work(arg, p[1]);
        _exit(0);
    }
    close(p[1]);
    while (pid > 0 && bh_buf_room(out, 65536) != NULL && (n = bh_read_full(p[0], out->data + out->len, 65536)) > 0)
        bh_buf_grew(out, (size_t)n);
    close(p[0]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return bh_err_errno(err, errno, "fork");
    if (out_status != NULL)
        *out_status = status;
    return 0;
}

int lnc_rightless(int keep_a, int keep_b, struct bh_err *err) {
    static const char *const *const lists[] = {bh_syscalls_base, NULL};
    const struct bh_limit limits[] = {{RLIMIT_CPU, 10}, {RLIMIT_NPROC, 0}, {RLIMIT_FSIZE, 0}};
    int r;

    if (close_all_but(keep_a, keep_b) != 0)
        return bh_err_errno(err, errno, "close what a verifier does not need");
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return bh_err_errno(err, errno, "become nobody");
    r = bh_sandbox_limits(limits, BH_ARRAY_LEN(limits), err);
    if (r == 0)
        r = bh_sandbox_landlock(NULL, 0, 0, NULL, err);
    return r == 0 ? bh_sandbox_seccomp(lists, 0, err) : r;
}

int lnc_enter(int root, int userns, struct bh_err *err) {
    if (fchdir(root) != 0)
        return bh_err_errno(err, errno, "enter the container's root");
    if (userns >= 0 && setns(userns, CLONE_NEWUSER) != 0)
        return bh_err_errno(err, errno, "join the container's user namespace");
    if (chroot(".") != 0 || setgroups(0, NULL) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
        return bh_err_errno(err, errno, "become root of the container");
    capng_clear(CAPNG_SELECT_BOTH);
    if (capng_apply(CAPNG_SELECT_CAPS) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return bh_err_set(err, BH_E_INTERNAL, "drop the capabilities of a helper");
    return 0;
}
