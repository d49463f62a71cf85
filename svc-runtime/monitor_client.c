/*
 * monitor_client.c - listening to monitors, see monitor_client.h.
 *
 * Room: runtime.  Each connection is one epoll entry; requests to a monitor (attach, resize) are
 * rare and go one at a time, their DONE comes through the polling thread.
 */
#include "svc-runtime/monitor_client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "base/mem.h"

#define ANSWER_SECONDS 10

struct rt_monitors {
    int epoll;
    char dir[32];
};

struct rt_watch {
    struct rt_monitors *monitors;
    int fd;
    atomic_uint refs;
    rt_monitor_event *event;
    void *arg;
    bool told_end;        /* polling thread only */
    pthread_mutex_t turn; /* one request at a time */
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t answer;
    bool waiting, answered, gone;
    int code;
};

struct rt_watch *rt_watch_ref(struct rt_watch *w) {
    atomic_fetch_add(&w->refs, 1);
    return w;
}

void rt_watch_unref(struct rt_watch *w) {
    if (w == NULL || atomic_fetch_sub(&w->refs, 1) != 1)
        return;
    close(w->fd);
    pthread_mutex_destroy(&w->turn);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->answer);
    free(w);
}

static void got_done(struct rt_watch *w, int code) {
    pthread_mutex_lock(&w->lock);
    if (w->waiting) {
        w->answered = true;
        w->code = code;
        pthread_cond_signal(&w->answer);
    }
    pthread_mutex_unlock(&w->lock);
}

static void tell(struct rt_watch *w, const struct rt_monitor_state *state) {
    if (w->told_end)
        return;
    w->told_end = state == NULL || state->phase == RT_MONITOR_EXITED;
    w->event(w->arg, state);
}

/* The monitor leaves as soon as we have hung up, and others may still hold a reference. */
static void hang_up(struct rt_watch *w) {
    epoll_ctl(w->monitors->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    shutdown(w->fd, SHUT_RDWR);
    pthread_mutex_lock(&w->lock);
    w->gone = true;
    pthread_cond_signal(&w->answer);
    pthread_mutex_unlock(&w->lock);
    tell(w, NULL);
    rt_watch_unref(w); /* epoll's */
}

static void readable(struct rt_watch *w) {
    struct rt_monitor_state s;
    struct bh_err err = BH_ERR_INIT;
    size_t n = 0;
    int r = bh_fdpass_recv(w->fd, &s, sizeof s, &n, NULL, 0, NULL, &err);

    if (r == BH_FDPASS_AGAIN)
        return;
    if (r < 0 && err.code == BH_E_INVALID)
        bh_log_err("monitor-read", &err);
    if (r < 0 || n != sizeof s) {
        hang_up(w); /* may have been the last reference */
        return;
    }
    if (s.type == RT_MONITOR_DONE)
        got_done(w, s.code);
    else if (s.type == RT_MONITOR_STATE)
        tell(w, &s);
    if (w->told_end)
        hang_up(w);
}

static void *poll_monitors(void *arg) {
    struct rt_monitors *m = arg;
    struct epoll_event ev[32];

    for (;;) {
        int n = epoll_wait(m->epoll, ev, BH_ARRAY_LEN(ev), -1);

        for (int i = 0; i < n; i++)
            readable(ev[i].data.ptr);
    }
    return NULL;
}

int rt_monitors_new(const char *dir, struct rt_monitors **out, struct bh_err *err) {
    struct rt_monitors *m = bh_xcalloc(1, sizeof *m);
    pthread_t t;
    int e;

    snprintf(m->dir, sizeof m->dir, "%s", dir);
    m->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (m->epoll < 0) {
        e = errno;
        free(m);
        return bh_err_errno(err, e, "make an epoll set");
    }
    e = pthread_create(&t, NULL, poll_monitors, m);
    if (e != 0) {
        close(m->epoll);
        free(m);
        return bh_err_errno(err, e, "make the thread that listens to monitors");
    }
    pthread_detach(t);
    *out = m;
    return 0;
}

static int dial(const struct rt_monitors *m, const char *id, const char *exec_id, int *out_fd, struct bh_err *err) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    BH_SCOPE_CLOSE int fd = -1;

    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/%s.sock", m->dir, *exec_id != 0 ? exec_id : id);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return bh_err_errno(err, errno, "make a socket");
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        int e = errno;

        bh_err_errno(err, e, "connect to the monitor of %.12s", id);
        if (e == ENOENT || e == ECONNREFUSED)
            err->code = BH_E_NOT_FOUND;
        return err->code;
    }
    *out_fd = bh_take_fd(&fd);
    return 0;
}

static int send_request(struct rt_watch *w, const struct rt_monitor_request *req, const int *fds, unsigned n_fds,
                        struct bh_err *err) {
    int r = bh_fdpass_send(w->fd, req, sizeof *req, fds, n_fds, err);

    return r == BH_FDPASS_AGAIN ? bh_err_set(err, BH_E_UNAVAILABLE, "the monitor does not take requests") : r;
}

int rt_watch_open(struct rt_monitors *m, const char *id, const char *exec_id, rt_monitor_event *event, void *arg,
                  struct rt_watch **out, struct bh_err *err) {
    const struct rt_monitor_request watch = {.type = RT_MONITOR_WATCH};
    struct rt_watch *w;
    int fd = -1;

    if (dial(m, id, exec_id, &fd, err) != 0)
        return err->code;
    w = bh_xcalloc(1, sizeof *w);
    *w = (struct rt_watch){.monitors = m, .fd = fd, .event = event, .arg = arg};
    atomic_init(&w->refs, 2); /* the caller's and epoll's */
    pthread_mutex_init(&w->turn, NULL);
    pthread_mutex_init(&w->lock, NULL);
    bh_cond_init(&w->answer);
    if (send_request(w, &watch, NULL, 0, err) != 0) {
        atomic_store(&w->refs, 1);
        rt_watch_unref(w);
        return err->code;
    }
    *out = w; /* before the first event can come: its receiver may look */
    if (epoll_ctl(m->epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = w}) != 0) {
        int e = errno;

        *out = NULL;
        atomic_store(&w->refs, 1);
        rt_watch_unref(w);
        return bh_err_errno(err, e, "listen to a monitor");
    }
    return 0;
}

int rt_monitor_ask(struct rt_monitors *m, const char *id, struct rt_monitor_state *out, struct bh_err *err) {
    const struct rt_monitor_request watch = {.type = RT_MONITOR_WATCH};
    struct rt_monitor_state s;
    struct pollfd p = {.events = POLLIN};
    BH_SCOPE_CLOSE int fd = -1;
    size_t n = 0;

    if (dial(m, id, "", &fd, err) != 0 || bh_fdpass_send(fd, &watch, sizeof watch, NULL, 0, err) != 0)
        return err->code != 0 ? err->code : bh_err_set(err, BH_E_UNAVAILABLE, "the monitor does not take requests");
    p.fd = fd;
    if (poll(&p, 1, 2000) <= 0)
        return bh_err_set(err, BH_E_DEADLINE, "the monitor of %.12s did not answer for 2 s", id);
    if (bh_fdpass_recv(fd, &s, sizeof s, &n, NULL, 0, NULL, err) != 0 || n != sizeof s || s.type != RT_MONITOR_STATE)
        return bh_err_set(err, BH_E_NOT_FOUND, "the monitor of %.12s has gone", id);
    *out = s;
    return 0;
}

static int wait_answer(struct rt_watch *w, struct bh_err *err) {
    int64_t until = bh_mono_ns() + ANSWER_SECONDS * BH_NSEC;

    while (!w->answered && !w->gone && bh_cond_wait_until(&w->answer, &w->lock, until))
        continue;
    w->waiting = false;
    if (w->answered)
        return w->code < 0 ? bh_err_set(err, w->code, "the container's monitor refused: %s", bh_err_text(w->code)) : 0;
    if (w->gone)
        return bh_err_set(err, BH_E_NOT_FOUND, "the container's monitor has gone");
    return bh_err_set(err, BH_E_DEADLINE, "the container's monitor did not answer for %d s", ANSWER_SECONDS);
}

static int ask(struct rt_watch *w, const struct rt_monitor_request *req, const int *fds, unsigned n_fds,
               struct bh_err *err) {
    int r;

    pthread_mutex_lock(&w->turn);
    pthread_mutex_lock(&w->lock);
    w->waiting = true;
    w->answered = false;
    pthread_mutex_unlock(&w->lock);
    r = send_request(w, req, fds, n_fds, err);
    pthread_mutex_lock(&w->lock);
    if (r == 0)
        r = wait_answer(w, err);
    w->waiting = false;
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_unlock(&w->turn);
    return r;
}

int rt_watch_attach(struct rt_watch *w, unsigned stdio, const int *fds, unsigned n_fds, struct bh_err *err) {
    const struct rt_monitor_request req = {.type = RT_MONITOR_ATTACH, .stdio = stdio};

    return ask(w, &req, fds, n_fds, err);
}

int rt_watch_resize(struct rt_watch *w, unsigned rows, unsigned cols, struct bh_err *err) {
    const struct rt_monitor_request req = {.type = RT_MONITOR_RESIZE, .rows = (uint16_t)rows, .cols = (uint16_t)cols};

    return ask(w, &req, NULL, 0, err);
}

int rt_watch_close_stdin(struct rt_watch *w, struct bh_err *err) {
    const struct rt_monitor_request req = {.type = RT_MONITOR_CLOSE_STDIN};

    return ask(w, &req, NULL, 0, err);
}
