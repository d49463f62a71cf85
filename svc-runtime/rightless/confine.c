/*
 * confine.c - see confine.h.
 *
 * Room: a child of launch without rights.
 */
#include "rightless/confine.h"

#include <stddef.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "proc/sandbox.h"

int lnc_confine(uint64_t max_file, struct bh_err *err) {
    static const char *const *const lists[] = {bh_syscalls_base, NULL};
    const struct bh_limit limits[] = {{RLIMIT_CPU, 10}, {RLIMIT_NPROC, 0}, {RLIMIT_FSIZE, max_file}};
    int r = bh_sandbox_limits(limits, BH_ARRAY_LEN(limits), err);

    if (r == 0)
        r = bh_sandbox_landlock(NULL, 0, 0, NULL, err);
    return r == 0 ? bh_sandbox_seccomp(lists, 0, err) : r;
}
