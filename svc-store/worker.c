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
#include "spare.h"

#define READ_STEP   ((size_t)256 << 10)
#define END_WAIT_MS 10000 /* from the end of the result to the end of the process */
#define MAX_AT_ONCE 4
#define MAX_WAITING 40 /* workers whose source is a pipe; the supervisor has 64 in all */
#define PROGRESS_MS 100

struct store_workers {
    const struct store_worker_ops *ops;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned running;
    unsigned max;
    unsigned waiting;            /* jobs with `waits` */
    struct store_spares *spares; /* NULL: none are kept */
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

int store_workers_ahead(struct store *s, unsigned n, struct bh_err *err) {
    return store_spares_open(s->workers->ops, s->workers->arg, n, &s->workers->spares, err);
}

void store_workers_close(struct store *s) {
    if (s->workers == NULL)
        return;
    store_spares_close(s->workers->spares);
    pthread_mutex_destroy(&s->workers->lock);
    pthread_cond_destroy(&s->workers->changed);
    free(s->workers);
    s->workers = NULL;
}

static void gate_enter(struct store_workers *w, bool waits) {
    unsigned *n = waits ? &w->waiting : &w->running;

    pthread_mutex_lock(&w->lock);
    while (*n >= (waits ? MAX_WAITING : w->max))
        pthread_cond_wait(&w->changed, &w->lock);
    ++*n;
    pthread_mutex_unlock(&w->lock);
}

static void gate_leave(struct store_workers *w, bool waits) {
    pthread_mutex_lock(&w->lock);
    --*(waits ? &w->waiting : &w->running);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void fill_params(const struct store_options *o, const struct store_job *job, struct bh_job_params *p) {
    *p = (struct bh_job_params){
        .magic = BH_JOB_PARAMS_MAGIC,
        .flags = job->flags,
        .offset = job->offset,
        .size = job->size,
        .resume = job->resume,
        .codec = job->codec,
        .level = job->level,
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

int store_memory_file(const char *name, const void *data, size_t n, int *out, struct bh_err *err) {
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0)
        return bh_err_errno(err, errno, "make a memory file for a worker");
    if (n > 0 && bh_pwrite_all(fd, data, n, 0) != 0) {
        close(fd);
        return bh_err_errno(err, errno, "write a memory file for a worker");
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

static bool is_set(const struct pollfd *p) {
    return (p->revents & (POLLIN | POLLHUP | POLLERR)) != 0;
}

static int read_result(int fd, const struct store_job *job, struct bh_buf *out, struct bh_err *err) {
    bool end = false;

    while (!end) {
        struct pollfd p[3] = {{.fd = fd, .events = POLLIN},
                              {.fd = job->cancel_fd, .events = POLLIN},
                              {.fd = job->end_fd > 0 ? job->end_fd : -1, .events = POLLIN}};

        if (poll(p, BH_ARRAY_LEN(p), job->progress != NULL ? PROGRESS_MS : -1) < 0 && errno != EINTR)
            return bh_err_errno(err, errno, "%s: wait for the worker", job->what);
        if (is_set(&p[1]) || is_set(&p[2]))
            return bh_err_set(err, BH_E_CANCELLED, "%s: cancelled by the client", job->what);
        if (is_set(&p[0]) && read_some(fd, job->what, out, &end, err) != 0)
            return err->code;
        if (job->progress != NULL && !is_set(&p[0]))
            job->progress(job->arg);
    }
    return 0;
}

/* Nothing that it reads can do this to it: an administrator or the kernel, short of memory, has. */
static int was_killed(const struct store_job *job, struct bh_err *err) {
    bh_err_set(err, BH_E_UNAVAILABLE, "%s: the worker that read it was killed", job->what);
    bh_err_reason(err, "worker-killed");
    return bh_err_hint(err, "the machine may be short of memory; try again");
}

static int died(const struct store_job *job, int status, struct bh_err *err) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return was_killed(job, err);
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

struct running {
    struct store_workers *workers;
    void *worker;
    int result; /* read end */
};

/* fds: of the job, with room for RESULT and PARAMS. */
static int start_new(struct store_workers *w, const struct store_job *job, const struct bh_job_params *params,
                     const int *fds, unsigned n_fds, struct running *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int params_fd = -1;
    int all[BH_JOB_FDS_MAX] = {fds[0], fds[1], fds[2]};
    int result[2];
    int r;

    if (store_memory_file("params", params, sizeof *params, &params_fd, err) != 0)
        return err->code;
    if (pipe2(result, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe for a worker");
    all[BH_JOB_FD_RESULT - BH_JOB_FD_SOURCE] = result[1];
    all[BH_JOB_FD_PARAMS - BH_JOB_FD_SOURCE] = params_fd;
    for (unsigned i = 3; i < n_fds; i++)
        all[BH_JOB_FDS - 3 + i] = fds[i];
    out->result = result[0];
    r = w->ops->spawn(w->arg, job->name, all, BH_JOB_FDS - 3 + n_fds, &out->worker, err);
    close(result[1]); /* the worker's copy is the only one: its end is the end of the pipe */
    if (r != 0)
        close(result[0]);
    return r;
}

static bool start_spare(struct store_workers *w, const struct store_job *job, const struct bh_job_params *params,
                        const int *fds, unsigned n_fds, struct running *out) {
    struct bh_job_order order = {.params = *params};
    struct store_spare spare;

    if (w->spares == NULL)
        return false;
    (void)bh_str_copy(order.job, sizeof order.job, job->name);
    while (store_spare_take(w->spares, &spare)) {
        if (!store_spare_order(w->spares, &spare, &order, fds, n_fds)) {
            store_spare_end(w->spares, &spare);
            continue;
        }
        out->worker = spare.worker;
        out->result = spare.result;
        return true;
    }
    return false;
}

static int start(struct store *s, const struct store_job *job, struct running *out, struct bh_err *err) {
    struct store_workers *w = s->workers;
    BH_SCOPE_CLOSE int none = -1;
    struct store_options options = store_options_now(s);
    struct bh_job_params params;

    fill_params(&options, job, &params);
    if (store_memory_file("none", NULL, 0, &none, err) != 0)
        return err->code;
    int fds[BH_JOB_FDS_MAX - BH_JOB_FDS + 3] = {job->source >= 0 ? job->source : none, job->out >= 0 ? job->out : none,
                                                job->blob >= 0 ? job->blob : none};
    unsigned n_fds = 3;

    for (unsigned i = 0; i < job->n_more && n_fds < BH_ARRAY_LEN(fds); i++)
        fds[n_fds++] = job->more[i];
    *out = (struct running){.workers = w};
    if (!start_spare(w, job, &params, fds, n_fds, out) && start_new(w, job, &params, fds, n_fds, out, err) != 0)
        return bh_err_prefix(err, "%s: start a worker", job->what);
    if (job->handed != NULL)
        job->handed(job->handed_arg);
    return 0;
}

/* Takes the worker. */
static void stop(struct running *r) {
    struct bh_err ignored = BH_ERR_INIT;
    int status;

    close(r->result);
    r->workers->ops->kill(r->worker);
    r->workers->ops->wait(r->worker, -1, &status, &ignored);
}

/* Takes the worker. */
static int finish(struct running *r, const struct store_job *job, struct bh_buf *out, struct bh_err *err) {
    int status;

    if (read_result(r->result, job, out, err) != 0) {
        stop(r);
        return err->code;
    }
    close(r->result);
    if (r->workers->ops->wait(r->worker, END_WAIT_MS, &status, err) != 0)
        return err->code;
    if (status != 0 || out->len == 0)
        return died(job, status, err);
    return 0;
}

int store_worker_run(struct store *s, const struct store_job *job, struct bh_buf *out, struct bh_err *err) {
    struct running running;

    if (s->workers == NULL)
        return bh_err_set(err, BH_E_UNAVAILABLE, "%s: no workers here", job->what);
    out->max = BH_JOB_RESULT_MAX;
    if (!job->brief)
        gate_enter(s->workers, job->waits);
    if (start(s, job, &running, err) == 0)
        finish(&running, job, out, err);
    if (!job->brief)
        gate_leave(s->workers, job->waits);
    return err->code;
}
