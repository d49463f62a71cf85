/*
 * tarprog.c - see tarprog.h.
 *
 * Room: client.
 */
#include "cli/tarprog.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

extern char **environ;

struct cli_tar {
    pid_t pid;
};

static int start(int fd, const char *file, const char *folder, pid_t *out, struct bh_err *err) {
    char *const argv[] = {"tar",
                          "--extract",
                          (char *)file,
                          "--directory",
                          (char *)folder,
                          "--no-same-owner",
                          "--same-permissions",
                          "--delay-directory-restore",
                          NULL};
    posix_spawn_file_actions_t fa;
    int r;

    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, fd, 0);
    r = posix_spawnp(out, argv[0], &fa, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    if (r == 0)
        return 0;
    bh_err_errno(err, r, "start tar");
    return bh_err_hint(err, "install it");
}

static int wait_for(pid_t pid, struct bh_err *err) {
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return bh_err_errno(err, errno, "wait for tar");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return bh_err_set(err, BH_E_INVALID, "tar has ended with status %d",
                      WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int cli_tar_unpack(int fd, const char *folder, struct bh_err *err) {
    pid_t pid;

    /* by a name: of what comes as "-" tar does not look whether it is compressed */
    return start(fd, "--file=/dev/stdin", folder, &pid, err) == 0 ? wait_for(pid, err) : err->code;
}

int cli_tar_open(const char *folder, struct cli_tar **out, int *out_fd, struct bh_err *err) {
    int ends[2];
    pid_t pid;
    int r;

    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return bh_err_errno(err, errno, "make %s", folder);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    r = start(ends[0], "--file=-", folder, &pid, err);
    close(ends[0]);
    if (r != 0) {
        close(ends[1]);
        return r;
    }
    *out = bh_xmalloc(sizeof **out);
    (*out)->pid = pid;
    *out_fd = ends[1];
    return 0;
}

int cli_tar_close(struct cli_tar *t, struct bh_err *err) {
    int r = wait_for(t->pid, err);

    free(t);
    return r;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st;
    (void)at;
    if (kind == FTW_DP)
        (void)rmdir(path);
    else
        (void)unlink(path);
    return 0;
}

/* A folder without write permission would keep what is in it. */
static int make_writable(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)at;
    if (kind == FTW_D && (st->st_mode & 0700) != 0700)
        (void)chmod(path, 0700);
    return 0;
}

void cli_tree_remove(const char *folder) {
    (void)nftw(folder, make_writable, 32, FTW_PHYS);
    (void)nftw(folder, remove_one, 32, FTW_PHYS | FTW_DEPTH);
}
