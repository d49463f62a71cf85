/*
 * step_layer.c - what a RUN has changed becomes layers of the store.
 *
 * Room: runtime.  The walker writes a tar into our pipe; its first block tells whether there is anything
 * at all, the rest goes from pipe to pipe, unseen, into the worker behind the store.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "svc-runtime/room.h"
#include "svc-runtime/step.h"

#define BLOCK     512
#define PIPE_SIZE (1 << 20)

struct walk {
    struct rt_room *room;
    const char *id;
    int filter, out;
    int result;
    struct bh_err err;
};

static int ask_walk(struct walk *w, struct bh_err *err) {
    const int fds[2] = {w->out, w->filter};
    struct rt_launch_request req;
    struct rt_launch_reply reply;

    rt_launch_request_init(&req, RT_LAUNCH_TREE, w->id);
    req.arg = RT_TREE_COMMIT;
    req.flags = RT_LAUNCH_FILTER;
    if (rt_launch_call(w->room->launch, &req, fds, 2, &reply, err) != 0)
        return err->code;
    if (reply.status != 0)
        return bh_err_set(err, BH_E_INTERNAL, "the walker over the files of a step failed (status %d)", reply.status);
    return 0;
}

static void *walk_thread(void *arg) {
    struct walk *w = arg;

    w->result = ask_walk(w, &w->err);
    close(w->out);
    return NULL;
}

struct tar {
    int fd; /* read end of the walker's pipe */
    char first[BLOCK];
};

/* From pipe to pipe. */
static int write_tar(void *arg, int to, struct bh_err *err) {
    struct tar *t = arg;

    if (bh_write_all(to, t->first, BLOCK) != 0)
        return bh_err_errno(err, errno, "write the layer");
    for (;;) {
        ssize_t n = splice(t->fd, NULL, to, NULL, PIPE_SIZE, SPLICE_F_MOVE);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return bh_err_errno(err, errno, "write the layer");
        if (n == 0)
            return 0;
    }
}

/* A tar without entries starts with its end mark. */
static int first_block(struct tar *t, bool *out_empty, struct bh_err *err) {
    ssize_t n = bh_read_full(t->fd, t->first, BLOCK);

    if (n != BLOCK)
        return bh_err_set(err, BH_E_DATA_LOSS, "the walker wrote no tar");
    *out_empty = t->first[0] == 0;
    return 0;
}

static int keep(struct rt_room *room, const struct rt_step *step, struct tar *t, struct rt_step_change *out,
                struct bh_err *err) {
    bool empty = false;

    if (first_block(t, &empty, err) != 0)
        return err->code;
    *out = (struct rt_step_change){.tar_size = 0};
    return empty ? 0 : rt_store_layer_tar(room->store, step->hold, write_tar, t, out->diff_id, &out->tar_size, err);
}

/* A reader that gives up early makes the walker fail on a pipe that nobody reads: its own error is the one to tell. */
static int one_layer(struct rt_room *room, const struct rt_step *step, int filter, struct rt_step_change *out,
                     struct bh_err *err) {
    struct walk w = {.room = room, .id = step->id, .filter = filter};
    struct tar t;
    int p[2], r, e;
    pthread_t thread;

    if (pipe2(p, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    fcntl(p[0], F_SETPIPE_SZ, PIPE_SIZE); /* a wish */
    t.fd = p[0];
    w.out = p[1];
    e = pthread_create(&thread, NULL, walk_thread, &w);
    if (e != 0) {
        close(p[0]);
        close(p[1]);
        return bh_err_errno(err, e, "make a thread");
    }
    r = keep(room, step, &t, out, err);
    close(p[0]);
    pthread_join(thread, NULL);
    if (w.result != 0 && (r == 0 || r == BH_E_DATA_LOSS)) {
        *err = w.err;
        return w.result;
    }
    return r;
}

/* ---- filters --------------------------------------------------------------------------------- */

static void add_record(struct bh_buf *b, char kind, const char *text) {
    bh_buf_addc(b, kind);
    bh_buf_adds(b, text);
    bh_buf_addc(b, 0);
}

static bool is_inside(const char *path, const char *folder) {
    size_t n = strlen(folder);

    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* below: NULL for the layer itself. */
static int filter_fd(const struct rt_step *step, const char *below, int *out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT_MAX((size_t)128 << 10);
    BH_SCOPE_CLOSE int fd = -1;
    char number[32];

    for (size_t i = 0; i < step->exclude.n; i++)
        if (below == NULL || is_inside(step->exclude.v[i], below))
            add_record(&b, '-', step->exclude.v[i]);
    for (size_t i = 0; below == NULL && i < step->separate.n; i++)
        add_record(&b, '-', step->separate.v[i]);
    if (below != NULL)
        add_record(&b, '+', below);
    if (step->clamp) {
        snprintf(number, sizeof number, "%lld", (long long)step->clamp_ns);
        add_record(&b, 'T', number);
    }
    if (bh_buf_failed(&b))
        return bh_err_set(err, BH_E_LIMIT, "the mounts of one RUN have names of more than 128 KiB");
    fd = memfd_create("bulkhead-filter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || bh_write_all(fd, b.data, b.len) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        return bh_err_errno(err, errno, "put the list of what to leave out into a memfd");
    *out = bh_take_fd(&fd);
    return 0;
}

static int part(struct rt_room *room, const struct rt_step *step, const char *below, struct rt_step_change *out,
                struct bh_err *err) {
    BH_SCOPE_CLOSE int filter = -1;

    if (filter_fd(step, below, &filter, err) != 0)
        return err->code;
    return one_layer(room, step, filter, out, err);
}

int rt_step_layers(struct rt_room *room, const struct rt_step *step, struct bh_arena *arena, struct rt_step_result *out,
                   struct bh_err *err) {
    out->separate = bh_oci_alloc(arena, (step->separate.n + 1) * sizeof *out->separate, err);
    if (out->separate == NULL || part(room, step, NULL, &out->change, err) != 0)
        return err->code;
    for (size_t i = 0; i < step->separate.n; i++)
        if (part(room, step, step->separate.v[i], &out->separate[i], err) != 0)
            return err->code;
    return 0;
}
