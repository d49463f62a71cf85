/*
 * worker.h - one job of a worker: spawn it with its descriptors, read its result, see it end.
 *
 * Room: store.  A worker reads hostile bytes with no rights at all; what it hands back is a message
 * of bounded size, which is as untrusted as the bytes were.  Not more run at once than the options say.
 */
#ifndef STORE_WORKER_H
#define STORE_WORKER_H

#include "base/buf.h"
#include "store.h"
#include "unpack/jobs.h"

/* How workers come to life: through the supervisor in the room, by fork in tests. */
struct store_worker_ops {
    int (*spawn)(void *arg, const char *job, const int *fds, unsigned n_fds, void **out_worker, struct bh_err *err);
    /* frees the worker */
    int (*wait)(void *worker, int timeout_ms, int *out_status, struct bh_err *err);
    void (*kill)(void *worker);
};

int store_workers_open(struct store *s, const struct store_worker_ops *ops, void *arg, struct bh_err *err);
void store_workers_close(struct store *s);

struct store_job {
    const char *name; /* BH_JOB_* */
    const char *what; /* for messages: "layer sha256:12.." */
    int source;
    int out;  /* -1: none */
    int blob; /* -1: none */
    unsigned flags;
    uint64_t offset;
    uint64_t size; /* BH_JOB_TO_END */
    bool waits;    /* the source is a pipe that somebody fills as he likes: does not count as one of the few */
    int cancel_fd; /* readable: give up; -1: none */
};

/* Runs the job to its end; the packed Result is appended to out. */
int store_worker_run(struct store *s, const struct store_job *job, struct bh_buf *out, struct bh_err *err);

#endif
