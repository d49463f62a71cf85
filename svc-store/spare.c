/*
 * spare.c - see spare.h.
 */
#include "spare.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"

#define MAX            8u
#define FAILED_WAIT_NS (5 * BH_NSEC) /* after a start that failed */

struct store_spares {
    const struct store_worker_ops *ops;
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct store_spare ready[MAX];
    unsigned n;
    unsigned wanted;
    bool closing;
};

static void close_pair(const int ends[2]) {
    close(ends[0]);
    close(ends[1]);
}

/* The worker's ends are closed here in any case: its own copies are the only ones then. */
static int spawn(struct store_spares *s, int order, int result, void **out, struct bh_err *err) {
    BH_SCOPE_CLOSE int none = memfd_create("none", MFD_CLOEXEC);
    const int fds[BH_JOB_FDS] = {order, none, none, result, none};

    if (none < 0)
        return bh_err_errno(err, errno, "make a memory file for a worker");
    return s->ops->spawn(s->arg, BH_JOB_SPARE, fds, BH_JOB_FDS, out, err);
}

static int start(struct store_spares *s, struct store_spare *out, struct bh_err *err) {
    int order[2];
    int result[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, order) != 0)
        return bh_err_errno(err, errno, "make a socket for a worker");
    if (pipe2(result, O_CLOEXEC) != 0) {
        bh_err_errno(err, errno, "make a pipe for a worker");
        close_pair(order);
        return err->code;
    }
    *out = (struct store_spare){.order = order[0], .result = result[0]};
    spawn(s, order[1], result[1], &out->worker, err);
    close(order[1]);
    close(result[1]);
    if (err->code != 0) {
        close(order[0]);
        close(result[0]);
    }
    return err->code;
}

void store_spare_end(struct store_spares *s, const struct store_spare *spare) {
    struct bh_err ignored = BH_ERR_INIT;
    int status;

    close(spare->order);
    close(spare->result);
    s->ops->kill(spare->worker);
    s->ops->wait(spare->worker, -1, &status, &ignored);
}

static void wait_after_failure(struct store_spares *s) {
    int64_t until = bh_mono_ns() + FAILED_WAIT_NS;

    while (!s->closing && bh_cond_wait_until(&s->changed, &s->lock, until))
        continue;
}

static void *keep_ready(void *arg) {
    struct store_spares *s = arg;
    bool told = false;

    pthread_mutex_lock(&s->lock);
    while (!s->closing) {
        struct store_spare spare;
        struct bh_err err = BH_ERR_INIT;

        if (s->n >= s->wanted) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        start(s, &spare, &err);
        pthread_mutex_lock(&s->lock);
        if (err.code == 0) {
            s->ready[s->n++] = spare;
            continue;
        }
        if (!told)
            bh_log_err("no-spare-worker", &err);
        told = true;
        wait_after_failure(s);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int store_spares_open(const struct store_worker_ops *ops, void *arg, unsigned n, struct store_spares **out,
                      struct bh_err *err) {
    struct store_spares *s = bh_xcalloc(1, sizeof *s);
    int r;

    s->ops = ops;
    s->arg = arg;
    s->wanted = n < MAX ? n : MAX;
    pthread_mutex_init(&s->lock, NULL);
    bh_cond_init(&s->changed);
    r = pthread_create(&s->thread, NULL, keep_ready, s);
    if (r != 0) {
        free(s);
        return bh_err_errno(err, r, "start a thread");
    }
    *out = s;
    return 0;
}

void store_spares_close(struct store_spares *s) {
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    for (unsigned i = 0; i < s->n; i++)
        store_spare_end(s, &s->ready[i]);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
}

bool store_spare_take(struct store_spares *s, struct store_spare *out) {
    bool found;

    pthread_mutex_lock(&s->lock);
    found = s->n > 0;
    if (found) { /* the oldest: it is the one that has surely come up */
        *out = s->ready[0];
        s->n--;
        for (unsigned i = 0; i < s->n; i++)
            s->ready[i] = s->ready[i + 1];
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

bool store_spare_order(struct store_spares *s, struct store_spare *spare, const struct bh_job_order *order,
                       const int *fds, unsigned n_fds) {
    struct bh_err err = BH_ERR_INIT;

    if (s->ops->send(spare->order, order, sizeof *order, fds, n_fds, &err) != 0) {
        bh_log_err("spare-worker-lost", &err);
        return false;
    }
    close(spare->order);
    return true;
}
