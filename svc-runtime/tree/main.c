/*
 * main.c - bulkhead-tree: one walk, then the end.
 *
 * Room: tree.  launch has put it into the container's user namespace and left it two capabilities
 * there: reading everything, and chroot, which it uses once, before it looks at anything.  Then no
 * paths but below its root, no system calls but those of a walk.  `commit`, `export`, `diff`, `size`;
 * `extract` and `remove` run with the rights for files of any owner, in one folder.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cap-ng.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "proc/sandbox.h"
#include "tree.h"
#include "wire/monitor_start.h"

/* The right to chroot goes with its use. */
static int enter(struct bh_err *err) {
    if (fchdir(TREE_FD_ROOT) != 0 || chroot(".") != 0)
        return bh_err_errno(err, errno, "enter the folder to walk");
    capng_get_caps_process();
    capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_CHROOT);
    return capng_apply(CAPNG_SELECT_CAPS) == 0 ? 0 : bh_err_set(err, BH_E_INTERNAL, "drop the right to chroot");
}

static int confine_walk(bool with_other, struct bh_err *err) {
    static const char *const calls[] = {"openat",    "open",      "getdents64", "fchdir", "readlinkat", "readlink",
                                        "fgetxattr", "lgetxattr", "llistxattr", "lstat",  "stat",       NULL};
    static const char *const *const lists[] = {bh_syscalls_base, calls, NULL};
    const struct bh_landlock_rule all = {"/", BH_LANDLOCK_READ};
    int r = bh_sandbox_limits(NULL, 0, err);

    if (r == 0 && !with_other) /* the other tree is attached nowhere, no rule could name it */
        r = bh_sandbox_landlock(&all, 1, 0, NULL, err);
    return r == 0 ? bh_sandbox_seccomp(lists, 0, err) : r;
}

static int confine_extract(struct bh_err *err) {
    static const char *const calls[] = {"openat",    "mkdirat",   "mkdir",           "symlinkat", "linkat",
                                        "mknodat",   "fchown",    "fchownat",        "fchmod",    "fchmodat",
                                        "fsetxattr", "utimensat", "copy_file_range", NULL};
    static const char *const *const lists[] = {bh_syscalls_base, calls, NULL};
    int r = bh_sandbox_limits(NULL, 0, err);

    return r == 0 ? bh_sandbox_seccomp(lists, BH_SECCOMP_FORK, err) : r;
}

static int confine_remove(struct bh_err *err) {
    static const char *const calls[] = {"openat", "getdents64", "unlinkat", "renameat", "renameat2", NULL};
    static const char *const *const lists[] = {bh_syscalls_base, calls, NULL};
    const struct bh_landlock_rule all = {"/", BH_LANDLOCK_WRITE};
    int r = bh_sandbox_limits(NULL, 0, err);

    if (r == 0)
        r = bh_sandbox_landlock(&all, 1, 0, NULL, err);
    return r == 0 ? bh_sandbox_seccomp(lists, 0, err) : r;
}

static int confine(const char *mode, struct bh_err *err) {
    if (strcmp(mode, "extract") == 0)
        return confine_extract(err);
    if (strcmp(mode, "remove") == 0)
        return confine_remove(err);
    return confine_walk(strcmp(mode, "diff") == 0, err);
}

static int run(const char *mode, struct bh_err *err) {
    int r = enter(err);

    if (r == 0)
        r = confine(mode, err);
    if (r != 0)
        return r;
    if (strcmp(mode, "extract") == 0)
        return tree_extract(err);
    if (strcmp(mode, "remove") == 0)
        return tree_remove(err);
    if (strcmp(mode, "commit") == 0)
        return tree_archive(true, err);
    if (strcmp(mode, "export") == 0)
        return tree_archive(false, err);
    if (strcmp(mode, "diff") == 0)
        return tree_diff(err);
    if (strcmp(mode, "size") == 0)
        return tree_size(err);
    return bh_err_set(err, BH_E_INVALID, "there is no walk \"%s\"", mode);
}

int main(int argc, char **argv) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_launch_reply rep = {0};
    bool helper = argc == 2 && (strcmp(argv[1], "extract") == 0 || strcmp(argv[1], "remove") == 0);
    int r = argc == 2 ? run(argv[1], &err) : bh_err_set(&err, BH_E_INVALID, "usage: bulkhead-tree MODE");

    if (helper) { /* launch reads the exit status alone */
        if (r != 0)
            bh_log_err("tree-failed", &err);
        return r == 0 ? 0 : 1;
    }
    rep.code = r;
    rep.status = r == 0 ? 0 : 1;
    bh_str_copy(rep.reason, sizeof(rep.reason), err.reason);
    bh_str_escape(rep.msg, sizeof(rep.msg), err.msg, strlen(err.msg), false);
    return bh_write_all(TREE_FD_REPORT, &rep, sizeof(rep)) == 0 && r == 0 ? 0 : 1;
}
