/*
 * enter.c - starts the process of an exec session in a container that runs, without an OCI runtime.
 *
 * Room: monitor, while it is still root.  As root the child of this file does one thing only: it moves itself to
 * the container's cgroups.  Then it gives up every right on the host by joining the container's user namespace, and
 * what it is asked to run is read there (inside.c).  The filter for system calls is the one that crun made for the
 * container and has kept.  docs/internals/containers.md, "EXEC".
 */
#include "enter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "monitor.h"

#define CGROUP      "/sys/fs/cgroup"
#define PATIENCE_MS 60000
#define KEPT_FD     16 /* descriptors that the child needs on its way lie from here on */

/* ---- what the child needs, while we may open it ---------------------------------------------------- */

/* Writing "0" to `tasks` moves the writer alone, which the kernel does at once; a move by pid, or by way of
 * cgroup.procs, waits for a grace period of RCU. */
static int open_v1(const struct monitor *m, struct mon_enter *e, struct bh_err *err) {
    BH_SCOPE_DIR DIR *d = bh_dir_open(AT_FDCWD, CGROUP);

    for (struct dirent *entry; (entry = bh_dir_next(d)) != NULL;) {
        char path[512];

        if (entry->d_type != DT_DIR) /* links: cpu and its like, twice there */
            continue;
        snprintf(path, sizeof(path), "%s/bulkhead/%s/tasks", entry->d_name, m->orders.id);
        int fd = openat(dirfd(d), path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && e->n_cgroups == MON_MAX_CGROUPS) {
            close(fd);
            return bh_err_set(err, BH_E_LIMIT, "the container is in more than %d hierarchies of cgroups",
                              MON_MAX_CGROUPS);
        }
        if (fd >= 0)
            e->cgroup[e->n_cgroups++] = fd;
        else if (errno != ENOENT && errno != ENOTDIR)
            return bh_err_errno(err, errno, "open " CGROUP "/%s", path);
    }
    return 0;
}

static int open_cgroups(const struct monitor *m, struct mon_enter *e, struct bh_err *err) {
    char path[160];

    if (!m->orders.cgroup)
        return 0;
    if (open_v1(m, e, err) != 0 || e->n_cgroups > 0)
        return err->code;
    snprintf(path, sizeof(path), CGROUP "/bulkhead/%s", m->orders.id);
    e->cgroup_v2 = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return e->cgroup_v2 >= 0 ? 0 : bh_err_errno(err, errno, "open the container's cgroup %s", path);
}

/* That a container has a filter is launch's own record of its start; one that has lost it gets no session. */
static int read_filter(const struct monitor *m, struct mon_enter *e, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = open(m->orders.filter, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool wanted = !(m->orders.flags & (RT_PRIVILEGED | RT_SECCOMP_UNCONFINED));
    struct stat st;

    if (fd < 0 && errno == ENOENT && !wanted)
        return 0;
    if (fd < 0 || fstat(fd, &st) != 0)
        return bh_err_errno(err, errno, "read the container's filter for system calls, %s", m->orders.filter);
    if (!S_ISREG(st.st_mode) || st.st_uid != 0 || st.st_size <= 0 || (size_t)st.st_size > sizeof(e->filter) ||
        st.st_size % (off_t)sizeof(e->filter[0]) != 0 ||
        bh_pread_full(fd, e->filter, (size_t)st.st_size, 0) != st.st_size)
        return bh_err_set(err, BH_E_DATA_LOSS, "%s is no filter for system calls", m->orders.filter);
    e->n_filter = (unsigned)((size_t)st.st_size / sizeof(e->filter[0]));
    /* Those that crun took for the first process: without any in a profile it lets the processor speculate. */
    e->filter_flags = (m->orders.flags & RT_FILTER_STRICT ? 0 : SECCOMP_FILTER_FLAG_SPEC_ALLOW) |
                      (m->orders.flags & RT_FILTER_LOG ? SECCOMP_FILTER_FLAG_LOG : 0);
    return 0;
}

/* ---- the child ------------------------------------------------------------------------------------ */

/* From the container's processes, which could trace one that has their ids: until the program runs, this memory and
 * these descriptors are ours.  Every change of ids may undo it (fs.suid_dumpable), so that it is said again after each.
 */
static void hide(void) {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* Above all that is open; then all that has no business in a container is closed. */
static bool keep(int *fd, int *next) {
    if (*fd < 0)
        return true;
    *fd = dup3(*fd, *next, O_CLOEXEC);
    *next += 1;
    return *fd >= 0;
}

static bool keep_only(struct mon_enter *e, int *init, int *orders) {
    int parked = 256, next = KEPT_FD;
    int *const wanted[] = {&e->report, &e->terminal, init, orders};
    bool ok = true;

    for (unsigned i = 0; i < 3; i++)
        ok = ok && dup2(e->stdio[i], (int)i) >= 0;
    for (size_t i = 0; i < BH_ARRAY_LEN(wanted); i++)
        ok = ok && keep(wanted[i], &parked);
    for (unsigned i = 0; i < e->n_cgroups; i++)
        ok = ok && keep(&e->cgroup[i], &parked);
    ok = ok && close_range(3, 255, 0) == 0;
    for (size_t i = 0; i < BH_ARRAY_LEN(wanted); i++)
        ok = ok && keep(wanted[i], &next);
    for (unsigned i = 0; i < e->n_cgroups; i++)
        ok = ok && keep(&e->cgroup[i], &next);
    return ok && close_range(256, ~0u, 0) == 0;
}

static bool score_oom(const struct mon_enter *e) {
    BH_SCOPE_CLOSE int fd = e->oom_set ? open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC) : -1;

    return !e->oom_set || (fd >= 0 && dprintf(fd, "%d", e->oom_score_adj) > 0);
}

/* The keys of who started the engine are not the container's. */
static bool own_keyring(void) {
    return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) >= 0 || errno == ENOSYS;
}

static pid_t sibling(void) {
    struct clone_args args = {.flags = CLONE_PARENT};

    return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* All namespaces of the container's first process in one call: the kernel changes all of them or none, and checks each
 * with the rights of both sides.  That of processes holds for children: the program is one, and the monitor's. */
static _Noreturn void child(struct mon_enter *e, int init, int orders) {
    const int all =
        CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    struct mon_step_report started = {.step = MON_STEP_STARTED};

    hide();
    if (!keep_only(e, &init, &orders))
        mon_step_failed(e, MON_STEP_ORDERS, errno, "");
    for (unsigned i = 0; i < e->n_cgroups; i++)
        if (write(e->cgroup[i], "0", 1) != 1)
            mon_step_failed(e, MON_STEP_CGROUP, errno, "");
    if (!score_oom(e))
        mon_step_failed(e, MON_STEP_LIMIT, errno, "oom_score_adj");
    if (!own_keyring() || setns(init, all) != 0)
        mon_step_failed(e, MON_STEP_JOIN, errno, "");
    hide();
    for (unsigned i = 0; i < e->n_cgroups; i++)
        close(e->cgroup[i]);
    close(init);
    if (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setresgid, 0, 0, 0) != 0 ||
        syscall(SYS_setresuid, 0, 0, 0) != 0)
        mon_step_failed(e, MON_STEP_JOIN, errno, "");
    hide();
    started.value = sibling();
    if (started.value == 0)
        mon_inside(e, orders);
    if (started.value < 0)
        mon_step_failed(e, MON_STEP_JOIN, errno, "");
    _exit(bh_write_all(e->report, &started, sizeof(started)) == 0 ? 0 : 1);
}

/* ---- the monitor's side ----------------------------------------------------------------------------- */

static pid_t start_child(struct mon_enter *e) {
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)e->cgroup_v2};
    pid_t pid = e->cgroup_v2 >= 0 ? (pid_t)syscall(SYS_clone3, &args, sizeof(args)) : fork();

    if (pid == 0)
        child(e, RT_MFD_INIT, RT_MFD_ENTER);
    return pid;
}

/* What a shell and docker say: 127, there is no such program; 126, it cannot be run. */
static int program_failed(const struct mon_step_report *r, const char *name, int *out_hint, struct bh_err *err) {
    bool path = strchr(name, '/') != NULL, found = r->step == MON_STEP_EXEC;
    const char *says = strerror(r->value);

    *out_hint = r->value == ENOENT || r->value == ENOTDIR ? 127 : 126;
    if (r->value == ENOENT && !found && path)
        bh_err_set(err, BH_E_INVALID, MON_START "exec: \"%s\": stat %s: no such file or directory", name, name);
    else
        bh_err_set(err, BH_E_INVALID, MON_START "exec: \"%s\": %s", name,
                   r->value == ENOENT    ? (found ? "no such file or directory" : "executable file not found in $PATH")
                   : r->value == ENOTDIR ? "not a directory"
                   : r->value == EISDIR  ? "is a directory: permission denied"
                   : r->value == ENOEXEC ? "exec format error"
                   : r->value == EACCES || r->value == EPERM ? "permission denied"
                                                             : says);
    if (r->value == ENOENT && found)
        bh_err_hint(
            err, "what it needs to be run is not in the container: the interpreter of its first line, or its loader");
    return bh_err_reason(err, *out_hint == 127 ? "program-not-found" : "program-not-runnable");
}

static int explain(struct mon_step_report *r, const char *program, int *out_hint, struct bh_err *err) {
    static const char *const says[MON_STEP_N] = {
        [MON_STEP_CGROUP] = "move to the container's cgroup",
        [MON_STEP_JOIN] = "join the container's namespaces",
        [MON_STEP_ORDERS] = "take over the descriptors and orders of the session",
        [MON_STEP_TERMINAL] = "make a terminal in the container",
        [MON_STEP_LIMIT] = "set a limit",
        [MON_STEP_FILTER] = "set the container's filter for system calls",
        [MON_STEP_USER] = "become the user and drop capabilities",
    };
    char what[sizeof(r->what) * 2];

    r->what[sizeof(r->what) - 1] = 0;
    if (r->step == MON_STEP_PROGRAM || r->step == MON_STEP_EXEC) {
        bh_str_escape(what, sizeof(what), program, strlen(program), false);
        return program_failed(r, what, out_hint, err);
    }
    bh_str_escape(what, sizeof(what), r->what, strlen(r->what), false);
    if (r->step == MON_STEP_FOLDER) {
        *out_hint = 126;
        return bh_err_errno(err, r->value, MON_START "chdir to the working folder \"%s\"", what);
    }
    if (r->step == MON_STEP_JOIN &&
        (r->value == ESRCH || r->value == ENOMEM)) { /* its first process is on its way out */
        bh_err_set(err, BH_E_CONFLICT, "the container is not running any more");
        return bh_err_reason(err, "not-running");
    }
    return bh_err_errno(err, r->value, MON_START "%s%s%s",
                        r->step < MON_STEP_N && says[r->step] != NULL ? says[r->step] : "unknown step",
                        what[0] != 0 ? " " : "", what);
}

/* Until the program has replaced the child, whose end of the pipe the kernel closes then; a failure comes before. */
static int await(int from, pid_t *out_pid, struct mon_step_report *out_failed, struct bh_err *err) {
    struct pollfd p = {.fd = from, .events = POLLIN};
    struct mon_step_report r;
    ssize_t n;

    while (poll(&p, 1, PATIENCE_MS) == 1 && (n = bh_read_full(from, &r, sizeof(r))) >= 0) {
        if (n == 0)
            return 0;
        if (n != (ssize_t)sizeof(r))
            break;
        if (r.step == MON_STEP_STARTED)
            *out_pid = r.value;
        else
            *out_failed = r;
    }
    return bh_err_set(err, BH_E_DEADLINE, "the session did not start in the container for %d s", PATIENCE_MS / 1000);
}

/* What the child says is not believed more than that: a signal for the session goes to this number. */
static bool is_child(pid_t pid) {
    siginfo_t who;

    return pid > 1 && waitid(P_PID, (id_t)pid, &who, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static int watch_start(struct monitor *m, int from, pid_t pid, int *out_hint, struct bh_err *err) {
    struct mon_step_report failed = {0};
    int status = 0, r = await(from, &m->pid, &failed, err);

    if (r != 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (r == 0 && failed.step != 0)
        r = explain(&failed, m->orders.program, out_hint, err);
    else if (r == 0 && !is_child(m->pid))
        r = bh_err_set(err, BH_E_INTERNAL, "the session ended before it began (status %d)", status);
    if (r != 0 && is_child(m->pid)) {
        kill(m->pid, SIGKILL);
        waitpid(m->pid, &status, 0);
    }
    if (r != 0)
        m->pid = 0;
    return r;
}

int mon_enter(struct monitor *m, const int theirs[3], int *out_hint, struct bh_err *err) {
    static struct mon_enter e;
    BH_SCOPE_CLOSE int from = -1, terminal = -1;
    int p[2] = {-1, -1}, s[2] = {-1, -1};
    int r;

    e = (struct mon_enter){.cgroup_v2 = -1, .report = -1, .terminal = -1, .stdio = {theirs[0], theirs[1], theirs[2]}};
    e.oom_set = m->orders.oom_set;
    e.oom_score_adj = m->orders.oom_score_adj;
    if (open_cgroups(m, &e, err) != 0 || read_filter(m, &e, err) != 0)
        return err->code;
    if (pipe2(p, O_CLOEXEC) != 0 || (m->tty && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) != 0))
        return bh_err_errno(err, errno, "make the channels to the session");
    from = p[0];
    e.report = p[1];
    terminal = s[0];
    e.terminal = s[1];
    pid_t pid = start_child(&e);
    close(e.report);
    if (e.terminal >= 0)
        close(e.terminal);
    for (unsigned i = 0; i < e.n_cgroups; i++)
        close(e.cgroup[i]);
    if (e.cgroup_v2 >= 0)
        close(e.cgroup_v2);
    if (pid < 0)
        return bh_err_errno(err, errno, "fork for the session");
    r = watch_start(m, from, pid, out_hint, err);
    close(RT_MFD_INIT);
    close(RT_MFD_ENTER);
    return r == 0 && m->tty ? mon_terminal_take(m, terminal, err) : r;
}
