/*
 * worker.c - see worker.h.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define READ_STEP   ((size_t)256 << 10)
#define END_WAIT_MS 10000 /* from the end of the result to the end of the process */
#define MAX_AT_ONCE 4

struct store_workers {
    const struct store_worker_ops *ops;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned running;
    unsigned max;
};

static unsigned processors(void) {
    cpu_set_t set;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 1)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

int store_workers_open(struct store *s, const struct store_worker_ops *ops, void *arg, struct bh_err *err) {
    struct store_workers *w = bh_xcalloc(1, sizeof *w);

    (void)err;
    w->ops = ops;
    w->arg = arg;
    w->max = s->options.workers != 0 ? s->options.workers : processors();
    if (w->max > MAX_AT_ONCE && s->options.workers == 0)
        w->max = MAX_AT_ONCE;
    s->options.workers = w->max;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    s->workers = w;
    return 0;
}

void store_workers_close(struct store *s) {
    if (s->workers == NULL)
        return;
    pthread_mutex_destroy(&s->workers->lock);
    pthread_cond_destroy(&s->workers->changed);
    free(s->workers);
    s->workers = NULL;
}

static void gate_enter(struct store_workers *w) {
    pthread_mutex_lock(&w->lock);
    while (w->running >= w->max)
        pthread_cond_wait(&w->changed, &w->lock);
    w->running++;
    pthread_mutex_unlock(&w->lock);
}

static void gate_leave(struct store_workers *w) {
    pthread_mutex_lock(&w->lock);
    w->running--;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void fill_params(const struct store_options *o, const struct store_job *job, struct bh_job_params *p) {
    *p = (struct bh_job_params){
        .magic = BH_JOB_PARAMS_MAGIC,
        .flags = job->flags,
        .offset = job->offset,
        .size = job->size,
        .max_entries = o->max_entries,
        .max_unpacked = o->max_unpacked,
        .max_document = o->max_document,
        .max_path = o->max_path,
        .max_depth = o->max_depth,
        .max_xattrs = o->max_xattrs,
        .max_layers = o->max_layers,
        .max_images = o->max_images,
    };
}

static int memory_file(const char *name, const void *data, size_t n, int *out, struct bh_err *err) {
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0)
        return bh_err_errno(err, errno, "make a memory file for a worker");
    if (n > 0 && bh_pwrite_all(fd, data, n, 0) != 0) {
        close(fd);
        return bh_err_errno(err, errno, "write the parameters of a worker");
    }
    *out = fd;
    return 0;
}

/* 0 at the end of the pipe. */
static int read_some(int fd, const char *what, struct bh_buf *out, bool *out_end, struct bh_err *err) {
    void *room = bh_buf_room(out, READ_STEP);
    ssize_t n;

    if (room == NULL)
        return bh_err_set(err, BH_E_LIMIT, "%s: the worker's result is over %zu bytes", what, out->max);
    do
        n = read(fd, room, READ_STEP);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return bh_err_errno(err, errno, "%s: read the worker's result", what);
    bh_buf_grew(out, (size_t)n);
    *out_end = n == 0;
    return 0;
}

static int read_result(int fd, const struct store_job *job, struct bh_buf *out, struct bh_err *err) {
    bool end = false;

    while (!end) {
        struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = job->cancel_fd, .events = POLLIN}};

        if (poll(p, job->cancel_fd >= 0 ? 2 : 1, -1) < 0 && errno != EINTR)
            return bh_err_errno(err, errno, "%s: wait for the worker", job->what);
        if (job->cancel_fd >= 0 && (p[1].revents & (POLLIN | POLLHUP)) != 0)
            return bh_err_set(err, BH_E_CANCELLED, "%s: cancelled by the client", job->what);
        if ((p[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && read_some(fd, job->what, out, &end, err) != 0)
            return err->code;
    }
    return 0;
}

static int died(const struct store_job *job, int status, struct bh_err *err) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        bh_err_set(err, BH_E_LIMIT, "%s: the worker used up its processor time", job->what);
    else if (WIFSIGNALED(status))
        bh_err_set(err, BH_E_INVALID, "%s: the worker that read it was ended by signal %d", job->what,
                   WTERMSIG(status));
    else
        bh_err_set(err, BH_E_INVALID, "%s: the worker that read it ended with status %d and no result", job->what,
                   WEXITSTATUS(status));
    bh_err_reason(err, "worker-died");
    return bh_err_hint(err, "the input may be hostile, or over a limit of memory; the engine's log tells more");
}

static int run(struct store *s, const struct store_job *job, struct bh_buf *out, struct bh_err *err) {
    struct store_workers *w = s->workers;
    BH_SCOPE_CLOSE int params_fd = -1;
    BH_SCOPE_CLOSE int none = -1;
    int result[2];
    struct store_options options;
    struct bh_job_params params;
    void *worker;
    int status;
    int r;

    options = store_options_now(s);
    fill_params(&options, job, &params);
    if (memory_file("params", &params, sizeof params, &params_fd, err) != 0 ||
        memory_file("none", NULL, 0, &none, err) != 0)
        return err->code;
    if (pipe2(result, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe for a worker");
    const int fds[BH_JOB_FDS] = {job->source, job->out >= 0 ? job->out : none, job->blob >= 0 ? job->blob : none,
                                 result[1], params_fd};

    r = w->ops->spawn(w->arg, job->name, fds, BH_JOB_FDS, &worker, err);
    close(result[1]); /* the worker's copy is the only one: its end is the end of the pipe */
    if (r != 0) {
        close(result[0]);
        return bh_err_prefix(err, "%s: start a worker", job->what);
    }
    r = read_result(result[0], job, out, err);
    close(result[0]);
    if (r != 0) {
        struct bh_err ignored = BH_ERR_INIT;

        w->ops->kill(worker);
        w->ops->wait(worker, -1, &status, &ignored);
        return r;
    }
    if (w->ops->wait(worker, END_WAIT_MS, &status, err) != 0)
        return err->code;
    if (status != 0 || out->len == 0)
        return died(job, status, err);
    return 0;
}

int store_worker_run(struct store *s, const struct store_job *job, struct bh_buf *out, struct bh_err *err) {
    int r;

    if (s->workers == NULL)
        return bh_err_set(err, BH_E_UNAVAILABLE, "%s: no workers here", job->what);
    out->max = BH_JOB_RESULT_MAX;
    if (!job->waits)
        gate_enter(s->workers);
    r = run(s, job, out, err);
    if (!job->waits)
        gate_leave(s->workers);
    return r;
}
