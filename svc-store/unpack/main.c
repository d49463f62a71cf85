/*
 * main.c - bulkhead-unpack JOB N: confine, read the parameters, do the job, tell the result, end.
 *
 * Room: worker.  Started by the supervisor for the store, with the N descriptors of jobs.h from 4 on.
 * Everything that comes from outside the engine as a file is read in a process like this one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/str.h"
#include "proc/control.h"
#include "unpack/confine.h"
#include "unpack/job.h"

static_assert(BH_JOB_FDS_MAX <= BH_CONTROL_MAX_FDS, "the supervisor passes them");

static int usage(void) {
    fputs("usage: bulkhead-unpack JOB N   (started by bulkheadd; JOB as in jobs.h)\n", stderr);
    return 2;
}

/* The error of a job is its result; only what prevents a result is a failure of the worker. */
static int work(unp_job_fn *job, unsigned n_fds, struct bh_err *err) {
    const struct unp_fds fds = {BH_JOB_FD_SOURCE, BH_JOB_FD_OUT, BH_JOB_FD_BLOB, BH_JOB_FD_MORE, n_fds - BH_JOB_FDS};
    struct bh_buf result = BH_BUF_INIT_MAX(BH_JOB_RESULT_MAX + 1);
    struct bh_job_params params;
    int rc = unp_params_read(BH_JOB_FD_PARAMS, &params, err);
    if (rc == 0)
        rc = job(&fds, &params, &result, err);
    if (rc != 0)
        unp_result_error(err, &result);
    if (bh_write_all(BH_JOB_FD_RESULT, bh_buf_str(&result), result.len) != 0)
        return bh_err_set(err, BH_E_UNAVAILABLE, "worker: its result could not be written");
    return 0;
}

int main(int argc, char **argv) {
    struct bh_err err = BH_ERR_INIT;
    uint64_t n_fds = BH_JOB_FDS;
    if (argc < 2 || argc > 3 || (argc == 3 && !bh_str_u64(argv[2], &n_fds)) || n_fds < BH_JOB_FDS ||
        n_fds > BH_JOB_FDS_MAX)
        return usage();
    unp_job_fn *job = unp_job_find(argv[1]);
    if (job == NULL)
        return usage();
    int rc = unp_confine((unsigned)n_fds, &err);
    if (rc == 0)
        rc = work(job, (unsigned)n_fds, &err);
    if (rc != 0)
        bh_log_err("worker-failed", &err);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
