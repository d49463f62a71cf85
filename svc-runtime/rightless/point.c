/*
 * point.c - see point.h.
 *
 * Room: a child of launch without rights but the container's own.
 */
#include "rightless/point.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"

#define PATIENCE_S 2

int lnc_point_make(const void *arg, void *out, struct bh_err *err) {
    const struct lnc_point *p = arg;
    BH_SCOPE_FREE char *path = bh_xstrdup(p->target);
    size_t n = strlen(path);

    (void)out;
    alarm(PATIENCE_S);
    umask(022);
    while (n > 1 && path[n - 1] == '/')
        path[--n] = 0;
    if (bh_make_parents(path, 0755) != 0 ||
        ((p->folder ? mkdir(path, 0755) : mknod(path, S_IFREG | 0644, 0)) != 0 && errno != EEXIST))
        return bh_err_errno(err, errno, "make the mount point %s in the container", p->target);
    return 0;
}
