/*
 * inside.c - the last steps of an exec session's process, in the container: read what it shall be, become it.
 *
 * Room: a child of the monitor that has joined every namespace of the container.  It is root of the container's user
 * namespace and nothing on the host; open are 0 to 2, its report, its orders.  What it reads was written by a child of
 * launch without rights out of a request and an image.  It must not end in the program unless every step was done.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "base/str.h"
#include "enter.h"
#include "wire/enter.h"
#include "wire/spec.h"

#define PTMX_MAJOR 5
#define PTMX_MINOR 2

/* The orders as they lie in memory; argv and env end with NULL. */
struct orders {
    const struct rt_enter *e;
    const char *cwd;
    char **argv, **env;
};

_Noreturn void mon_step_failed(const struct mon_enter *e, enum mon_step step, int error, const char *what) {
    struct mon_step_report r = {.step = step, .value = error};

    bh_str_copy(r.what, sizeof(r.what), what);
    _exit(bh_write_all(e->report, &r, sizeof(r)) == 0 ? 125 : 126);
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static char **words(char **at, uint32_t n) {
    char **v = bh_xcalloc((size_t)n + 1, sizeof(*v));

    for (uint32_t i = 0; i < n; i++) {
        v[i] = *at;
        *at += strlen(*at) + 1;
    }
    return v;
}

static bool counts_hold(const struct rt_enter *e, const char *text) {
    uint64_t nuls = 0;

    for (uint64_t i = 0; i < e->text_size; i++)
        nuls += text[i] == 0;
    return e->argc > 0 && nuls == 1 + (uint64_t)e->argc + e->envc && text[e->text_size - 1] == 0;
}

static bool read_orders(int fd, struct orders *o) {
    struct stat st;
    char *all;

    if (fstat(fd, &st) != 0 || st.st_size <= (off_t)sizeof(*o->e) ||
        (uint64_t)st.st_size > sizeof(*o->e) + RT_ENTER_MAX_TEXT)
        return false;
    all = bh_xmalloc((size_t)st.st_size);
    if (bh_pread_full(fd, all, (size_t)st.st_size, 0) != st.st_size)
        return false;
    o->e = (const struct rt_enter *)(const void *)all;
    all += sizeof(*o->e);
    if (o->e->version != RT_ENTER_VERSION || o->e->n_groups > RT_ENTER_MAX_GROUPS ||
        o->e->n_limits > RT_ENTER_MAX_LIMITS || o->e->text_size != (uint64_t)st.st_size - sizeof(*o->e) ||
        !counts_hold(o->e, all))
        return false;
    o->cwd = all;
    all += strlen(all) + 1;
    o->argv = words(&all, o->e->argc);
    o->env = words(&all, o->e->envc);
    return true;
}

/* ---- streams ---------------------------------------------------------------------------------------- */

/* The container can put anything in the place of /dev/ptmx: only the kernel's own, of a devpts, is taken. */
static int open_master(void) {
    BH_SCOPE_CLOSE int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct statfs fs;
    struct stat st;
    int locked = 0;

    if (fd < 0 || fstatfs(fd, &fs) != 0 || fstat(fd, &st) != 0)
        return -1;
    if (fs.f_type != DEVPTS_SUPER_MAGIC || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(PTMX_MAJOR, PTMX_MINOR)) {
        errno = ENODEV;
        return -1;
    }
    return ioctl(fd, TIOCSPTLCK, &locked) == 0 ? bh_take_fd(&fd) : -1;
}

static bool make_terminal(const struct mon_enter *e, const struct rt_enter *x) {
    struct winsize ws = {.ws_row = (unsigned short)x->rows, .ws_col = (unsigned short)x->cols};
    BH_SCOPE_CLOSE int master = open_master(), slave = -1;
    struct bh_err ignored = BH_ERR_INIT;

    if (master < 0 || (slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
        return false;
    if (ws.ws_row != 0 && ws.ws_col != 0 && ioctl(master, TIOCSWINSZ, &ws) != 0)
        return false;
    for (int i = 0; i < 3; i++)
        if (dup2(slave, i) < 0)
            return false;
    return ioctl(0, TIOCSCTTY, 0) == 0 && fchown(0, x->uid, (gid_t)-1) == 0 &&
           bh_fdpass_send(e->terminal, " ", 1, &master, 1, &ignored) == BH_FDPASS_OK;
}

/* What the monitor made belongs to the container's root; nothing else that is handed in changes its owner. */
static bool give_pipes(const struct rt_enter *x) {
    struct stat st;

    for (int i = 0; i < 3; i++)
        if (fstat(i, &st) != 0 || (S_ISFIFO(st.st_mode) && fchown(i, x->uid, x->gid) != 0))
            return false;
    return true;
}

/* The container's own, when it has one, in place of the host's by another name. */
static void own_null(void) {
    BH_SCOPE_CLOSE int fd = open("/dev/null", O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat own, st;

    if (fd < 0 || fstat(fd, &own) != 0 || !S_ISCHR(own.st_mode) || fcntl(fd, F_SETFL, O_RDWR) != 0)
        return;
    for (int i = 0; i < 3; i++)
        if (fstat(i, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == own.st_rdev)
            dup2(fd, i);
}

/* ---- limits and rights ------------------------------------------------------------------------------- */

static bool set_limits(const struct rt_enter *x) {
    for (uint32_t i = 0; i < x->n_limits; i++) {
        struct rlimit l = {x->limits[i].soft, x->limits[i].hard};

        if (setrlimit((__rlimit_resource_t)x->limits[i].which, &l) != 0)
            return false;
    }
    return true;
}

static void reset_signals(void) {
    sigset_t none;

    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A folder that is not below the container's root has a path that does not begin there. */
static bool go_to(const char *folder) {
    char path[4096];

    if (chdir(folder) != 0)
        return false;
    long n = syscall(SYS_getcwd, path, sizeof(path));
    if (n > 0 && path[0] != '/')
        errno = ENOENT;
    return n > 0 && path[0] == '/';
}

static bool set_filter(const struct mon_enter *e) {
    struct sock_fprog p = {.len = (unsigned short)e->n_filter, .filter = (struct sock_filter *)e->filter};

    return e->n_filter == 0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, e->filter_flags, &p) == 0;
}

static bool drop_bounding(uint64_t kept) {
    for (unsigned i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
        if (!(kept & ((uint64_t)1 << i)) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0)
            return false;
    return true;
}

static bool set_caps(uint64_t caps) {
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2] = {{.effective = (uint32_t)caps, .permitted = (uint32_t)caps},
                                          {.effective = (uint32_t)(caps >> 32), .permitted = (uint32_t)(caps >> 32)}};

    return syscall(SYS_capset, &h, d) == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0;
}

static bool become(const struct rt_enter *x) {
    bool ok = syscall(SYS_setgroups, x->n_groups, x->groups) == 0 && drop_bounding(x->caps) &&
              prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && syscall(SYS_setresgid, x->gid, x->gid, x->gid) == 0 &&
              syscall(SYS_setresuid, x->uid, x->uid, x->uid) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;

    return ok && set_caps(x->caps);
}

/* ---- the program ------------------------------------------------------------------------------------- */

/* 0, or why it cannot be run. */
static int look_at(const char *path) {
    struct stat st;

    if (stat(path, &st) != 0)
        return errno;
    if (S_ISDIR(st.st_mode))
        return EISDIR;
    return access(path, X_OK) == 0 ? 0 : errno;
}

static const char *search_path(char *const *env) {
    for (; *env != NULL; env++)
        if (bh_str_starts(*env, "PATH="))
            return *env + 5;
    return "";
}

/* As a shell does: the first in PATH that can be run; one that cannot is the reason if there is none. */
static int find(const char *name, char *const *env, char *out, size_t size) {
    int why = ENOENT;

    if (name[0] == 0)
        return ENOENT;
    if (strchr(name, '/') != NULL)
        return bh_str_copy(out, size, name) ? look_at(out) : ENAMETOOLONG;
    for (const char *p = search_path(env); *p != 0; p += strcspn(p, ":"), p += *p == ':') {
        int n = (int)strcspn(p, ":"), r;

        if (n == 0 || (size_t)snprintf(out, size, "%.*s/%s", n, p, name) >= size)
            continue;
        r = look_at(out);
        if (r == 0)
            return 0;
        if (r != ENOENT && r != ENOTDIR)
            why = r;
    }
    return why;
}

/* After the filter comes nothing that the OCI runtimes would not do there too: a profile may know but that. */
_Noreturn void mon_inside(const struct mon_enter *e, int fd) {
    struct orders o;
    char program[4096];

    if (!read_orders(fd, &o))
        mon_step_failed(e, MON_STEP_ORDERS, EINVAL, "");
    close(fd);
    setsid();
    own_null();
    if (o.e->flags & RT_TTY && !make_terminal(e, o.e))
        mon_step_failed(e, MON_STEP_TERMINAL, errno, "");
    if (!set_limits(o.e))
        mon_step_failed(e, MON_STEP_LIMIT, errno, "");
    umask((mode_t)o.e->umask);
    if (!go_to(o.cwd))
        mon_step_failed(e, MON_STEP_FOLDER, errno, o.cwd);
    reset_signals();
    int why = find(o.argv[0], o.env, program, sizeof(program));
    if (why != 0)
        mon_step_failed(e, MON_STEP_PROGRAM, why, "");
    if (!give_pipes(o.e))
        mon_step_failed(e, MON_STEP_USER, errno, "");
    bool late = (o.e->flags & RT_NO_NEW_PRIVS) != 0; /* then it needs no right, and sees the least of what we do */
    if (!late && !set_filter(e))
        mon_step_failed(e, MON_STEP_FILTER, errno, "");
    if (!become(o.e))
        mon_step_failed(e, MON_STEP_USER, errno, "");
    if (late && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !set_filter(e)))
        mon_step_failed(e, MON_STEP_FILTER, errno, "");
    execve(program, o.argv, o.env);
    mon_step_failed(e, MON_STEP_EXEC, errno, "");
}
