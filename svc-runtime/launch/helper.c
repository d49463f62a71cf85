/*
 * helper.c - how a child of launch becomes the container's root and no more.
 *
 * Room: launch's children.  What then reads foreign bytes (svc-runtime/rightless, bulkhead-tree) can
 * neither regain a right nor reach the host: it may be taken over and gain nothing.
 */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cap-ng.h>

#include "launch.h"

int lnc_become(const void *arg, struct bh_err *err) {
    const struct lnc_who *w = arg;

    if ((w->root >= 0 && fchdir(w->root) != 0) || (w->userns >= 0 && setns(w->userns, CLONE_NEWUSER) != 0) ||
        (w->root >= 0 && chroot(".") != 0) || setgroups(0, NULL) != 0 || setresgid(0, 0, 0) != 0 ||
        setresuid(0, 0, 0) != 0)
        return bh_err_errno(err, errno, "become root of the container");
    capng_clear(CAPNG_SELECT_BOTH);
    for (unsigned i = 0; i < 64; i++)
        if (w->caps & ((uint64_t)1 << i))
            capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, i);
    if (capng_apply(CAPNG_SELECT_BOTH) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return bh_err_set(err, BH_E_INTERNAL, "drop the capabilities of a helper");
    return 0;
}
