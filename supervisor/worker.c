/*
 * worker.c - one-job processes for the store: started on its word, ended with it.
 *
 * Room: supervisor.  Of the store's message only the numbers, the job's name (an argument, plain
 * letters) and the descriptors are used; the descriptors are passed on unread.  Must not start more
 * than MAX_WORKERS at a time.
 */
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine.h"
#include "proc/room.h"

#define MAX_WORKERS         64
#define DEFAULT_CPU_SECONDS 600
#define DEFAULT_FILE_SIZE   ((uint64_t)1 << 40)

static void on_worker_exit(struct sup_engine *e, struct sup_source *s) {
    struct sup_worker *w = (struct sup_worker *)s, **link = &e->workers;
    struct rusage usage;
    int status;

    if (wait4(w->pid, &status, WNOHANG, &usage) != w->pid)
        return;
    if (WIFSIGNALED(status))
        bh_log(BH_LOG_WARN, "worker-died", "pid=%d signal=%d%s", (int)w->pid, WTERMSIG(status),
               WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV ? " attack-like=yes" : "");
    const struct bh_control_exited m = {
        .type = BH_CONTROL_EXITED, .seq = w->seq, .wait_status = status, .max_rss_kb = (uint32_t)usage.ru_maxrss};
    if (w->seq != 0)
        sup_tell(&e->rooms[SUP_STORE], &m, sizeof m, -1);
    while (*link != w)
        link = &(*link)->next;
    *link = w->next;
    e->n_workers--;
    sup_unwatch(e, &w->process);
    free(w);
}

static int spawn_worker(struct sup_engine *e, const struct bh_control_spawn *m, const int *fds, struct sup_worker *w,
                        struct bh_err *err) {
    const struct bh_limit limits[] = {{RLIMIT_STACK, SUP_STACK},
                                      {RLIMIT_CPU, m->cpu_seconds ? m->cpu_seconds : DEFAULT_CPU_SECONDS},
                                      {RLIMIT_FSIZE, m->file_size ? m->file_size : DEFAULT_FILE_SIZE}};
    const struct sup_user *user = &e->users[SUP_USER_WORKER];
    int map[BH_WORKER_FIRST_FD + BH_CONTROL_MAX_FDS] = {[3] = -1};
    struct bh_bind binds[SUP_MAX_BINDS];
    char count[8];
    const char *const argv[] = {"bulkhead-unpack", m->job, count, NULL};

    snprintf(count, sizeof count, "%u", m->n_fds);
    for (unsigned i = 0; i < m->n_fds; i++)
        map[BH_WORKER_FIRST_FD + i] = fds[i];
    struct bh_spawn s = {.name = "worker",
                         .argv = argv,
                         .stage = e->stage,
                         .binds = binds,
                         .n_binds = sup_binds_system(binds),
                         .namespaces =
                             CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWNET,
                         .proc = SUP_SANITIZED,
                         .fds = map,
                         .n_fds = BH_WORKER_FIRST_FD + m->n_fds,
                         .limits = limits,
                         .n_limits = BH_ARRAY_LEN(limits),
                         .uid = user->uid,
                         .gid = user->gid};
    return sup_spawn(e, &s, "bulkhead-unpack", &w->pid, &w->process.fd, err);
}

int sup_worker_start(struct sup_engine *e, const struct bh_control_spawn *m, const int *fds, pid_t *out_pid,
                     struct bh_err *err) {
    size_t n = strnlen(m->job, sizeof m->job);

    if (n == 0 || n == sizeof m->job || strspn(m->job, "abcdefghijklmnopqrstuvwxyz0123456789-") != n)
        return bh_err_set(err, BH_E_INVALID, "start worker: bad name of a job");
    if (e->n_workers >= MAX_WORKERS)
        return bh_err_set(err, BH_E_LIMIT, "start worker: %d are running", MAX_WORKERS);
    struct sup_worker *w = bh_xcalloc(1, sizeof *w);
    w->process.ready = on_worker_exit;
    w->seq = m->seq;
    int rc = spawn_worker(e, m, fds, w, err);
    if (rc < 0) {
        free(w);
        return rc;
    }
    w->next = e->workers;
    e->workers = w;
    e->n_workers++;
    *out_pid = w->pid;
    return sup_watch(e, &w->process, err);
}

void sup_worker_kill(struct sup_engine *e, uint32_t seq) {
    for (struct sup_worker *w = e->workers; w; w = w->next) {
        if (w->seq == seq)
            (void)pidfd_send_signal(w->process.fd, SIGKILL, NULL, 0);
    }
}

void sup_workers_kill(struct sup_engine *e, bool tell) {
    for (struct sup_worker *w = e->workers; w; w = w->next) {
        if (!tell)
            w->seq = 0;
        (void)pidfd_send_signal(w->process.fd, SIGKILL, NULL, 0);
    }
}
