/*
 * jobs.h - several pieces of one operation at once, that end together.
 *
 * Room: registry.
 */
#ifndef REG_JOBS_H
#define REG_JOBS_H

#include <stddef.h>

#include "base/err.h"
#include "svc-registry/stop.h"

/*
 * Runs work(arg, i, err) for i in [0, n), at most `width` at once, begun in order of i; the calling thread works too.
 * The first that fails stops the others (reg_stop_now) and its error is the result.
 */
int reg_jobs_run(size_t n, unsigned width, int (*work)(void *arg, size_t i, struct bh_err *err), void *arg,
                 struct reg_stop *stop, struct bh_err *err);

#endif
