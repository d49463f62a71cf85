/*
 * waitq.c - waiting for a change, see waitq.h.
 *
 * Room: runtime.  Holds no foreign data.
 */
#include "svc-runtime/waitq.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

struct rt_waiter {
    int fd;
    struct rt_waiter *next;
};

void rt_waitq_init(struct rt_waitq *q) {
    pthread_mutex_init(&q->lock, NULL);
    q->head = NULL;
}

void rt_waitq_fini(struct rt_waitq *q) {
    pthread_mutex_destroy(&q->lock);
}

void rt_waitq_wake(struct rt_waitq *q) {
    const uint64_t one = 1;

    for (const struct rt_waiter *w = q->head; w != NULL; w = w->next)
        (void)!write(w->fd, &one, sizeof one);
}

static void leave(struct rt_waitq *q, struct rt_waiter *w) {
    for (struct rt_waiter **at = &q->head; *at != NULL; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            return;
        }
}

/* 0: look again; a code: give up. */
static int sleep_on(const struct rt_waiter *w, int64_t end_ns, int cancel_fd, struct bh_err *err) {
    struct pollfd p[2] = {{.fd = w->fd, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
    int64_t left = end_ns - bh_mono_ns();
    uint64_t count;

    if (end_ns >= 0 && left <= 0)
        return bh_err_set(err, BH_E_DEADLINE, "the time to wait is over");
    if (poll(p, 2, end_ns < 0 ? -1 : (int)((left + 999999) / 1000000)) < 0 && errno != EINTR)
        return bh_err_errno(err, errno, "wait");
    if (p[1].revents != 0)
        return bh_err_set(err, BH_E_CANCELLED, "the call was cancelled");
    if (p[0].revents & POLLIN)
        (void)!read(w->fd, &count, sizeof count);
    return 0;
}

int rt_waitq_wait(struct rt_waitq *q, bool (*pred)(void *arg), void *arg, int timeout_ms, int cancel_fd,
                  struct bh_err *err) {
    int64_t end_ns = timeout_ms < 0 ? -1 : bh_mono_ns() + (int64_t)timeout_ms * 1000000;
    struct rt_waiter w = {.fd = -1};
    int r = 0;

    pthread_mutex_lock(&q->lock);
    if (pred(arg)) {
        pthread_mutex_unlock(&q->lock);
        return 0;
    }
    w.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w.fd < 0) {
        pthread_mutex_unlock(&q->lock);
        return bh_err_errno(err, errno, "make an eventfd to wait on");
    }
    w.next = q->head;
    q->head = &w;
    while (r == 0 && !pred(arg)) {
        pthread_mutex_unlock(&q->lock);
        r = sleep_on(&w, end_ns, cancel_fd, err);
        pthread_mutex_lock(&q->lock);
    }
    leave(q, &w);
    pthread_mutex_unlock(&q->lock);
    close(w.fd);
    return r;
}
