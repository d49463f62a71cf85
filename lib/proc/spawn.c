/*
 * spawn.c - the child's way from clone3 to exec; the order of its steps is the order of giving up.
 *
 * Room: supervisor, as root: the child runs the lines below with all rights until drop_ids.  Trusts
 * its caller's tables and the kernel.  Must not allocate in the child, and must report every step
 * that fails instead of starting a program that has more than it should.
 */
#include "proc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"

/* mount_setattr(2): the libc of Debian 12 has it, older kernels' headers do not. */
#define ATTR_RDONLY 0x1
#define ATTR_NOSUID 0x2
#define ATTR_NODEV  0x4
#define ATTR_NOEXEC 0x8
struct attr {
    uint64_t set, clear, propagation, userns_fd;
};

/* ---- the new root ------------------------------------------------------------------------ */

static int make_target(const char *path, mode_t type) {
    if (S_ISDIR(type))
        return mkdir(path, 0755) < 0 && errno != EEXIST ? -1 : 0;
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
    return fd < 0 ? -1 : close(fd);
}

static int copy_link(const char *source, const char *path) {
    char to[256];
    ssize_t n = readlink(source, to, sizeof to - 1);

    if (n < 0)
        return -1;
    to[n] = '\0';
    return symlink(to, path);
}

static int bind_one(const struct bh_bind *b, const char *path) {
    struct attr a = {.set = ATTR_NOSUID};

    if (mount(b->source, path, NULL, MS_BIND | MS_REC, NULL) < 0)
        return -1;
    a.set |= (b->flags & BH_BIND_RW) ? 0 : ATTR_RDONLY;
    a.set |= (b->flags & BH_BIND_DEV) ? 0 : ATTR_NODEV;
    a.set |= (b->flags & BH_BIND_EXEC) ? 0 : ATTR_NOEXEC;
    return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &a, sizeof a);
}

static int add_bind(const char *stage, const struct bh_bind *b, struct bh_err *err) {
    char path[4096];
    struct stat st;

    snprintf(path, sizeof path, "%s%s", stage, b->target);
    if (lstat(b->source, &st) < 0) {
        if (errno == ENOENT && (b->flags & BH_BIND_OPTIONAL))
            return 0;
        return bh_err_errno(err, errno, "look at %s", b->source);
    }
    if (bh_make_parents(path, 0755) < 0)
        return bh_err_errno(err, errno, "make folders of %s in the room's root", b->target);
    bool is_link = S_ISLNK(st.st_mode);
    if (is_link && strcmp(b->source, b->target) == 0 && (b->flags & BH_BIND_EXEC))
        return copy_link(b->source, path) < 0 ? bh_err_errno(err, errno, "copy link %s", b->source) : 0;
    if (is_link && stat(b->source, &st) < 0)
        return (b->flags & BH_BIND_OPTIONAL) ? 0 : bh_err_errno(err, errno, "look at %s", b->source);
    if (make_target(path, st.st_mode) < 0 || bind_one(b, path) < 0)
        return bh_err_errno(err, errno, "show %s as %s", b->source, b->target);
    return 0;
}

/* The stage becomes "/"; the host's root goes away. */
static int enter_root(const char *stage, struct bh_err *err) {
    if (mount(NULL, stage, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ||
        chdir(stage) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return bh_err_errno(err, errno, "enter the room's root");
    return 0;
}

static int make_root(const struct bh_spawn *s, struct bh_err *err) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("bulkhead", s->stage, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=64k,nr_inodes=128") < 0)
        return bh_err_errno(err, errno, "mount the room's root on %s", s->stage);
    for (unsigned i = 0; i < s->n_binds; i++) {
        int rc = add_bind(s->stage, &s->binds[i], err);
        if (rc < 0)
            return rc;
    }
    if (s->proc) {
        char path[4096];
        snprintf(path, sizeof path, "%s/proc", s->stage);
        if (mkdir(path, 0555) < 0 || mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
            return bh_err_errno(err, errno, "mount the room's /proc");
    }
    return enter_root(s->stage, err);
}

/* A room that keeps the host's root sees later mounts of the host, and keeps its own to itself. */
static int make_mounts(const struct bh_spawn *s, struct bh_err *err) {
    if (!(s->namespaces & CLONE_NEWNS))
        return 0;
    if (s->stage)
        return make_root(s, err);
    return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? bh_err_errno(err, errno, "separate mounts") : 0;
}

/* ---- ids and capabilities ---------------------------------------------------------------- */

static int drop_caps(uint64_t keep, struct bh_err *err) {
    for (unsigned cap = 0; cap < 64; cap++) {
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) < 0)
            break; /* past the last one */
        if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            return bh_err_errno(err, errno, "drop capability %u", cap);
    }
    return 0;
}

static int clear_inherited_caps(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    data[0].inheritable = data[1].inheritable = 0;
    if (syscall(SYS_capset, &header, data) < 0)
        return -1;
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* A change from uid 0 to another clears the permitted and effective sets. */
static int drop_ids(const struct bh_spawn *s, struct bh_err *err) {
    int rc = drop_caps(s->uid == 0 ? s->caps : 0, err);

    if (rc < 0)
        return rc;
    if (clear_inherited_caps() < 0)
        return bh_err_errno(err, errno, "clear inheritable capabilities");
    if (setgroups(s->n_groups, s->groups) < 0 || syscall(SYS_setresgid, s->gid, s->gid, s->gid) < 0 ||
        syscall(SYS_setresuid, s->uid, s->uid, s->uid) < 0)
        return bh_err_errno(err, errno, "become user %u", s->uid);
    if (!s->may_gain && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return bh_err_errno(err, errno, "set no_new_privs");
    return 0;
}

/* ---- the child --------------------------------------------------------------------------- */

static int reset_signals(struct bh_err *err) {
    sigset_t none;

    for (int sig = 1; sig < 32; sig++)
        (void)signal(sig, SIG_DFL); /* KILL and STOP refuse, they are default anyway */
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? bh_err_errno(err, errno, "reset signals") : 0;
}

/* PDEATHSIG comes after drop_ids: the kernel clears it when the uid changes. */
static int become(const struct bh_spawn *s, int *exe_fd, int *report, struct bh_err *err) {
    int rc = make_mounts(s, err);

    if (rc == 0)
        rc = bh_place(0, s->fds, s->n_fds, (int *const[]){exe_fd, report}, 2, err);
    for (unsigned i = 0; i < s->n_limits && rc == 0; i++)
        rc = bh_sandbox_lower(s->limits[i].resource, s->limits[i].max, err);
    if (rc == 0)
        rc = reset_signals(err);
    umask(022);
    if (rc == 0 && setsid() < 0)
        rc = bh_err_errno(err, errno, "leave the supervisor's session");
    if (rc == 0)
        rc = drop_ids(s, err);
    if (rc == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        rc = bh_err_errno(err, errno, "end with the supervisor");
    return rc;
}

static _Noreturn void run_child(const struct bh_spawn *s, int report) {
    struct bh_err err = BH_ERR_INIT;
    int exe_fd = s->exe_fd;

    if (become(s, &exe_fd, &report, &err) == 0) {
        execveat(exe_fd, "", (char *const *)s->argv, (char *const *)s->envp, AT_EMPTY_PATH);
        bh_err_errno(&err, errno, "execute its binary");
    }
    (void)bh_write_all(report, &err, sizeof err);
    _exit(127);
}

/* ---- the parent -------------------------------------------------------------------------- */

static pid_t clone_child(const struct bh_spawn *s, int *pidfd) {
    struct clone_args args = {.flags = s->namespaces | CLONE_PIDFD, .pidfd = (uintptr_t)pidfd, .exit_signal = SIGCHLD};

    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

/* The child's end closes by exec, or brings the error. */
static int await_exec(int report, struct bh_err *err) {
    struct bh_err why;

    if (bh_read_full(report, &why, sizeof why) != (ssize_t)sizeof why)
        return 0;
    *err = why;
    return err->code < 0 ? err->code : bh_err_set(err, BH_E_INTERNAL, "no reason given");
}

int bh_spawn(const struct bh_spawn *s, pid_t *out_pid, int *out_pidfd, struct bh_err *err) {
    int ends[2];

    if (s->n_fds > BH_SPAWN_MAX_FDS)
        return bh_err_set(err, BH_E_INVALID, "start %s: too many descriptors", s->name);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return bh_err_errno(err, errno, "start %s", s->name);
    BH_SCOPE_CLOSE int report = ends[0], pidfd = -1;
    pid_t pid = clone_child(s, &pidfd);
    if (pid == 0)
        run_child(s, ends[1]);
    int failed = errno;
    close(ends[1]);
    int rc = pid < 0 ? bh_err_errno(err, failed, "make its process") : await_exec(report, err);
    if (rc < 0) {
        if (pid > 0)
            waitpid(pid, NULL, 0);
        return bh_err_prefix(err, "start %s", s->name);
    }
    *out_pid = pid;
    *out_pidfd = bh_take_fd(&pidfd);
    return 0;
}
