/*
 * tree.c - what the walker in the container's own user namespace makes of its files.
 *
 * Room: runtime.  launch starts the walker with our pipe as its output; this room sees the result only
 * (a tar that it passes on unread, a list of paths, a number).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "svc-runtime/room.h"

#define MAX_PATH 65536

static int ask_tree(struct rt_container *c, int mode, int out_fd, const struct rt_image *image, struct bh_err *err) {
    struct rt_launch_request req;
    struct rt_launch_reply reply;
    int fds[1 + RT_MAX_LAYERS];
    unsigned n = 0;

    rt_launch_request_init(&req, RT_LAUNCH_TREE, c->id);
    req.arg = mode;
    req.n_layers = image->n_layers;
    memcpy(req.diff_ids, image->diff_ids, sizeof req.diff_ids);
    fds[n++] = out_fd;
    for (unsigned i = 0; i < image->n_layers; i++)
        fds[n++] = image->fds[i];
    if (rt_launch_call(c->room->launch, &req, fds, n, &reply, err) != 0)
        return err->code;
    if (reply.status != 0)
        return bh_err_set(err, BH_E_INTERNAL, "the walker over the files of container %.12s failed (status %d)", c->id,
                          reply.status);
    return 0;
}

/* A container that never started has no folder yet; a walk needs one. */
static int prepare(struct rt_container *c, struct bh_err *err) {
    struct rt_launch_request req;

    if (rt_container_status(c).started_ns != 0)
        return 0;
    rt_launch_request_init(&req, RT_LAUNCH_PREPARE, c->id);
    return rt_launch_call(c->room->launch, &req, NULL, 0, NULL, err);
}

int rt_tree(struct rt_container *c, int mode, int out_fd, struct bh_err *err) {
    struct rt_image_ask ask = {.name = c->image_id, .owner = c->owner, .container_id = "", .container_name = ""};
    struct rt_image image = {0};
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, (size_t)8 << 20);
    r = prepare(c, err);
    /* the size of the upper needs nothing below it */
    if (r == 0 && mode != RT_TREE_SIZE)
        r = rt_store_layers(c->room->store, &ask, &arena, &image, err);
    if (r == 0)
        r = ask_tree(c, mode, out_fd, &image, err);
    bh_fdpass_close(image.fds, image.n_layers);
    bh_arena_fini(&arena);
    return r;
}

/* ---- a walk whose output is read here -------------------------------------------------------- */

struct walk {
    struct rt_container *c;
    int mode;
    int out; /* write end, closed when the walk is over */
    int result;
    struct bh_err err;
};

static void *walk_thread(void *arg) {
    struct walk *w = arg;

    w->result = rt_tree(w->c, w->mode, w->out, &w->err);
    close(w->out);
    return NULL;
}

static int walk_and_read(struct rt_container *c, int mode, int (*reader)(void *arg, int fd, struct bh_err *err),
                         void *arg, struct bh_err *err) {
    struct walk w = {.c = c, .mode = mode};
    int p[2], r, e;
    pthread_t t;

    if (pipe2(p, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    w.out = p[1];
    e = pthread_create(&t, NULL, walk_thread, &w);
    if (e != 0) {
        close(p[0]);
        close(p[1]);
        return bh_err_errno(err, e, "make a thread");
    }
    r = reader(arg, p[0], err);
    close(p[0]); /* a walker that still writes ends on this */
    pthread_join(t, NULL);
    if (w.result != 0 && (r == 0 || r == BH_E_DATA_LOSS)) {
        *err = w.err;
        return w.result;
    }
    return r;
}

static int read_size(void *arg, int fd, struct bh_err *err) {
    if (bh_read_full(fd, arg, sizeof(uint64_t)) == sizeof(uint64_t))
        return 0;
    return bh_err_set(err, BH_E_DATA_LOSS, "the size of a container's files was not told");
}

int rt_tree_size(struct rt_container *c, uint64_t *out, struct bh_err *err) {
    return walk_and_read(c, RT_TREE_SIZE, read_size, out, err);
}

struct diff_reader {
    int (*entry)(void *arg, char kind, const char *path, struct bh_err *err);
    void *arg;
    char buf[MAX_PATH + 8];
    size_t n;
};

static int diff_line(struct diff_reader *d, const char *line, struct bh_err *err) {
    bool ok = (line[0] == 'A' || line[0] == 'C' || line[0] == 'D') && line[1] == ' ' && line[2] == '/';

    if (!ok)
        return bh_err_set(err, BH_E_INTERNAL, "the list of changed files is malformed");
    return d->entry(d->arg, line[0], line + 2, err);
}

static int diff_lines(struct diff_reader *d, struct bh_err *err) {
    size_t at = 0;

    for (;;) {
        const char *end = memchr(d->buf + at, 0, d->n - at);

        if (end == NULL)
            break;
        if (diff_line(d, d->buf + at, err) != 0)
            return err->code;
        at = (size_t)(end - d->buf) + 1;
    }
    memmove(d->buf, d->buf + at, d->n - at);
    d->n -= at;
    return 0;
}

static int read_diff(void *arg, int fd, struct bh_err *err) {
    struct diff_reader *d = arg;

    for (;;) {
        ssize_t r = read(fd, d->buf + d->n, sizeof d->buf - d->n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return bh_err_errno(err, errno, "read the list of changed files");
        if (r == 0)
            return d->n == 0 ? 0 : bh_err_set(err, BH_E_DATA_LOSS, "the list of changed files was cut off");
        d->n += (size_t)r;
        if (diff_lines(d, err) != 0)
            return err->code;
        if (d->n == sizeof d->buf)
            return bh_err_set(err, BH_E_LIMIT, "a changed file has a path of more than %d bytes", MAX_PATH);
    }
}

int rt_diff(struct rt_container *c, int (*entry)(void *arg, char kind, const char *path, struct bh_err *err), void *arg,
            struct bh_err *err) {
    struct diff_reader *d;
    int r;

    if (rt_container_status(c).started_ns == 0)
        return 0; /* nothing can have changed */
    d = bh_xcalloc(1, sizeof *d);
    d->entry = entry;
    d->arg = arg;
    r = walk_and_read(c, RT_TREE_DIFF, read_diff, d, err);
    free(d);
    return r;
}
