/*
 * process.h - what a process of a container gets, whatever form that is then written in.
 *
 * Room: a child of launch without rights.  Pure: everything is in the struct.
 */
#ifndef RLS_PROCESS_H
#define RLS_PROCESS_H

#include "rightless/oci.h"
#include "wire/enter.h"

uint64_t lnc_process_caps(const struct lnc_oci *c);

/* The environment that was asked for, and what is missing of docker's. */
typedef void (*lnc_process_each)(struct bh_buf *b, const char *entry);
void lnc_process_env(const struct lnc_oci *c, lnc_process_each each, struct bh_buf *b);

struct lnc_limit {
    uint32_t which; /* RLIMIT_* */
    const char *name;
    uint64_t soft, hard;
};
/* Number i of the specification's; false: there is no such limit. */
bool lnc_process_limit(const struct lnc_oci *c, uint32_t i, struct lnc_limit *out);

bool lnc_process_oom(const struct lnc_oci *c); /* its oom_score_adj can be set */

/* The same as a struct rt_enter with its text behind it. */
void lnc_process_enter(struct bh_buf *b, const struct lnc_oci *c);

#endif
