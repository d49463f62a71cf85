/*
 * tree.c - children of launch that start bulkhead-tree: walks of a container's files, extraction, removal.
 *
 * Room: launch.  What is walked was made by a container: bulkhead-tree therefore runs as root of a
 * user namespace with that container's map, and chroots itself first thing.  It gets its
 * folders by descriptor, 3 and 4, its output as 5 and writes its report to 6.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cap-ng.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "launch.h"

#define SAFE_FD 32

static int exec_tree(int program, const char *mode, struct bh_err *err) {
    char *argv[] = {"bulkhead-tree", (char *)mode, NULL};
    char *env[] = {"LC_ALL=C", NULL};

    execveat(program, "", argv, env, AT_EMPTY_PATH);
    return bh_err_errno(err, errno, "start bulkhead-tree");
}

static int keep_caps(uint64_t caps, struct bh_err *err) {
    capng_clear(CAPNG_SELECT_BOTH);
    for (unsigned i = 0; i < 64; i++)
        if (caps & ((uint64_t)1 << i))
            capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, i);
    if (capng_apply(CAPNG_SELECT_BOTH) != 0)
        return bh_err_set(err, BH_E_INTERNAL, "drop the capabilities of a walk");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return 0;
}

/* Root of the container's ids, who may read everything of theirs; with the host's ids: root with no more
 * than that.  bulkhead-tree chroots itself before it looks at anything (its loader needs the host's libraries). */
static int become_reader(int userns, struct bh_err *err) {
    if (userns >= 0 && setns(userns, CLONE_NEWUSER) != 0)
        return bh_err_errno(err, errno, "join the container's user namespace");
    if (setgroups(0, NULL) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
        return bh_err_errno(err, errno, "become root of the container");
    return keep_caps((uint64_t)1 << CAP_DAC_READ_SEARCH | (uint64_t)1 << CAP_SYS_CHROOT, err);
}

static const char *mode_name(int mode) {
    static const char *const names[] = {NULL, "commit", "export", "diff", "size"};

    return mode >= RT_TREE_COMMIT && mode <= RT_TREE_SIZE ? names[mode] : NULL;
}

/* a: what is walked; b: DIFF, what it is compared with. */
static int open_trees(struct lnc_mounts *m, const struct lnc_request *r, const unsigned *slots, int *dir, int *a,
                      int *b, struct bh_err *err) {
    int rc = 0;

    *b = r->q.flags & RT_LAUNCH_FILTER ? r->fds[1] : -1;
    if (r->q.arg == RT_TREE_EXPORT || r->q.arg == RT_TREE_DIFF)
        rc = lnc_stage(m->l, r->q.id, dir, err);
    if (rc == 0 && r->q.arg == RT_TREE_EXPORT) {
        rc = lnc_rootfs(m, slots, r->q.n_layers, *dir, false, true, "rootfs", err);
        *a = m->root;
        return rc;
    }
    if (rc == 0 && r->q.arg == RT_TREE_DIFF) {
        rc = lnc_rootfs(m, slots, r->q.n_layers, *dir, false, false, "rootfs", err);
        /* Attached nowhere: ".." of its root leads nowhere. */
        if (rc == 0 &&
            (*b = (int)syscall(SYS_open_tree, m->root, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)) < 0)
            rc = bh_err_errno(err, errno, "take the layers for the comparison");
    }
    if (rc == 0 && (*a = openat(*dir, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        rc = bh_err_errno(err, errno, "open the container's upper folder");
    return rc;
}

static int run(const struct launch *l, const struct lnc_request *r, const unsigned *slots, int report,
               struct bh_err *err) {
    struct lnc_mounts m = {.l = l, .userns = -1, .root = -1};
    struct lnc_record rec;
    int dir = -1, a = -1, b = -1, program = l->tree_fd, rc;

    if (mode_name(r->q.arg) == NULL)
        return bh_err_set(err, BH_E_INVALID, "there is no walk %d", r->q.arg);
    rc = lnc_ct_open(l, r->q.id, &dir, &rec, err);
    m.base = rc == 0 ? lnc_ct_base(&rec) : 0;
    if (rc == 0 && m.base != 0)
        rc = lnc_userns(m.base, &m.userns, err);
    if (rc == 0)
        rc = open_trees(&m, r, slots, &dir, &a, &b, err);
    if (rc != 0)
        return rc;
    if ((rc = become_reader(m.userns, err)) != 0 ||
        (rc = lnc_place((int[]){a, b, r->fds[0], report}, 4, &program, err)) != 0)
        return rc;
    return exec_tree(program, mode_name(r->q.arg), err);
}

_Noreturn void lnc_tree_child(const struct launch *l, const struct lnc_request *r, const unsigned *slots, int report) {
    struct bh_err err = BH_ERR_INIT;

    report = fcntl(report, F_DUPFD_CLOEXEC, SAFE_FD + 4);
    run(l, r, slots, report, &err);
    lnc_report(fcntl(report, F_GETFD) >= 0 ? report : 6, 0, &err);
    _exit(1);
}

/* A throw-away process that makes (extract) or removes files of every owner, chrooted to one folder. */
static _Noreturn void helper_child(const struct launch *l, const char *mode, int dir, int other) {
    const uint64_t caps = (uint64_t)1 << CAP_CHOWN | (uint64_t)1 << CAP_FOWNER | (uint64_t)1 << CAP_FSETID |
                          (uint64_t)1 << CAP_DAC_OVERRIDE | (uint64_t)1 << CAP_SETFCAP | (uint64_t)1 << CAP_MKNOD |
                          (uint64_t)1 << CAP_SYS_CHROOT;
    struct bh_err err = BH_ERR_INIT;
    int program = l->tree_fd;

    if (lnc_place((int[]){dir, other, -1, -1}, 4, &program, &err) == 0 && keep_caps(caps, &err) == 0)
        exec_tree(program, mode, &err);
    bh_log_err("helper-not-started", &err);
    _exit(1);
}

int lnc_tree_helper(const struct launch *l, const char *mode, int dir, int other, struct bh_err *err) {
    int status = 1;
    pid_t pid = fork();

    if (pid == 0)
        helper_child(l, mode, dir, other);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return bh_err_set(err, BH_E_INTERNAL, "bulkhead-tree %s failed (%d): see the log", mode, status);
    return 0;
}
