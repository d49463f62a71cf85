/*
 * attach.c - a client's descriptors on a running container, and the size of its terminal.
 *
 * Room: runtime.  The bytes flow between client and monitor; this room only hands the descriptors
 * over (stream_rpc.c makes pipes of a stream first).
 */
#include "svc-runtime/room.h"

int rt_attach(struct rt_container *c, const struct rt_stdio *stdio, struct bh_err *err) {
    struct rt_watch *w = NULL;
    int r;

    if (rt_container_watch(c, &w, err) != 0)
        return err->code;
    r = rt_watch_attach(w, stdio->bits, stdio->fds, stdio->n, err);
    if (r == 0 && stdio->rows != 0 && stdio->cols != 0 && c->facts->tty)
        r = rt_watch_resize(w, stdio->rows, stdio->cols, err);
    rt_watch_unref(w);
    return r;
}

int rt_resize(struct rt_container *c, unsigned rows, unsigned cols, struct bh_err *err) {
    struct rt_watch *w = NULL;
    int r;

    if (rows == 0 || cols == 0 || rows > 65535 || cols > 65535)
        return bh_err_set(err, BH_E_INVALID, "a terminal of %u rows and %u columns: 1 to 65535 each", rows, cols);
    if (!c->facts->tty)
        return bh_err_set(err, BH_E_INVALID, "container %s has no terminal", c->id);
    if (rt_container_watch(c, &w, err) != 0)
        return err->code;
    r = rt_watch_resize(w, rows, cols, err);
    rt_watch_unref(w);
    return r;
}
