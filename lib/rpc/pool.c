/*
 * pool.c - the threads that handlers run on: started when there is work, gone after idling.
 *
 * Room: every room that serves.  A room that nobody calls has none of them.
 */
#include <errno.h>
#include <limits.h>

#include "base/clock.h"
#include "base/cond.h"
#include "rpc/server_priv.h"

#define IDLE_S 10
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_SIZE ((size_t)2 << 20)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_SIZE ((size_t)2 << 20)
#endif
#endif
#ifndef STACK_SIZE
#define STACK_SIZE ((size_t)512 << 10) /* touched pages only count */
#endif

void bh_pool_init(struct bh_pool *p, unsigned max) {
    p->max = max;
    bh_cond_init(&p->work);
}

/* The next call, or NULL when none has come for IDLE_S. */
static struct bh_call *next_call(struct bh_server *s) {
    struct bh_pool *p = &s->pool;
    int64_t until = bh_mono_ns() + IDLE_S * BH_NSEC;
    struct bh_call *c;
    bool in_time = true;

    p->idle++;
    while (p->queue == NULL && in_time && !p->stopping)
        in_time = bh_cond_wait_until(&p->work, &s->lock, until);
    p->idle--;
    c = p->queue;
    if (c != NULL) {
        DL_DELETE2(p->queue, c, queue_prev, queue_next);
        p->queued--;
        c->state = CALL_RUNNING;
    }
    return c;
}

static void *work(void *arg) {
    struct bh_server *s = arg;
    struct bh_call *c;

    pthread_mutex_lock(&s->lock);
    while ((c = next_call(s)) != NULL) {
        pthread_mutex_unlock(&s->lock);
        bh_dispatch_run(c);
        pthread_mutex_lock(&s->lock);
    }
    s->pool.threads--;
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static int start_thread(struct bh_server *s) {
    pthread_attr_t attr;
    pthread_t id;
    int rc;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    rc = pthread_create(&id, &attr, work, s);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        s->pool.threads++;
    return rc;
}

/* Called from the transport's threads, which block all signals: handler threads inherit that. */
int bh_pool_add(struct bh_server *s, struct bh_call *c) {
    struct bh_pool *p = &s->pool;

    DL_APPEND2(p->queue, c, queue_prev, queue_next);
    p->queued++;
    if (p->idle < p->queued && p->threads < p->max && start_thread(s) != 0 && p->threads == 0) {
        DL_DELETE2(p->queue, c, queue_prev, queue_next);
        p->queued--;
        return -1;
    }
    pthread_cond_signal(&p->work);
    return 0;
}
