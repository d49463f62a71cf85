/*
 * logs.c - reading a container's log, now and as it grows.
 *
 * Room: runtime, read-only below /monitor.  Following sleeps on inotify events of the monitor's
 * folder and ends when the container has ended and everything is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "svc-runtime/room.h"

#define LOOK_AGAIN_MS 1000 /* should an event be missed (queue overflow) */

static int open_dir(struct rt_container *c) {
    return openat(c->room->monitor_dir, c->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int watch_dir(const struct rt_container *c, struct bh_err *err) {
    char path[sizeof c->room->monitor_path + RT_ID_SIZE + 1];
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    if (fd < 0)
        return bh_err_errno(err, errno, "follow the log: make an inotify descriptor");
    snprintf(path, sizeof path, "%s/%s", c->room->monitor_path, c->id);
    if (inotify_add_watch(fd, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM) < 0) {
        int e = errno;

        close(fd);
        return e == ENOENT ? -1 : bh_err_errno(err, e, "follow the log");
    }
    return fd;
}

static void drain(int fd) {
    char buf[4096];

    while (fd >= 0 && read(fd, buf, sizeof buf) > 0)
        ;
}

/* BH_E_CANCELLED when the client has gone; else look at the log again. */
static int sleep_for_more(int notify, int cancel_fd, int timeout_ms, struct bh_err *err) {
    struct pollfd p[2] = {{.fd = notify, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};

    if (poll(p, 2, timeout_ms) < 0 && errno != EINTR)
        return bh_err_errno(err, errno, "wait for more of the log");
    if (p[1].revents != 0)
        return bh_err_set(err, BH_E_CANCELLED, "the call was cancelled");
    drain(notify);
    return 0;
}

static int wait_ms(const struct rt_log_view *v, int notify) {
    int most = notify >= 0 ? LOOK_AGAIN_MS : LOOK_AGAIN_MS / 10;

    if (v->want.until_ns != 0) {
        int64_t left = (v->want.until_ns - bh_now_ns()) / 1000000 + 1;

        if (left < most)
            most = left > 0 ? (int)left : 0;
    }
    return most;
}

static int follow_log(struct rt_container *c, struct rt_log_view *v, int notify, int cancel_fd, rt_log_sink *sink,
                      void *arg, struct bh_err *err) {
    for (;;) {
        struct rt_status s = rt_container_status(c); /* before the reading: what was written till then is read */
        bool done = v->want.until_ns != 0 && bh_now_ns() >= v->want.until_ns;

        if (rt_log_view_read(v, sink, arg, &done, err) != 0)
            return err->code;
        if (done || !rt_status_running(&s))
            return 0;
        if (sleep_for_more(notify, cancel_fd, wait_ms(v, notify), err) != 0)
            return err->code;
    }
}

static bool has_log(void *arg) {
    struct rt_container *c = arg;

    return c->removed || c->status.started_ns != 0;
}

int rt_logs(struct rt_container *c, const struct rt_log_want *want, bool follow, int cancel_fd, rt_log_sink *sink,
            void *arg, struct bh_err *err) {
    BH_SCOPE_CLOSE int dirfd = -1;
    BH_SCOPE_CLOSE int notify = -1;
    struct rt_log_view view;
    int r;

    if (!c->facts->keep_log) {
        bh_err_set(err, BH_E_INVALID, "container %s was made with --log-driver none: it keeps no log", c->id);
        return bh_err_reason(err, "no-log");
    }
    if (follow && rt_waitq_wait(&c->state, has_log, c, -1, cancel_fd, err) != 0)
        return err->code;
    dirfd = open_dir(c);
    if (dirfd < 0)
        return errno == ENOENT ? 0 : bh_err_errno(err, errno, "open the log of container %s", c->id);
    if (follow) {
        notify = watch_dir(c, err);
        if (err->code != 0)
            return err->code;
    }
    if (rt_log_view_open(&view, dirfd, want, err) != 0)
        return err->code;
    r = follow ? follow_log(c, &view, notify, cancel_fd, sink, arg, err)
               : rt_log_view_read(&view, sink, arg, NULL, err);
    rt_log_view_close(&view);
    return r;
}
