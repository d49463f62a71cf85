/*
 * pid.c - see pid.h.
 */
#include "wire/pid.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/mem.h"

/* What stands before the last ')' may be chosen by the process. */
static uint64_t stat_ticks(pid_t pid, char *out_state) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_err ignored = BH_ERR_INIT;
    char path[64];
    const char *p;

    *out_state = 'X';
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (bh_file_read(AT_FDCWD, path, 4096, &text, &ignored) != 0)
        return 0;
    p = strrchr(bh_buf_str(&text), ')');
    if (p != NULL && p[1] == ' ')
        *out_state = p[2];
    for (int field = 2; p != NULL && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p != NULL ? strtoull(p + 1, NULL, 10) : 0;
}

uint64_t rt_pid_ticks(pid_t pid) {
    char state;

    return stat_ticks(pid, &state);
}

int rt_pid_open(int dirfd, const char *name, int *out_pidfd, pid_t *out_pid, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    BH_SCOPE_CLOSE int pidfd = -1;
    struct rt_pid_record rec;
    char state;

    if (fd < 0 || bh_read_full(fd, &rec, sizeof(rec)) != (ssize_t)sizeof(rec) || rec.pid < 2 || rec.pid > INT32_MAX)
        return bh_err_set(err, BH_E_NOT_FOUND, "the process was never started");
    pidfd = (int)syscall(SYS_pidfd_open, (pid_t)rec.pid, 0);
    if (pidfd < 0 && errno != ESRCH)
        return bh_err_errno(err, errno, "open process %lld", (long long)rec.pid);
    /* The handle first, then the look: what has these ticks now is what the handle holds. */
    if (pidfd < 0 || stat_ticks((pid_t)rec.pid, &state) != rec.start_ticks || state == 'Z' || state == 'X')
        return bh_err_set(err, BH_E_NOT_FOUND, "the process has ended");
    *out_pidfd = bh_take_fd(&pidfd);
    if (out_pid != NULL)
        *out_pid = (pid_t)rec.pid;
    return 0;
}
