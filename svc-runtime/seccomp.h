/*
 * seccomp.h - a user's seccomp profile: which of its rules are this container's, and whether he may have them.
 *
 * Room: runtime.  Pure.  The profile was read by a worker, which is not believed: every word is looked at again.
 */
#ifndef RT_SECCOMP_H
#define RT_SECCOMP_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/seccomp.h"
#include "svc-runtime/request.h"
#include "wire/spec.h"

/* spec->seccomp out of p, for a container with spec->caps on a kernel (major << 16 | minor).  For everybody but
 * administrators BH_E_DENIED (reason "administrator-only") if p lets a system call happen that the default profile
 * would not let happen; architectures beside the native one are left out then, as they are by the default. */
int rt_seccomp_apply(const struct rt_caller *who, const struct bh_seccomp *p, uint32_t kernel, struct bh_arena *arena,
                     struct rt_spec *spec, struct bh_err *err);
uint32_t rt_seccomp_kernel(void);

#endif
