/*
 * crew.c - see crew.h.  The threads live as long as the process; nobody joins them.
 *
 * Room: worker.  The one piece of state that is not on a stack: threads outlive any call.
 */
#include "unpack/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#define STACK_SIZE ((size_t)1 << 20)

struct member {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unp_work_fn *fn; /* NULL: idle */
    void *arg;
    bool ready; /* libc has made its own calls for the new thread */
};

static struct member crew[UNP_CREW];

static void *live(void *arg) {
    struct member *m = arg;
    pthread_mutex_lock(&m->lock);
    m->ready = true;
    pthread_cond_broadcast(&m->changed);
    for (;;) {
        while (m->fn == NULL)
            pthread_cond_wait(&m->changed, &m->lock);
        unp_work_fn *fn = m->fn;
        pthread_mutex_unlock(&m->lock);
        fn(m->arg);
        pthread_mutex_lock(&m->lock);
        m->fn = NULL;
        pthread_cond_broadcast(&m->changed);
    }
    return NULL;
}

static int start_member(struct member *m) {
    pthread_attr_t attr;
    pthread_t thread;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int e = pthread_create(&thread, &attr, live, m);
    pthread_attr_destroy(&attr);
    /* A thread that is still being set up would make calls that the sandbox no longer allows. */
    pthread_mutex_lock(&m->lock);
    while (e == 0 && !m->ready)
        pthread_cond_wait(&m->changed, &m->lock);
    pthread_mutex_unlock(&m->lock);
    return e;
}

int unp_crew_start(struct bh_err *err) {
    static bool started;
    for (unsigned i = 0; i < UNP_CREW && !started; i++) {
        int e = start_member(&crew[i]);
        if (e != 0)
            return bh_err_errno(err, e, "start a thread");
    }
    started = true;
    return 0;
}

void unp_crew_run(unsigned member, unp_work_fn *fn, void *arg) {
    struct member *m = &crew[member];
    pthread_mutex_lock(&m->lock);
    m->fn = fn;
    m->arg = arg;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

void unp_crew_wait(unsigned member) {
    struct member *m = &crew[member];
    pthread_mutex_lock(&m->lock);
    while (m->fn != NULL)
        pthread_cond_wait(&m->changed, &m->lock);
    pthread_mutex_unlock(&m->lock);
}
