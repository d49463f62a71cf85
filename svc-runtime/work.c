/*
 * work.c - jobs that nobody waits for, see work.h.
 *
 * Room: runtime.  Threads are made once, after nng's, and live as long as the room.
 */
#include "svc-runtime/work.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"

#define THREADS 4

struct item {
    rt_job *job;
    void *arg;
    struct item *next;
};

struct rt_work {
    void *room;
    pthread_mutex_t lock;
    pthread_cond_t more;
    pthread_cond_t idle;
    struct item *head, **tail;
    unsigned busy;
};

static void *run(void *p) {
    struct rt_work *w = p;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct item *it;

        while (w->head == NULL)
            pthread_cond_wait(&w->more, &w->lock);
        it = w->head;
        w->head = it->next;
        if (w->head == NULL)
            w->tail = &w->head;
        w->busy++;
        pthread_mutex_unlock(&w->lock);
        it->job(w->room, it->arg);
        free(it);
        pthread_mutex_lock(&w->lock);
        if (--w->busy == 0 && w->head == NULL)
            pthread_cond_broadcast(&w->idle);
    }
    return NULL;
}

int rt_work_new(void *room, struct rt_work **out, struct bh_err *err) {
    struct rt_work *w = bh_xcalloc(1, sizeof *w);

    w->room = room;
    w->tail = &w->head;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    bh_cond_init(&w->idle);
    for (int i = 0; i < THREADS; i++) {
        pthread_t t;
        int e = pthread_create(&t, NULL, run, w);

        if (e != 0)
            return bh_err_errno(err, e, "make a thread"); /* those that run keep w; the room ends on this */
        pthread_detach(t);
    }
    *out = w;
    return 0;
}

void rt_work_add(struct rt_work *w, rt_job *job, void *arg) {
    struct item *it = bh_xmalloc(sizeof *it);

    *it = (struct item){.job = job, .arg = arg};
    pthread_mutex_lock(&w->lock);
    *w->tail = it;
    w->tail = &it->next;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
}

void rt_work_drain(struct rt_work *w, int timeout_ms) {
    int64_t until = bh_mono_ns() + timeout_ms * (BH_NSEC / 1000);

    pthread_mutex_lock(&w->lock);
    while ((w->head != NULL || w->busy > 0) && bh_cond_wait_until(&w->idle, &w->lock, until))
        continue;
    pthread_mutex_unlock(&w->lock);
}
