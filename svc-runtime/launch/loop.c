/*
 * loop.c - takes requests, starts a child for each that takes time, and sends one reply for each.
 *
 * Room: launch.  The peer on descriptor 4 is runtime, which may be taken over: every field is
 * checked here before anything else looks at it, and a message that runtime would not send ends
 * launch.  Contract: wire/launch_wire.h.
 */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "proc/control.h"
#include "proc/fdpass.h"

static bool id_ok(const char id[RT_ID_SIZE], bool may_be_empty) {
    size_t n = strnlen(id, RT_ID_SIZE);

    return (n == RT_ID_SIZE - 1 || (n == 0 && may_be_empty)) && strspn(id, "0123456789abcdef") == n;
}

/* How many descriptors such a request must bring; -1: no such request. */
static int fds_wanted(const struct rt_launch_request *q) {
    bool stdio_ok = q->stdio < 8 && q->n_stdio == (unsigned)__builtin_popcount(q->stdio);

    if (q->version != RT_LAUNCH_VERSION || q->seq == 0 || q->n_layers > RT_MAX_LAYERS || !stdio_ok)
        return -1;
    if (q->type != RT_LAUNCH_INFO && !id_ok(q->id, false))
        return -1;
    if (!id_ok(q->exec_id, q->type != RT_LAUNCH_EXEC))
        return -1;
    switch (q->type) {
    case RT_LAUNCH_START:
        return (int)(1 + q->n_layers + q->n_stdio);
    case RT_LAUNCH_EXEC:
        return q->n_layers == 0 ? (int)(1 + q->n_stdio) : -1;
    case RT_LAUNCH_TREE:
        if (q->flags & RT_LAUNCH_FILTER)
            return q->n_stdio == 0 && q->n_layers == 0 && q->arg == RT_TREE_COMMIT ? 2 : -1;
        return q->n_stdio == 0 ? (int)(1 + q->n_layers) : -1;
    case RT_LAUNCH_SIGNAL:
    case RT_LAUNCH_DELETE:
    case RT_LAUNCH_INFO:
    case RT_LAUNCH_FREEZE:
    case RT_LAUNCH_PREPARE:
        return q->n_layers == 0 && q->n_stdio == 0 ? 0 : -1;
    default:
        return -1;
    }
}

static int send_reply(uint64_t seq, const struct rt_monitor_report *rep, struct bh_err *err) {
    struct rt_launch_reply reply = {.seq = seq,
                                    .code = rep->code,
                                    .exit_hint = rep->exit_hint,
                                    .pid = rep->pid,
                                    .status = rep->status,
                                    .id_base = rep->id_base,
                                    .started_ns = rep->started_ns};

    memcpy(reply.reason, rep->reason, sizeof(reply.reason) - 1);
    memcpy(reply.msg, rep->msg, sizeof(reply.msg) - 1);
    memcpy(reply.hint, rep->hint, sizeof(reply.hint) - 1);
    return bh_fdpass_send(BH_FD_LAUNCH, &reply, sizeof(reply), NULL, 0, err);
}

static void report_from(struct rt_monitor_report *rep, const struct bh_err *e) {
    rep->code = e->code;
    rep->exit_hint = e->code != 0 ? 125 : 0;
    bh_str_copy(rep->reason, sizeof(rep->reason), e->reason);
    snprintf(rep->msg, sizeof(rep->msg), "%s", e->msg);
    snprintf(rep->hint, sizeof(rep->hint), "%s", e->hint);
}

void lnc_report(int fd, int32_t status, const struct bh_err *e) {
    struct rt_monitor_report rep = {.status = status};

    report_from(&rep, e);
    if (bh_write_all(fd, &rep, sizeof(rep)) != 0)
        bh_log_err("report-failed", e);
}

/* ---- work in children ----------------------------------------------------------------------- */

static struct lnc_job *job_free(struct launch *l) {
    for (unsigned i = 0; i < LNC_MAX_JOBS; i++)
        if (l->job[i].seq == 0)
            return &l->job[i];
    return NULL;
}

static _Noreturn void delete_child(const struct launch *l, const char *id, int report) {
    struct bh_err err = BH_ERR_INIT;

    int32_t slot = -1;

    lnc_ct_delete(l, id, &slot, &err);
    lnc_report(report, slot, &err);
    _exit(0);
}

static _Noreturn void child_run(const struct launch *l, const struct lnc_request *r, const unsigned *slots,
                                int report) {
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* nothing that is sent to launch's session reaches the monitor */
    if (r->q.type == RT_LAUNCH_START || r->q.type == RT_LAUNCH_EXEC)
        lnc_start_child(l, r, slots, report);
    if (r->q.type == RT_LAUNCH_TREE)
        lnc_tree_child(l, r, slots, report);
    delete_child(l, r->q.id, report);
}

/* The first move between cgroups of version 1 waits 5 to 20 ms for the kernel (a grace period of RCU), those that
 * follow at once do not.  This one moves nothing, and waits while the container or session is being made. */
static void wake_cgroups(const struct launch *l) {
    if (l->own_procs >= 0 && !l->no_cgroup && fork() == 0)
        _exit(write(l->own_procs, "0", 1) == 1 ? 0 : 1);
}

static int job_start(struct launch *l, const struct lnc_request *r, struct bh_err *err) {
    struct lnc_job *job = job_free(l);
    unsigned slots[RT_MAX_LAYERS];
    int p[2];
    pid_t pid;
    int rc = 0;

    if (job == NULL)
        return bh_err_set(err, BH_E_LIMIT, "%d starts and walks are under way already", LNC_MAX_JOBS);
    if (r->q.type == RT_LAUNCH_START || r->q.type == RT_LAUNCH_EXEC)
        wake_cgroups(l);
    if (r->q.type == RT_LAUNCH_START)
        rc = lnc_ct_make(l, r->q.id, !(r->q.flags & RT_LAUNCH_FLEETING), err);
    if (rc == 0 && r->q.n_layers > 0)
        rc = lnc_layers_ready(l, r, 1, slots, err);
    if (rc != 0)
        return rc;
    if (pipe2(p, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    pid = fork();
    if (pid == 0) {
        close(p[0]);
        child_run(l, r, slots, p[1]);
    }
    close(p[1]);
    if (pid < 0) {
        close(p[0]);
        return bh_err_errno(err, errno, "fork");
    }
    *job = (struct lnc_job){.seq = r->q.seq, .fd = p[0]};
    if (r->q.type == RT_LAUNCH_DELETE) {
        memcpy(job->deleting, r->q.id, RT_ID_SIZE);
    }
    return 0;
}

/* Returns true when the job has come to its end and was answered. */
static int job_read(struct launch *l, struct lnc_job *job, struct bh_err *err) {
    ssize_t n = read(job->fd, (char *)&job->report + job->got, sizeof(job->report) - job->got);

    if (n < 0 && errno == EINTR)
        return 0;
    if (n > 0)
        job->got += (size_t)n;
    if (n > 0 && job->got < sizeof(job->report))
        return 0;
    if (job->got < sizeof(job->report)) {
        struct bh_err e = BH_ERR_INIT;

        bh_err_set(&e, BH_E_INTERNAL, "the helper process of launch ended without an answer");
        report_from(&job->report, &e);
    }
    if (job->deleting[0] != 0 && job->report.code == 0)
        lnc_ct_free_slot(l, (uint32_t)job->report.status);
    n = send_reply(job->seq, &job->report, err);
    close(job->fd);
    *job = (struct lnc_job){0};
    return (int)n;
}

/* ---- requests ------------------------------------------------------------------------------- */

static int reply_now(const struct launch *l, const struct rt_launch_request *q, const struct bh_err *e,
                     struct bh_err *err) {
    struct rt_monitor_report rep = {0};
    struct lnc_record rec;
    struct bh_err ignored = BH_ERR_INIT;
    int dir = -1;

    report_from(&rep, e);
    if (e->code == 0 && q->type == RT_LAUNCH_PREPARE && lnc_ct_open(l, q->id, &dir, &rec, &ignored) == 0) {
        rep.id_base = LNC_ID_POOL + rec.slot * LNC_IDS;
        close(dir);
    }
    return send_reply(q->seq, &rep, err);
}

static int request_run(struct launch *l, const struct lnc_request *r, struct bh_err *err) {
    struct rt_launch_info info = l->info;
    struct bh_err e = BH_ERR_INIT;

    switch (r->q.type) {
    case RT_LAUNCH_INFO:
        info.seq = r->q.seq;
        return bh_fdpass_send(BH_FD_LAUNCH, &info, sizeof(info), NULL, 0, err);
    case RT_LAUNCH_SIGNAL:
        lnc_ct_signal(l, &r->q, &e);
        break;
    case RT_LAUNCH_FREEZE:
        lnc_ct_freeze(l, &r->q, &e);
        break;
    case RT_LAUNCH_PREPARE:
        lnc_ct_make(l, r->q.id, true, &e);
        break;
    default:
        if (job_start(l, r, &e) == 0)
            return 0; /* the answer comes with the job's report */
        break;
    }
    return reply_now(l, &r->q, &e, err);
}

static int request_read(struct launch *l, struct bh_err *err) {
    struct lnc_request r = {0};
    int fds[RT_MAX_FDS];
    size_t n = 0;
    int rc = bh_fdpass_recv(BH_FD_LAUNCH, &r.q, sizeof(r.q), &n, fds, RT_MAX_FDS, &r.n_fds, err);

    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (n == 0)
        return bh_err_set(err, BH_E_CANCELLED, "runtime has gone");
    r.fds = fds;
    if (n != sizeof(r.q) || fds_wanted(&r.q) != (int)r.n_fds)
        rc = bh_err_set(err, BH_E_INVALID, "runtime sent a malformed request (type %u, %u descriptors): launch ends",
                        n == sizeof(r.q) ? r.q.type : 0, r.n_fds);
    else
        rc = request_run(l, &r, err);
    bh_fdpass_close(fds, r.n_fds);
    return rc;
}

/* 1: stop. */
static int control_read(void) {
    struct bh_control_simple m = {0};
    struct bh_err ignored = BH_ERR_INIT;
    unsigned n_fds = 0;
    int fd = -1;
    size_t n = 0;
    int r = bh_fdpass_recv(BH_FD_CONTROL, &m, sizeof(m), &n, &fd, 1, &n_fds, &ignored);

    if (n_fds > 0)
        close(fd); /* RELOAD: launch reads no configuration */
    return r < 0 || n == 0 || (n == sizeof(m) && m.type == BH_CONTROL_STOP);
}

static int say_ready(struct bh_err *err) {
    struct bh_control_simple ready = {.type = BH_CONTROL_READY};

    return bh_fdpass_send(BH_FD_CONTROL, &ready, sizeof(ready), NULL, 0, err);
}

static int one_round(struct launch *l, bool *out_stop, struct bh_err *err) {
    struct pollfd p[2 + LNC_MAX_JOBS] = {{.fd = BH_FD_CONTROL, .events = POLLIN},
                                         {.fd = BH_FD_LAUNCH, .events = POLLIN}};
    unsigned which[2 + LNC_MAX_JOBS];
    unsigned n = 2;
    int rc = 0;

    for (unsigned i = 0; i < LNC_MAX_JOBS; i++)
        if (l->job[i].seq != 0) {
            which[n] = i;
            p[n++] = (struct pollfd){.fd = l->job[i].fd, .events = POLLIN};
        }
    if (poll(p, n, 60000) < 0 && errno != EINTR)
        return bh_err_errno(err, errno, "wait for requests");
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    lnc_layers_sweep(l);
    for (unsigned i = 2; i < n && rc == 0; i++)
        if (p[i].revents != 0)
            rc = job_read(l, &l->job[which[i]], err);
    if (rc == 0 && p[1].revents != 0)
        rc = request_read(l, err);
    *out_stop = p[0].revents != 0 && control_read();
    return rc;
}

int lnc_loop(struct launch *l, struct bh_err *err) {
    bool stop = false;
    int rc;

    bh_set_cloexec(BH_FD_CONTROL, true);
    bh_set_cloexec(BH_FD_LAUNCH, true);
    rc = say_ready(err);
    while (rc == 0 && !stop)
        rc = one_round(l, &stop, err);
    if (rc == BH_E_CANCELLED) { /* runtime has gone: not our failure */
        bh_log(BH_LOG_INFO, "runtime-gone", "launch ends with it");
        return 0;
    }
    return rc;
}
