/*
 * job.h - the jobs of a worker: what each reads, and the Result it gives.
 *
 * Room: worker.  A job runs once, after confinement, on the descriptors of jobs.h; nothing it
 * allocates needs to be freed but for the tests and fuzzers that call it as a function.
 */
#ifndef UNP_JOB_H
#define UNP_JOB_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "unpack/jobs.h"

struct unp_fds {
    int source;
    int out;
    int blob;
    int more; /* first of n_more further ones; the jobs that have them tell which in jobs.h */
    unsigned n_more;
};

/* Defaults filled in, upper bounds enforced. */
int unp_params_read(int fd, struct bh_job_params *out, struct bh_err *err);
int unp_params_settle(struct bh_job_params *p, struct bh_err *err);

/* Each appends one packed bulkhead.worker.v1.Result to `result`. */
typedef int unp_job_fn(const struct unp_fds *fds, const struct bh_job_params *p, struct bh_buf *result,
                       struct bh_err *err);
unp_job_fn unp_job_layer;
unp_job_fn unp_job_archive;
unp_job_fn unp_job_document;
unp_job_fn unp_job_config;
unp_job_fn unp_job_entries;
unp_job_fn unp_job_compress;
unp_job_fn unp_job_context;
unp_job_fn unp_job_compose;
unp_job_fn unp_job_file;
unp_job_fn unp_job_profile;

/* BH_JOB_* by name; NULL if unknown. */
unp_job_fn *unp_job_find(const char *name);
/* A Result that tells the error; its message escaped. */
void unp_result_error(const struct bh_err *e, struct bh_buf *result);

#endif
