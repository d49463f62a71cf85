/*
 * limits.h - the limits of a container's cgroup: which are allowed, which this host can hold.
 *
 * Room: runtime.  Pure.  The rules, ranges and words are docker 28's: what is out of range is refused, what the kernel
 * has no controller for is dropped with a warning.
 */
#ifndef RT_LIMITS_H
#define RT_LIMITS_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/types.h"
#include "wire/spec.h"

struct rt_limits_host {
    uint32_t held;           /* RT_HELD_* */
    const char *cpus, *mems; /* that there are: "0-3"; "": not known */
    unsigned n_cpus;
};

/* Changes *l to what will hold, docker's defaults filled in; adds to *warnings. */
int rt_limits_settle(struct rt_limits *l, const struct rt_limits_host *host, struct bh_arena *arena,
                     struct bh_strlist *warnings, struct bh_err *err);
/* Is there one that a cgroup would have to hold? */
bool rt_limits_any(const struct rt_limits *l);

#endif
