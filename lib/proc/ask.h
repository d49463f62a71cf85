/*
 * ask.h - a child that gives up its rights first and then answers one question.
 *
 * Room: supervisor, launch (root, single-threaded, without nng: a bare fork is safe); this is privileged code and
 * counts as such.  What is foreign, or is mere computing, is done in such a child: whoever takes it over has gained
 * nothing but its answer.
 */
#ifndef BH_PROC_ASK_H
#define BH_PROC_ASK_H

#include <stddef.h>

#include "base/err.h"

enum { BH_ASK_ANSWER = 3, BH_ASK_FD = 4 };

struct bh_ask {
    int (*work)(const void *arg, void *out, struct bh_err *err);
    const void *arg;
    void *out; /* the answer, when there is no error */
    size_t size;
    const int *fds; /* become BH_ASK_FD, BH_ASK_FD + 1, .. */
    unsigned n_fds;
    int (*become)(const void *who, struct bh_err *err); /* NULL: nobody (65534), without a capability */
    const void *who;
};

/* Runs `work` in a child that has nothing open but 0-2, its answer's pipe and fds.  Its error is returned with reason
 * and message.  BH_E_ABORTED: it was ended before it could answer. */
int bh_ask(const struct bh_ask *a, struct bh_err *err);

/* From here on nothing is open but what is below first, from[0..n) as first, first + 1, .. (-1: closed), and *keep[..]
 * (moved up), which an exec closes. */
int bh_place(int first, int *from, unsigned n, int *const *keep, unsigned n_keep, struct bh_err *err);

#endif
