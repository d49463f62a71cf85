/*
 * spare.h - workers that were started ahead and wait for an order, because a new process takes longer than most jobs.
 *
 * Room: store.  A spare holds nothing but its end of a socket and of the pipe for its result; it is used once.
 */
#ifndef STORE_SPARE_H
#define STORE_SPARE_H

#include "worker.h"

struct store_spares;

/* A worker that has no order yet. */
struct store_spare {
    void *worker;
    int order;  /* the socket that brings its order */
    int result; /* read end */
};

/* Keeps so many ready, by a thread of its own. */
int store_spares_open(const struct store_worker_ops *ops, void *arg, unsigned n, struct store_spares **out,
                      struct bh_err *err);
/* Ends the thread and those that wait.  NULL allowed. */
void store_spares_close(struct store_spares *s);

/* False: none is ready. */
bool store_spare_take(struct store_spares *s, struct store_spare *out);
/* fds: SOURCE, OUT, BLOB, and those from BH_JOB_FD_MORE on; they stay the caller's.  The spare is a worker then, its
 * socket closed.  False: it has gone. */
bool store_spare_order(struct store_spares *s, struct store_spare *spare, const struct bh_job_order *order,
                       const int *fds, unsigned n_fds);
void store_spare_end(struct store_spares *s, const struct store_spare *take_spare);

#endif
