/*
 * main.c - the life of a monitor: start one process, drop everything, watch it to its end.
 *
 * Room: monitor; started by launch, once for each container and each exec session.  It is root only
 * until the process runs.  Afterwards it is a uid of its own without any right, and holds the
 * process's streams, its log and its exit code, whoever else dies.  docs/architecture.md, "monitor".
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "monitor.h"
#include "proc/sandbox.h"

/* How long the end of an exec session waits to be fetched before it is written down. */
#define LINGER_EXEC_NS (60 * BH_NSEC)
#define LINGER_NS      (2 * BH_NSEC)
#define PF_FORKNOEXEC  0x40 /* linux/sched.h of the kernel: forked, never called exec; since Linux 2.0 */
/* How long a session waits for the first who would hear of its end before that is noted. */
#define UNWATCHED_NS (BH_NSEC / 5)

static int read_orders(struct monitor *m, struct bh_err *err) {
    ssize_t r = bh_pread_full(RT_MFD_ORDERS, &m->orders, sizeof(m->orders), 0);

    if (r != (ssize_t)sizeof(m->orders))
        return bh_err_set(err, BH_E_INTERNAL, "the monitor got no orders");
    for (int fd = RT_MFD_ORDERS; fd < RT_MFD_END; fd++)
        bh_set_cloexec(fd, true);
    close(RT_MFD_ORDERS);
    m->tty = (m->orders.flags & RT_TTY) != 0;
    m->in = m->out[0] = m->out[1] = m->oom_fd = m->stat_fd = m->log.fd = -1;
    bh_buf_init(&m->in_pending, (size_t)4 * MON_CHUNK);
    for (unsigned i = 0; i < MON_MAX_PEERS; i++)
        m->peer[i].fd = -1;
    return 0;
}

/* SIGCHLD as a descriptor; whatever is sent to end a whole session or group does not end the monitor. */
static int take_signals(struct monitor *m, struct bh_err *err) {
    static const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTOU, SIGTTIN, SIGTSTP};
    sigset_t chld;

    for (size_t i = 0; i < BH_ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_SETMASK, &chld, NULL);
    m->signal_fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
    return m->signal_fd >= 0 ? 0 : bh_err_errno(err, errno, "make a descriptor for signals");
}

static int confine(const struct monitor *m, struct bh_err *err) {
    static const char *const calls[] = {"wait4",     "waitid",     "accept4",  "recvmsg",  "sendmsg",
                                        "sendto",    "getsockopt", "open",     "openat",   "renameat",
                                        "renameat2", "rename",     "unlinkat", "pwritev2", NULL};
    static const char *const *const lists[] = {bh_syscalls_base, calls, NULL};
    const struct bh_landlock_rule rules[] = {{"/proc/self/fd/5", BH_LANDLOCK_WRITE},
                                             {"/proc/self/fd/7", BH_LANDLOCK_WRITE}};
    gid_t gid = m->orders.gid;
    int r;

    if (chdir("/") != 0 || setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
        setresuid(m->orders.uid, m->orders.uid, m->orders.uid) != 0)
        return bh_err_errno(err, errno, "become uid %u", m->orders.uid);
    r = bh_sandbox_limits(NULL, 0, err);
    if (r == 0)
        r = bh_sandbox_landlock(rules, BH_ARRAY_LEN(rules), 0, NULL, err);
    if (r == 0)
        r = bh_sandbox_seccomp(lists, m->tty ? BH_SECCOMP_TTY : 0, err);
    return r;
}

/* launch may have gone meanwhile; the container runs all the same. */
static void report(const struct monitor *m, int hint, const struct bh_err *err) {
    struct rt_launch_reply rep = {.code = err->code,
                                  .pid = m->pid,
                                  .exit_hint = hint,
                                  .started_ns = m->state.started_ns,
                                  .id_base = m->orders.container_uid};

    if (err->code != 0) {
        bh_str_copy(rep.reason, sizeof(rep.reason), err->reason);
        snprintf(rep.msg, sizeof(rep.msg), "%s", err->msg);
        snprintf(rep.hint, sizeof(rep.hint), "%s", err->hint);
    }
    if (bh_write_all(RT_MFD_REPORT, &rep, sizeof(rep)) != 0)
        bh_log(BH_LOG_WARN, "report-failed", "container=%s", m->orders.id);
    close(RT_MFD_REPORT);
}

/* "oom_kill 1": memory.events of v2 and memory.oom_control of v1 have the same line. */
static bool was_oom(const struct monitor *m) {
    char text[1024];
    ssize_t n = m->oom_fd >= 0 ? bh_pread_full(m->oom_fd, text, sizeof(text) - 1, 0) : -1;
    const char *p;

    if (n <= 0)
        return false;
    text[n] = 0;
    p = strstr(text, "oom_kill ");
    return p != NULL && p[9] != '0';
}

static void note_exit(struct monitor *m, int status) {
    m->exited = true;
    m->exited_mono_ns = bh_mono_ns();
    m->state.finished_ns = bh_now_ns();
    if (WIFSIGNALED(status)) {
        m->state.signal = WTERMSIG(status);
        m->state.exit_code = 128 + WTERMSIG(status);
    } else {
        m->state.exit_code = WEXITSTATUS(status);
    }
    m->state.oom_killed = was_oom(m);
}

/* crun forks what becomes the container's first process, and tells of its success before it calls exec; of a process
 * that has ended and was not waited for the kernel still says whether it ever did. */
static bool never_ran(const struct monitor *m) {
    char text[512];
    ssize_t n = m->stat_fd >= 0 ? bh_pread_full(m->stat_fd, text, sizeof(text) - 1, 0) : -1;
    const char *p;

    if (n <= 0)
        return false;
    text[n] = 0;
    p = strrchr(text, ')'); /* 3: state; 9: flags */
    for (int field = 2; p != NULL && field < 9; field++)
        p = strchr(p + 1, ' ');
    return p != NULL && (strtoul(p + 1, NULL, 10) & PF_FORKNOEXEC) != 0;
}

static void reap(struct monitor *m) {
    struct signalfd_siginfo si;
    siginfo_t who;
    int status;

    while (read(m->signal_fd, &si, sizeof(si)) > 0)
        ;
    for (;;) {
        who.si_pid = 0;
        if (waitid(P_ALL, 0, &who, WEXITED | WNOHANG | WNOWAIT) != 0 || who.si_pid == 0)
            return;
        bool first = who.si_pid == m->pid && !m->exited;
        if (first)
            m->never_ran = never_ran(m);
        if (waitpid(who.si_pid, &status, 0) == who.si_pid && first)
            note_exit(m, status);
    }
}

/* Where its program could not be started, all that was written comes from the OCI runtime, and tells why. */
static void settle_code(struct monitor *m) {
    struct bh_err ignored = BH_ERR_INIT;
    int code = 0;

    if (!m->never_ran || m->state.exit_code != 1)
        return;
    m->first[m->n_first] = 0;
    mon_runtime_failed(m->first, m->orders.program, &code, &ignored);
    if (code == 126 || code == 127)
        m->state.exit_code = code;
}

/* Everything has been read and handed on: make the end known. */
static void finish(struct monitor *m) {
    bool durable = !(m->orders.flags & RT_VOLATILE); /* with --rm nobody asks for it after a power cut */
    struct bh_err err = BH_ERR_INIT;

    if (m->log_on)
        rt_log_close(&m->log);
    settle_code(m);
    m->state.phase = RT_MONITOR_EXITED;
    if (m->orders.exec_id[0] == 0 &&
        bh_file_replace(RT_MFD_STATE, "exit", &m->state, sizeof(m->state), 0640, durable, &err) != 0)
        bh_log_err("exit-not-written", &err);
    mon_clients_close(m);
    mon_peers_tell(m);
}

static int timeout_ms(const struct monitor *m) {
    if (m->state.phase == RT_MONITOR_EXITED)
        return 250;
    if (m->exited)
        return 20;
    return m->orders.exec_id[0] != 0 && !m->noted && mon_peers_done(m) ? 250 : 30000;
}

static void one_round(struct monitor *m) {
    struct pollfd p[3 + 3 * MON_MAX_CLIENTS + 1 + MON_MAX_PEERS + 1];
    unsigned max = BH_ARRAY_LEN(p) - 1;
    unsigned peers = mon_peers_poll(m, p, max);
    unsigned n = peers;

    if (m->state.phase != RT_MONITOR_EXITED)
        n += mon_streams_poll(m, p + n, max - n);
    p[n++] = (struct pollfd){.fd = m->signal_fd, .events = POLLIN};
    if (poll(p, n, timeout_ms(m)) < 0 && errno != EINTR)
        return;
    reap(m);
    if (m->state.phase != RT_MONITOR_EXITED)
        mon_streams_run(m);
    mon_peers_run(m, p, peers);
    mon_peers_tell(m);
}

static ino_t socket_inode(const struct monitor *m) {
    struct stat st;

    return fstatat(RT_MFD_RUN, m->orders.socket_name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

static void socket_remove(const struct monitor *m) {
    if (m->socket_ino != 0 && socket_inode(m) == m->socket_ino)
        unlinkat(RT_MFD_RUN, m->orders.socket_name, 0);
}

/* What a runtime that is started again finds of an exec session. */
static void note_session(struct monitor *m, bool gone) {
    struct bh_err err = BH_ERR_INIT;
    char name[RT_ID_SIZE + 8];

    snprintf(name, sizeof(name), RT_EXEC_NOTE "%s", m->orders.exec_id);
    if (gone)
        unlinkat(RT_MFD_STATE, name, 0);
    else if (bh_file_replace(RT_MFD_STATE, name, &m->state, sizeof(m->state), 0640, false, &err) != 0)
        bh_log_err("session-not-noted", &err);
    m->noted = !gone;
}

/* Most sessions are short and watched from their start to their end: no note is made of them. */
static void note_unwatched(struct monitor *m) {
    bool now = !mon_peers_done(m);

    if (m->orders.exec_id[0] != 0 && !m->noted && !now &&
        (m->watched || bh_now_ns() - m->state.started_ns > UNWATCHED_NS))
        note_session(m, false);
    m->watched = m->watched || now;
}

static void watch(struct monitor *m) {
    int64_t linger = m->orders.exec_id[0] != 0 ? LINGER_EXEC_NS : LINGER_NS;
    int64_t end;
    bool told = false;

    reap(m); /* it may have ended already */
    while (!m->exited || !mon_streams_drained(m)) {
        one_round(m);
        note_unwatched(m);
    }
    finish(m);
    end = bh_mono_ns() + linger;
    while (bh_mono_ns() < end && !(told && mon_peers_done(m))) {
        for (unsigned i = 0; i < MON_MAX_PEERS; i++)
            told = told || m->peer[i].told_phase == RT_MONITOR_EXITED;
        one_round(m);
    }
    if (m->orders.exec_id[0] != 0 && (m->noted || !told))
        note_session(m, told);
    socket_remove(m);
}

static void attach_first(struct monitor *m) {
    struct bh_err err = BH_ERR_INIT;
    int fds[3];
    unsigned n = 0;

    for (int i = 0; i < 3; i++)
        if (m->orders.stdio & (1u << i))
            fds[n++] = RT_MFD_STDIN + i;
    if (n > 0)
        mon_client_add(m, m->orders.stdio, fds, &err); /* the first: there is room */
}

int main(void) {
    static struct monitor m;
    struct bh_err err = BH_ERR_INIT;
    int hint = 125;
    int r = read_orders(&m, &err);

    if (r == 0)
        r = take_signals(&m, &err);
    m.socket_ino = r == 0 ? socket_inode(&m) : 0;
    if (r == 0)
        r = mon_start(&m, &hint, &err);
    if (r == 0 && m.orders.stage[0] != 0)
        umount2(m.orders.stage, MNT_DETACH); /* only the container holds its root file system from here on */
    if (r == 0 && (m.orders.flags & RT_KEEP_LOG) && m.orders.exec_id[0] == 0) {
        m.log_on = true;
        r = rt_log_open(&m.log, RT_MFD_STATE, m.orders.log_max_size, m.orders.log_max_files, &err);
        if (r == 0 && fchown(m.log.fd, m.orders.uid, (gid_t)-1) != 0)
            r = bh_err_errno(&err, errno, "give the log to the monitor");
    }
    if (r == 0) {
        attach_first(&m);
        close(RT_MFD_RECORD);
        r = confine(&m, &err);
    }
    if (r != 0 && m.pid > 0)
        kill(m.pid, SIGKILL); /* it runs, but nobody could watch it */
    report(&m, hint, &err);
    if (r != 0) {
        socket_remove(&m);
        return 1;
    }
    watch(&m);
    return 0;
}
