/*
 * jobs.c - see jobs.h.
 */
#include "svc-registry/jobs.h"

#include <pthread.h>
#include <stdbool.h>

#define WIDTH_MAX 32

struct jobs {
    size_t n, next;
    int (*work)(void *arg, size_t i, struct bh_err *err);
    void *arg;
    struct reg_stop *stop;
    pthread_mutex_t lock;
    struct bh_err err; /* the first */
};

static bool take(struct jobs *j, size_t *out_i) {
    bool have;

    pthread_mutex_lock(&j->lock);
    have = j->err.code == 0 && j->next < j->n;
    if (have)
        *out_i = j->next++;
    pthread_mutex_unlock(&j->lock);
    return have;
}

static void failed(struct jobs *j, const struct bh_err *err) {
    pthread_mutex_lock(&j->lock);
    if (j->err.code == 0)
        j->err = *err;
    pthread_mutex_unlock(&j->lock);
    reg_stop_now(j->stop);
}

static void *runner(void *arg) {
    struct jobs *j = arg;
    size_t i;

    while (take(j, &i)) {
        struct bh_err err = BH_ERR_INIT;

        if (j->work(j->arg, i, &err) != 0)
            failed(j, &err);
    }
    return NULL;
}

int reg_jobs_run(size_t n, unsigned width, int (*work)(void *arg, size_t i, struct bh_err *err), void *arg,
                 struct reg_stop *stop, struct bh_err *err) {
    struct jobs j = {.n = n, .work = work, .arg = arg, .stop = stop, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[WIDTH_MAX];
    unsigned started = 0;

    if (width > WIDTH_MAX)
        width = WIDTH_MAX;
    /* one that cannot be started is one less at once */
    while (started + 1 < width && started + 1 < n && pthread_create(&threads[started], NULL, runner, &j) == 0)
        started++;
    runner(&j);
    while (started > 0)
        pthread_join(threads[--started], NULL);
    pthread_mutex_destroy(&j.lock);
    if (j.err.code != 0)
        *err = j.err;
    return j.err.code;
}
