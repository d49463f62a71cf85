/*
 * loop.c - takes requests, starts a child for each that takes time, and sends one reply for each.
 *
 * Room: launch.  The peer on descriptor 4 is runtime, which may be taken over: every field is
 * checked here before anything else looks at it, and a message that runtime would not send ends
 * launch.  Contract: wire/launch_wire.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "launch.h"
#include "proc/control.h"
#include "rightless/info.h"

static _Noreturn void delete_child(const struct launch *l, const struct lnc_request *r, int report) {
    struct bh_err err = BH_ERR_INIT;
    int32_t slot = -1;

    lnc_ct_delete(l, &r->q, &slot, &err);
    lnc_report(report, slot, &err);
    _exit(0);
}

static int prepare(const struct launch *l, const struct rt_launch_request *q, struct bh_err *err) {
    return lnc_ct_make((struct launch *)l, q->id, true, err);
}

/* What each request brings, and who serves it: a child of its own, or launch at once. */
static const struct kind {
    bool known, exec_id, layers, stdio;
    unsigned lead; /* descriptors before the layers */
    void (*child)(const struct launch *l, const struct lnc_request *r, int report);
    int (*now)(const struct launch *l, const struct rt_launch_request *q, struct bh_err *err);
} kinds[] = {
    [RT_LAUNCH_START] = {.known = true, .layers = true, .stdio = true, .lead = 1, .child = lnc_start_child},
    [RT_LAUNCH_EXEC] = {.known = true, .exec_id = true, .stdio = true, .lead = 1, .child = lnc_start_child},
    [RT_LAUNCH_TREE] = {.known = true, .layers = true, .lead = 1, .child = lnc_tree_child},
    [RT_LAUNCH_DELETE] = {.known = true, .child = delete_child},
    [RT_LAUNCH_SIGNAL] = {.known = true, .exec_id = true, .now = lnc_ct_signal},
    [RT_LAUNCH_FREEZE] = {.known = true, .now = lnc_ct_freeze},
    [RT_LAUNCH_PREPARE] = {.known = true, .now = prepare},
    [RT_LAUNCH_INFO] = {.known = true},
};

static bool id_ok(const char id[RT_ID_SIZE]) {
    return strnlen(id, RT_ID_SIZE) == RT_ID_SIZE - 1 && strspn(id, "0123456789abcdef") == RT_ID_SIZE - 1;
}

/* How many descriptors such a request must bring; -1: no such request. */
static int fds_wanted(const struct rt_launch_request *q) {
    const struct kind *k = q->type < BH_ARRAY_LEN(kinds) ? &kinds[q->type] : NULL;

    if (k == NULL || !k->known || q->version != RT_LAUNCH_VERSION || q->seq == 0 || q->oci >= RT_OCI_N)
        return -1;
    if ((q->type != RT_LAUNCH_INFO && !id_ok(q->id)) || (q->exec_id[0] != 0 && !(k->exec_id && id_ok(q->exec_id))) ||
        (q->exec_id[0] == 0 && q->type == RT_LAUNCH_EXEC))
        return -1;
    if (q->n_layers > (k->layers ? RT_MAX_LAYERS : 0) || q->stdio > (k->stdio ? 7 : 0) ||
        q->n_stdio != (unsigned)__builtin_popcount(q->stdio) ||
        q->n_sockets > (q->type == RT_LAUNCH_START ? RT_MAX_FILES : 0))
        return -1;
    bool filter = q->type == RT_LAUNCH_TREE && q->flags & RT_LAUNCH_FILTER;
    if (filter && (q->n_layers != 0 || q->arg != RT_TREE_COMMIT))
        return -1;
    return (int)(k->lead + filter + q->n_layers + q->n_stdio + q->n_sockets);
}

static void reply_from(struct rt_launch_reply *rep, const struct bh_err *e) {
    rep->code = e->code;
    rep->exit_hint = e->code != 0 ? 125 : 0;
    bh_str_copy(rep->reason, sizeof(rep->reason), e->reason);
    snprintf(rep->msg, sizeof(rep->msg), "%s", e->msg);
    snprintf(rep->hint, sizeof(rep->hint), "%s", e->hint);
}

void lnc_report(int fd, int32_t status, const struct bh_err *e) {
    struct rt_launch_reply rep = {.status = status};

    reply_from(&rep, e);
    if (bh_write_all(fd, &rep, sizeof(rep)) != 0)
        bh_log_err("report-failed", e);
}

/* ---- work in children ----------------------------------------------------------------------- */

static _Noreturn void child_run(const struct launch *l, const struct lnc_request *r, int report) {
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* nothing that is sent to launch's session reaches the monitor */
    kinds[r->q.type].child(l, r, report);
    _exit(1);
}

/* The first move between cgroups of version 1 waits 5 to 20 ms for the kernel (a grace period of RCU), those that
 * follow at once do not.  This one moves nothing, and waits while the container or session is being made. */
static void wake_cgroups(const struct launch *l) {
    if (l->own_procs >= 0 && fork() == 0)
        _exit(write(l->own_procs, "0", 1) == 1 ? 0 : 1);
}

static int job_start(struct launch *l, struct lnc_request *r, struct bh_err *err) {
    bool start = r->q.type == RT_LAUNCH_START;
    struct lnc_job *job = NULL;
    int p[2];

    for (unsigned i = 0; i < LNC_MAX_JOBS && job == NULL; i++)
        job = l->job[i].seq == 0 ? &l->job[i] : NULL;
    if (job == NULL)
        return bh_err_set(err, BH_E_LIMIT, "%d starts and walks are under way already", LNC_MAX_JOBS);
    if (start ? RT_OCI_CGROUP(r->q.oci) : r->q.type == RT_LAUNCH_EXEC && r->q.oci == RT_OCI_RUNC)
        wake_cgroups(l);
    if ((start && lnc_ct_make(l, r->q.id, !(r->q.flags & RT_LAUNCH_FLEETING), err) != 0) ||
        lnc_layers_ready(l, r, 1, err) != 0)
        return err->code;
    if (pipe2(p, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    pid_t pid = fork();
    if (pid == 0)
        child_run(l, r, p[1]);
    close(p[1]);
    if (pid < 0) {
        close(p[0]);
        return bh_err_errno(err, errno, "fork");
    }
    *job = (struct lnc_job){.seq = r->q.seq, .fd = p[0], .deleting = r->q.type == RT_LAUNCH_DELETE};
    return 0;
}

/* What has come of the report; the whole of it, or its end, is passed on. */
static int job_read(struct launch *l, struct lnc_job *job, struct bh_err *err) {
    ssize_t n = read(job->fd, (char *)&job->report + job->got, sizeof(job->report) - job->got);
    struct bh_err e = BH_ERR_INIT;

    job->got += n > 0 ? (size_t)n : 0;
    if ((n < 0 && errno == EINTR) || (n > 0 && job->got < sizeof(job->report)))
        return 0;
    if (job->got < sizeof(job->report)) {
        bh_err_set(&e, BH_E_INTERNAL, "the helper process of launch ended without an answer");
        reply_from(&job->report, &e);
    }
    if (job->deleting && job->report.code == 0)
        lnc_ct_free_slot(l, (uint32_t)job->report.status);
    job->report.seq = job->seq;
    int rc = bh_fdpass_send(BH_FD_LAUNCH, &job->report, sizeof(job->report), NULL, 0, err);
    close(job->fd);
    *job = (struct lnc_job){0};
    return rc;
}

/* ---- requests ------------------------------------------------------------------------------- */

static int tell_info(const struct rt_launch_request *q, struct bh_err *err) {
    struct rt_launch_info info = {0};
    const uint32_t oci = q->oci;
    const struct bh_ask a = {.work = lnc_info_look, .arg = &oci, .out = &info, .size = sizeof(info)};
    struct bh_err e = BH_ERR_INIT;

    info.code = bh_ask(&a, &e);
    info.seq = q->seq;
    info.id_pool_first = LNC_ID_POOL;
    info.id_pool_count = LNC_SLOTS;
    return bh_fdpass_send(BH_FD_LAUNCH, &info, sizeof(info), NULL, 0, err);
}

static int request_run(struct launch *l, struct lnc_request *r, struct bh_err *err) {
    const struct kind *k = &kinds[r->q.type];
    struct rt_launch_reply rep = {.seq = r->q.seq};
    struct bh_err e = BH_ERR_INIT, ignored = BH_ERR_INIT;
    BH_SCOPE_CLOSE int dir = -1;
    struct lnc_record rec;

    if (r->q.type == RT_LAUNCH_INFO)
        return tell_info(&r->q, err);
    if (k->child != NULL && job_start(l, r, &e) == 0)
        return 0; /* the answer comes with the job's report */
    if (k->now != NULL && k->now(l, &r->q, &e) == 0 && lnc_ct_open(l, r->q.id, &dir, &rec, &ignored) == 0)
        rep.id_base = LNC_ID_POOL + rec.slot * LNC_IDS; /* PREPARE asks for it */
    reply_from(&rep, &e);
    return bh_fdpass_send(BH_FD_LAUNCH, &rep, sizeof(rep), NULL, 0, err);
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

/* True: stop. */
static bool control_read(void) {
    struct bh_control_simple m = {0};
    struct bh_err ignored = BH_ERR_INIT;
    unsigned n_fds = 0;
    int fd = -1;
    size_t n = 0;
    int r = bh_fdpass_recv(BH_FD_CONTROL, &m, sizeof(m), &n, &fd, 1, &n_fds, &ignored);

    bh_fdpass_close(&fd, n_fds); /* RELOAD: launch reads no configuration */
    return r < 0 || n == 0 || (n == sizeof(m) && m.type == BH_CONTROL_STOP);
}

static int one_round(struct launch *l, bool *out_stop, struct bh_err *err) {
    struct pollfd p[2 + LNC_MAX_JOBS] = {{.fd = BH_FD_CONTROL, .events = POLLIN},
                                         {.fd = BH_FD_LAUNCH, .events = POLLIN}};
    int rc = 0;

    for (unsigned i = 0; i < LNC_MAX_JOBS; i++)
        p[2 + i] = (struct pollfd){.fd = l->job[i].seq != 0 ? l->job[i].fd : -1, .events = POLLIN};
    if (poll(p, BH_ARRAY_LEN(p), 60000) < 0 && errno != EINTR)
        return bh_err_errno(err, errno, "wait for requests");
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    lnc_layers_sweep(l);
    for (unsigned i = 0; i < LNC_MAX_JOBS && rc == 0; i++)
        if (p[2 + i].revents != 0)
            rc = job_read(l, &l->job[i], err);
    if (rc == 0 && p[1].revents != 0)
        rc = request_read(l, err);
    *out_stop = p[0].revents != 0 && control_read();
    return rc;
}

int lnc_loop(struct launch *l, struct bh_err *err) {
    const struct bh_control_simple ready = {.type = BH_CONTROL_READY};
    bool stop = false;
    int rc;

    bh_set_cloexec(BH_FD_CONTROL, true);
    bh_set_cloexec(BH_FD_LAUNCH, true);
    rc = bh_fdpass_send(BH_FD_CONTROL, &ready, sizeof(ready), NULL, 0, err);
    while (rc == 0 && !stop)
        rc = one_round(l, &stop, err);
    if (rc == BH_E_CANCELLED) { /* runtime has gone: not our failure */
        bh_log(BH_LOG_INFO, "runtime-gone", "launch ends with it");
        bh_err_clear(err);
    }
    return err->code;
}
