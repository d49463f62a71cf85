/*
 * main.c - bulkhead-unpack JOB N: confine, read the parameters, do the job, tell the result, end.
 *
 * Room: worker.  Started by the supervisor for the store, with the N descriptors of jobs.h from 4 on.
 * Everything that comes from outside the engine as a file is read in a process like this one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "base/str.h"
#include "proc/control.h"
#include "proc/room.h"
#include "unpack/confine.h"
#include "unpack/job.h"

static_assert(BH_JOB_FDS_MAX <= BH_CONTROL_MAX_FDS, "the supervisor passes them");

static int usage(void) {
    fputs("usage: bulkhead-unpack JOB N   (started by bulkheadd; JOB as in jobs.h)\n", stderr);
    return 2;
}

/* A job and all that it works on. */
struct task {
    unp_job_fn *job;
    struct unp_fds fds;
    struct bh_job_params params;
};

static int set_task(struct task *t, const char *job, struct bh_err *err) {
    t->job = unp_job_find(job);
    return t->job != NULL ? 0 : bh_err_set(err, BH_E_INVALID, "worker: there is no job of this name");
}

static int given_task(const char *job, unsigned n_fds, struct task *out, struct bh_err *err) {
    *out = (struct task){.fds = {BH_JOB_FD_SOURCE, BH_JOB_FD_OUT, BH_JOB_FD_BLOB, BH_JOB_FD_MORE, n_fds - BH_JOB_FDS}};
    return set_task(out, job, err) == 0 ? unp_params_read(BH_JOB_FD_PARAMS, &out->params, err) : err->code;
}

/* The further descriptors are one run of numbers to the jobs.  They are, because nothing else opens any here. */
static bool is_run(const int *fds, unsigned n) {
    for (unsigned i = 1; i < n; i++)
        if (fds[i] != fds[0] + (int)i)
            return false;
    return true;
}

/* out->job NULL: there is nothing to do, the store has gone. */
static int ordered_task(struct task *out, struct bh_err *err) {
    struct bh_job_order order;
    int fds[BH_FDPASS_MAX];
    unsigned n_fds = 0;
    size_t n = 0;
    *out = (struct task){0};
    if (bh_fdpass_recv(BH_JOB_FD_SOURCE, &order, sizeof order, &n, fds, BH_FDPASS_MAX, &n_fds, err) != 0)
        return err->code;
    if (n == 0)
        return 0;
    close(BH_JOB_FD_SOURCE);
    if (n != sizeof order || memchr(order.job, '\0', sizeof order.job) == NULL || n_fds < 3 ||
        !is_run(fds + 3, n_fds - 3) || order.params.magic != BH_JOB_PARAMS_MAGIC)
        return bh_err_set(err, BH_E_INVALID, "worker: its order is not of this version");
    out->fds = (struct unp_fds){fds[0], fds[1], fds[2], n_fds > 3 ? fds[3] : -1, n_fds - 3};
    out->params = order.params;
    return set_task(out, order.job, err) == 0 ? unp_params_settle(&out->params, err) : err->code;
}

/* job NULL: of a spare, which is told later.  The error of a job is its result; only what prevents a result is a
 * failure of the worker. */
static int work(const char *job, unsigned n_fds, struct bh_err *err) {
    struct bh_buf result = BH_BUF_INIT_MAX(BH_JOB_RESULT_MAX + 1);
    struct task task;
    int rc = job == NULL ? ordered_task(&task, err) : given_task(job, n_fds, &task, err);
    if (rc == 0 && task.job == NULL)
        return 0;
    if (rc == 0)
        rc = task.job(&task.fds, &task.params, &result, err);
    if (rc != 0)
        unp_result_error(err, &result);
    if (bh_write_all(BH_JOB_FD_RESULT, bh_buf_str(&result), result.len) != 0)
        return bh_err_set(err, BH_E_UNAVAILABLE, "worker: its result could not be written");
    return 0;
}

int main(int argc, char **argv) {
    struct bh_err err = BH_ERR_INIT;
    uint64_t n_fds = BH_JOB_FDS;
    bool spare = argc > 1 && strcmp(argv[1], BH_JOB_SPARE) == 0;
    if (argc < 2 || argc > 3 || (argc == 3 && !bh_str_u64(argv[2], &n_fds)) || n_fds < BH_JOB_FDS ||
        n_fds > BH_JOB_FDS_MAX || (!spare && unp_job_find(argv[1]) == NULL))
        return usage();
    if (spare)
        close_range(BH_WORKER_FIRST_FD + (unsigned)n_fds, ~0U, 0);
    int rc = unp_confine(spare ? BH_JOB_FDS_MAX : (unsigned)n_fds, spare, &err);
    if (rc == 0)
        rc = work(spare ? NULL : argv[1], (unsigned)n_fds, &err);
    if (rc != 0)
        bh_log_err("worker-failed", &err);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
