/*
 * sandbox_limits.c - resource limits and the process flags that go with them.
 *
 * Room: all but the supervisor.  Trusts nothing from outside: all numbers are our own.  Must only
 * ever lower a limit: this system may run without CAP_SYS_RESOURCE.
 */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "proc/sandbox.h"

/* Sanitizers map terabytes of shadow memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* At the hard limit the kernel sends SIGKILL and nothing else: SIGXCPU, which tells the reason, must come before. */
#define CPU_GRACE 2

int bh_sandbox_lower(int resource, uint64_t max, struct bh_err *err) {
    struct rlimit now;

    if (SANITIZED && resource == RLIMIT_AS)
        return 0;
    if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
        return bh_err_errno(err, errno, "read limit %d", resource);
    rlim_t value = max < now.rlim_max ? max : now.rlim_max;
    struct rlimit want = {value, value};
    if (resource == RLIMIT_CPU && now.rlim_max - value > CPU_GRACE)
        want.rlim_max = value + CPU_GRACE;
    if (setrlimit((__rlimit_resource_t)resource, &want) < 0)
        return bh_err_errno(err, errno, "lower limit %d to %llu", resource, (unsigned long long)value);
    return 0;
}

int bh_sandbox_limits(const struct bh_limit *limits, unsigned n, struct bh_err *err) {
    for (unsigned i = 0; i < n; i++) {
        int rc = bh_sandbox_lower(limits[i].resource, limits[i].max, err);
        if (rc < 0)
            return rc;
    }
    int rc = bh_sandbox_lower(RLIMIT_CORE, 0, err);
    if (rc < 0)
        return rc;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return bh_err_errno(err, errno, "make this process not dumpable");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return bh_err_errno(err, errno, "set no_new_privs");
    return 0;
}
