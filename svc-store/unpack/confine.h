/*
 * confine.h - the worker takes every right away from itself.
 *
 * Room: worker.  Called once, first thing in main after the arguments, with the crew already waiting and
 * before a byte of input is touched.
 */
#ifndef UNP_CONFINE_H
#define UNP_CONFINE_H

#include <stdbool.h>

#include "base/err.h"

/* n_fds: descriptors from 4 on that stay open, or may come to be.  takes_order: one message is still to be received. */
int unp_confine(unsigned n_fds, bool takes_order, struct bh_err *err);

#endif
