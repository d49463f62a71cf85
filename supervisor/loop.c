/*
 * loop.c - the one loop: signals, ends of processes, messages, log lines, and what is due by the clock.
 *
 * Room: supervisor.  Trusts the kernel's word on who has ended and how.  Must not block and must not
 * wait for any one room: each has a deadline instead.  One event is taken at a time, so that what
 * an event frees cannot be met again in the same batch.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine.h"

#define BACKOFF_FIRST_MS 100
#define LONG_LIFE_MS     10000 /* a room that has served so long starts counting anew */

int64_t sup_now_ms(void) {
    return bh_mono_ns() / 1000000;
}

int sup_watch(struct sup_engine *e, struct sup_source *s, struct bh_err *err) {
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};

    return epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) < 0 ? bh_err_errno(err, errno, "watch descriptor") : 0;
}

void sup_unwatch(struct sup_engine *e, struct sup_source *s) {
    if (s->fd < 0)
        return;
    (void)epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    close(s->fd);
    s->fd = -1;
}

/* ---- the end of a room ------------------------------------------------------------------- */

static void log_death(const struct sup_room *room, int status) {
    bool asked = room->state == SUP_STOPPING;
    int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (asked && status == 0)
        return;
    bh_log(asked ? BH_LOG_INFO : BH_LOG_ERR, "room-died", "room=%s pid=%d %s=%d%s%s", room->row->name, (int)room->pid,
           sig ? "signal" : "status", sig ? sig : WEXITSTATUS(status), asked ? " asked=yes" : "",
           sig == SIGSYS || sig == SIGSEGV ? " attack-like=yes" : "");
}

static void plan_restart(const struct sup_engine *e, struct sup_room *room) {
    const int64_t most = e->config.restart_max_ms;
    bool asked = room->state == SUP_STOPPING;
    bool long_life = room->ready_ms > 0 && sup_now_ms() - room->ready_ms > LONG_LIFE_MS;
    int64_t delay = BACKOFF_FIRST_MS;

    room->failures = asked || long_life ? 0 : room->failures + 1;
    for (unsigned i = 1; i < room->failures && delay < most; i++)
        delay *= 2;
    room->state = SUP_BACKOFF;
    room->restarts++;
    room->deadline_ms = sup_now_ms() + (delay < most ? delay : most);
}

/* runtime and launch share a pair that cannot be given to a living process: both start again. */
static void stop_partner(struct sup_engine *e, const struct sup_room *room) {
    if (!(room->row->flags & SUP_PAIR))
        return;
    struct sup_room *other = &e->rooms[room->row->id == SUP_LAUNCH ? SUP_RUNTIME : SUP_LAUNCH];
    if (other->pair == room->pair)
        sup_room_stop(other);
}

static void on_room_exit(struct sup_engine *e, struct sup_source *s) {
    struct sup_room *room = (struct sup_room *)s;
    int status;

    if (waitpid(room->pid, &status, WNOHANG) != room->pid)
        return;
    log_death(room, status);
    sup_unwatch(e, &room->process);
    sup_unwatch(e, &room->control);
    if (room->row->id == SUP_STORE)
        sup_workers_kill(e, false);
    room->pid = 0;
    if (e->stopping) {
        room->state = SUP_STOPPED;
        room->deadline_ms = 0;
        return;
    }
    stop_partner(e, room);
    bool never_served = !e->announced && room->state == SUP_STARTING;
    plan_restart(e, room);
    if (!never_served)
        return;
    bh_log(BH_LOG_ERR, "start-failed", "error=\"start engine in %s: room %s ended before it could serve\" hint=\"%s\"",
           e->root, room->row->name, "its own lines above tell why");
    sup_stop(e, 1);
}

/* ---- the clock --------------------------------------------------------------------------- */

static void on_deadline(struct sup_engine *e, struct sup_room *room) {
    struct bh_err err = BH_ERR_INIT;

    room->deadline_ms = 0;
    if (room->state == SUP_STARTING)
        sup_room_kill(room, "it did not become ready in time");
    else if (room->state == SUP_STOPPING)
        sup_room_kill(room, "it did not stop in time");
    else if (room->state == SUP_BACKOFF && sup_room_start(e, room, &err) < 0) {
        bh_log_err("restart-failed", &err);
        room->deadline_ms = sup_now_ms() + e->config.restart_max_ms;
    }
}

/* Milliseconds to the next deadline, -1 for none; runs those that are due. */
static int run_clock(struct sup_engine *e) {
    int64_t now = sup_now_ms(), next = -1;

    for (unsigned i = 0; i < SUP_N_ROOMS; i++) {
        struct sup_room *room = &e->rooms[i];
        if (room->deadline_ms != 0 && room->deadline_ms <= now)
            on_deadline(e, room);
        if (room->deadline_ms != 0 && (next < 0 || room->deadline_ms - now < next))
            next = room->deadline_ms - now;
    }
    return next < 0 ? -1 : (int)(next + 1);
}

/* ---- signals ----------------------------------------------------------------------------- */

void sup_stop(struct sup_engine *e, int exit_status) {
    if (e->stopping)
        return;
    e->stopping = true;
    e->exit_status = exit_status;
    sup_notify("STOPPING=1\n");
    sup_workers_kill(e, true);
    for (unsigned i = 0; i < SUP_N_ROOMS; i++) {
        struct sup_room *room = &e->rooms[i];
        sup_room_stop(room);
        if (room->state == SUP_BACKOFF) {
            room->state = SUP_STOPPED;
            room->deadline_ms = 0;
        }
    }
}

static void reload(struct sup_engine *e) {
    const struct bh_control_simple m = {.type = BH_CONTROL_RELOAD};
    struct bh_err err = BH_ERR_INIT;

    sup_notify("RELOADING=1\n");
    if (sup_config_load(e, &err) < 0)
        bh_log_err("reload-failed", &err); /* what was valid before stays */
    else
        bh_log(BH_LOG_INFO, "reloaded", "config=%s", e->config_path);
    for (unsigned i = 0; i < SUP_N_ROOMS && err.code == 0; i++) {
        if (e->rooms[i].state == SUP_READY && !(e->rooms[i].row->flags & SUP_HOST))
            sup_tell(&e->rooms[i], &m, sizeof m, e->config_fd[!!(e->rooms[i].row->flags & SUP_NETWORK)]);
    }
    sup_notify("READY=1\n");
}

static void on_signal(struct sup_engine *e, struct sup_source *s) {
    struct signalfd_siginfo info;

    if (read(s->fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo == SIGHUP)
        reload(e);
    else
        sup_stop(e, 0);
}

static int watch_signals(struct sup_engine *e, struct bh_err *err) {
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    e->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    e->signals.ready = on_signal;
    return e->signals.fd < 0 ? bh_err_errno(err, errno, "watch signals") : sup_watch(e, &e->signals, err);
}

static bool all_gone(const struct sup_engine *e) {
    for (unsigned i = 0; i < SUP_N_ROOMS; i++) {
        if (e->rooms[i].pid > 0)
            return false;
    }
    return e->workers == NULL;
}

/* A room that cannot even be started: nothing was said yet, so the engine gives up. */
static int start_rooms(struct sup_engine *e, struct bh_err *err) {
    int rc = 0;

    for (unsigned i = 0; i < SUP_N_ROOMS; i++) {
        e->rooms[i] = (struct sup_room){
            .row = &sup_rows[i], .process = {-1, on_room_exit}, .control = {-1, sup_control_readable}};
    }
    for (unsigned i = 0; i < SUP_N_ROOMS && rc == 0; i++)
        rc = sup_room_start(e, &e->rooms[i], err);
    return rc;
}

int sup_loop(struct sup_engine *e, struct bh_err *err) {
    e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (e->epoll_fd < 0)
        return bh_err_errno(err, errno, "watch descriptors");
    int rc = watch_signals(e, err);
    if (rc == 0)
        rc = start_rooms(e, err);
    if (rc < 0)
        sup_stop(e, 1);
    while (!(e->stopping && all_gone(e))) {
        struct epoll_event ev;
        int n = epoll_wait(e->epoll_fd, &ev, 1, run_clock(e));
        if (n < 0 && errno != EINTR)
            return bh_err_errno(err, errno, "wait for events");
        struct sup_source *s = n == 1 ? ev.data.ptr : NULL;
        if (s)
            s->ready(e, s);
    }
    return rc;
}
