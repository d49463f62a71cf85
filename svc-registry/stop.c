/*
 * stop.c - see stop.h.
 */
#include "svc-registry/stop.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void signal_fd(int fd) {
    const uint64_t one = 1;

    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static void *watch(void *arg) {
    struct reg_stop *s = arg;
    struct pollfd p[2] = {{.fd = s->cancel_fd, .events = POLLIN}, {.fd = s->quit_fd, .events = POLLIN}};

    while (poll(p, 2, -1) < 0 && errno == EINTR)
        continue;
    if (p[1].revents == 0)
        reg_stop_now(s);
    return NULL;
}

int reg_stop_init(struct reg_stop *s, int cancel_fd, void (*kick)(void *arg), void *arg, struct bh_err *err) {
    int e = 0;

    *s = (struct reg_stop){.kick = kick, .arg = arg, .cancel_fd = cancel_fd};
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->quit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->fd < 0 || s->quit_fd < 0)
        e = errno;
    pthread_mutex_init(&s->lock, NULL);
    if (e == 0)
        e = pthread_create(&s->watcher, NULL, watch, s);
    if (e == 0)
        return 0;
    if (s->fd >= 0)
        close(s->fd);
    if (s->quit_fd >= 0)
        close(s->quit_fd);
    pthread_mutex_destroy(&s->lock);
    return bh_err_errno(err, e, "watch the call");
}

void reg_stop_fini(struct reg_stop *s) {
    signal_fd(s->quit_fd);
    pthread_join(s->watcher, NULL);
    close(s->fd);
    close(s->quit_fd);
    pthread_mutex_destroy(&s->lock);
}

void reg_stop_now(struct reg_stop *s) {
    bool first;

    pthread_mutex_lock(&s->lock);
    first = !s->set;
    s->set = true;
    pthread_mutex_unlock(&s->lock);
    if (!first)
        return;
    signal_fd(s->fd);
    if (s->kick != NULL)
        s->kick(s->arg);
}

bool reg_stop_is_set(struct reg_stop *s) {
    bool set;

    pthread_mutex_lock(&s->lock);
    set = s->set;
    pthread_mutex_unlock(&s->lock);
    return set;
}

int reg_stop_check(struct reg_stop *s, struct bh_err *err) {
    return reg_stop_is_set(s) ? bh_err_set(err, BH_E_CANCELLED, "cancelled") : 0;
}
