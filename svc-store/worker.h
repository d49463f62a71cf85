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
    /* one message with descriptors, over a socket of a spare */
    int (*send)(int sock, const void *msg, size_t n, const int *fds, unsigned n_fds, struct bh_err *err);
};

int store_workers_open(struct store *s, const struct store_worker_ops *ops, void *arg, struct bh_err *err);
/* Once workers can be started: keeps n of them ready, see spare.h. */
int store_workers_ahead(struct store *s, unsigned n, struct bh_err *err);
void store_workers_close(struct store *s);

struct store_job {
    const char *name; /* BH_JOB_* */
    const char *what; /* for messages: "layer sha256:12.." */
    int source;
    int out;  /* -1: none */
    int blob; /* -1: none */
    unsigned flags;
    uint64_t offset;
    uint64_t size;   /* BH_JOB_TO_END */
    uint64_t resume; /* bytes that are in blob already */
    unsigned codec;  /* compress: enum unp_codec */
    unsigned level;
    bool waits;    /* the source is a pipe that somebody fills as he likes: does not count as one of the few */
    bool brief;    /* small and all here: waits for no other job */
    int cancel_fd; /* readable: give up; -1: none */
    int end_fd;    /* the same; 0: none (no room has a descriptor 0 of this kind) */
    /* NULL, or called a few times a second while the job runs */
    void (*progress)(void *arg);
    void *arg;
    /* further descriptors: BH_JOB_FD_MORE .. */
    const int *more;
    unsigned n_more;
    /* NULL, or called when the worker has its descriptors: the caller's own can be closed */
    void (*handed)(void *arg);
    void *handed_arg;
};

/* Runs the job to its end; the packed Result is appended to out. */
int store_worker_run(struct store *s, const struct store_job *job, struct bh_buf *out, struct bh_err *err);

/* A file without a name that holds n bytes: for a job to read. */
int store_memory_file(const char *name, const void *data, size_t n, int *out, struct bh_err *err);

#endif
