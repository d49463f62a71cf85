/*
 * tree.c - children of launch that start bulkhead-tree: walks of a container's files, extraction, removal.
 *
 * Room: launch.  What is walked was made by a container: bulkhead-tree therefore runs as root of a
 * user namespace with that container's map, and chroots itself first thing.  It gets its
 * folders by descriptor, 3 and 4, its output as 5 and writes its report to 6.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "launch.h"

#define CAP(c) ((uint64_t)1 << CAP_##c)

/* Of a walk: reading everything that is the container's.  bulkhead-tree chroots itself before it looks at anything (its
 * loader needs the host's libraries).  With the host's ids: launch itself has no DAC_READ_SEARCH to give. */
#define WALK(userns) (CAP(SYS_CHROOT) | ((userns) >= 0 ? CAP(DAC_READ_SEARCH) : CAP(DAC_OVERRIDE)))
/* Of a helper that makes (extract) or removes files of every owner, in one folder. */
#define MAKE (CAP(CHOWN) | CAP(FOWNER) | CAP(FSETID) | CAP(DAC_OVERRIDE) | CAP(SETFCAP) | CAP(MKNOD) | CAP(SYS_CHROOT))

/* The last of a child: fds become 3 to 6, *report stays open until the exec. */
static int become_tree(const struct launch *l, const char *mode, const struct lnc_who *who, int fds[4], int *report,
                       struct bh_err *err) {
    char *argv[] = {"bulkhead-tree", (char *)mode, NULL}, *env[] = {"LC_ALL=C", NULL};
    int program = l->tree_fd;

    if (lnc_become(who, err) != 0 || bh_place(3, fds, 4, (int *const[]){&program, report}, 2, err) != 0)
        return err->code;
    execveat(program, "", argv, env, AT_EMPTY_PATH);
    return bh_err_errno(err, errno, "start bulkhead-tree");
}

static const char *mode_name(int mode) {
    static const char *const names[] = {NULL, "commit", "export", "diff", "size"};

    return mode >= RT_TREE_COMMIT && mode <= RT_TREE_SIZE ? names[mode] : NULL;
}

/* a: what is walked; b: DIFF, what it is compared with. */
static int open_trees(struct lnc_mounts *m, const struct lnc_request *r, int *dir, int *a, int *b, struct bh_err *err) {
    bool export = r->q.arg == RT_TREE_EXPORT, diff = r->q.arg == RT_TREE_DIFF;
    int rc = 0;

    *b = r->q.flags & RT_LAUNCH_FILTER ? r->fds[1] : -1;
    if (export || diff)
        rc = lnc_stage(m->l, r->q.id, dir, err);
    if (rc == 0 && (export || diff))
        rc = lnc_rootfs(m, r, *dir, false, export, err);
    if (export) {
        *a = m->root;
        return rc;
    }
    /* Attached nowhere: ".." of its root leads nowhere. */
    if (rc == 0 && diff &&
        (*b = (int)syscall(SYS_open_tree, m->root, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)) < 0)
        rc = bh_err_errno(err, errno, "take the layers for the comparison");
    if (rc == 0 && (*a = openat(*dir, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        rc = bh_err_errno(err, errno, "open the container's upper folder");
    return rc;
}

static int run(const struct launch *l, const struct lnc_request *r, int *report, struct bh_err *err) {
    struct lnc_mounts m = {.l = l, .userns = -1, .root = -1};
    struct lnc_record rec;
    int dir = -1, a = -1, b = -1;

    if (mode_name(r->q.arg) == NULL)
        return bh_err_set(err, BH_E_INVALID, "there is no walk %d", r->q.arg);
    if (lnc_ct_open(l, r->q.id, &dir, &rec, err) != 0)
        return err->code;
    m.base = lnc_ct_base(&rec);
    if ((m.base != 0 && lnc_userns(m.base, &m.userns, err) != 0) || open_trees(&m, r, &dir, &a, &b, err) != 0)
        return err->code;
    return become_tree(l, mode_name(r->q.arg), &(struct lnc_who){-1, m.userns, WALK(m.userns)},
                       (int[]){a, b, r->fds[0], *report}, report, err);
}

_Noreturn void lnc_tree_child(const struct launch *l, const struct lnc_request *r, int report) {
    struct bh_err err = BH_ERR_INIT;

    run(l, r, &report, &err);
    lnc_report(report, 0, &err);
    _exit(1);
}

int lnc_tree_helper(const struct launch *l, const char *mode, int dir, int other, struct bh_err *err) {
    int status = 1, none = dir;
    pid_t pid = fork();

    if (pid == 0) {
        become_tree(l, mode, &(struct lnc_who){-1, -1, MAKE}, (int[]){dir, other, -1, -1}, &none, err);
        bh_log_err("helper-not-started", err);
        _exit(1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return bh_err_set(err, BH_E_INTERNAL, "bulkhead-tree %s failed (%d): see the log", mode, status);
    return 0;
}
