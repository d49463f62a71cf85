/*
 * control.c - the room's end of its channel to the supervisor: one thread that reads, callers that wait.
 *
 * Room: all but supervisor and launch.  Owns BH_FD_CONTROL.  Trusts the supervisor, but still checks
 * the size of what it reads.  Must not run a caller's code with its lock held.  The fixed layouts
 * and who may send what are told in control.h.
 */
#include "proc/control.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "base/str.h"

#define KILL_GRACE_MS 10000 /* a killed worker that is not reported by then: the supervisor is stuck */

struct bh_worker {
    struct bh_control *control;
    struct bh_worker *next;
    uint32_t seq;
    int32_t pid; /* 0: not answered yet, < 0: -errno */
    bool exited;
    int wait_status;
};

struct rooms_query {
    struct rooms_query *next;
    uint32_t seq;
    struct bh_control_room *rooms;
    unsigned n;
    bool done;
};

struct bh_control {
    struct bh_control_events events;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t last_seq;
    bool gone; /* the supervisor's end is closed */
    struct bh_worker *workers;
    struct rooms_query *queries;
};

union inbound {
    uint32_t type;
    struct bh_control_simple simple;
    struct bh_control_spawned spawned;
    struct bh_control_exited exited;
    struct bh_control_room room;
};

static struct bh_worker *find_worker(struct bh_control *c, uint32_t seq) {
    struct bh_worker *w = c->workers;

    while (w && w->seq != seq)
        w = w->next;
    return w;
}

static void take_spawned(struct bh_control *c, const struct bh_control_spawned *m) {
    struct bh_worker *w = find_worker(c, m->seq);

    if (w)
        w->pid = m->pid == 0 ? -EINVAL : m->pid;
}

static void take_exited(struct bh_control *c, const struct bh_control_exited *m) {
    struct bh_worker *w = find_worker(c, m->seq);

    if (!w)
        return;
    w->exited = true;
    w->wait_status = m->wait_status;
}

static void take_room(struct bh_control *c, const struct bh_control_room *m) {
    struct rooms_query *q = c->queries;

    while (q && q->seq != m->seq)
        q = q->next;
    if (!q || q->done)
        return;
    q->rooms = bh_xrealloc(q->rooms, sizeof *q->rooms * (q->n + 1));
    q->rooms[q->n++] = *m;
    q->done = m->more == 0;
}

/* With the lock held.  Returns false for a message that is not one of ours. */
static bool take_answer(struct bh_control *c, const union inbound *m, size_t n) {
    if (m->type == BH_CONTROL_SPAWNED && n == sizeof m->spawned)
        take_spawned(c, &m->spawned);
    else if (m->type == BH_CONTROL_EXITED && n == sizeof m->exited)
        take_exited(c, &m->exited);
    else if (m->type == BH_CONTROL_ROOM && n == sizeof m->room)
        take_room(c, &m->room);
    else
        return false;
    pthread_cond_broadcast(&c->changed);
    return true;
}

static void dispatch(struct bh_control *c, const union inbound *m, size_t n, int fd) {
    if (n == sizeof m->simple && m->type == BH_CONTROL_STOP) {
        c->events.on_stop(c->events.arg);
    } else if (n == sizeof m->simple && m->type == BH_CONTROL_RELOAD && fd >= 0 && c->events.on_reload) {
        c->events.on_reload(c->events.arg, fd);
        return;
    } else if (n >= sizeof m->type) {
        pthread_mutex_lock(&c->lock);
        (void)take_answer(c, m, n);
        pthread_mutex_unlock(&c->lock);
    }
    if (fd >= 0)
        close(fd);
}

static void *control_thread(void *arg) {
    struct bh_control *c = arg;
    struct bh_err err = BH_ERR_INIT;

    for (;;) {
        union inbound m;
        size_t n;
        unsigned n_fds = 0;
        int fd = -1;
        if (bh_fdpass_recv(BH_FD_CONTROL, &m, sizeof m, &n, &fd, 1, &n_fds, &err) != BH_FDPASS_OK || n == 0)
            break;
        dispatch(c, &m, n, fd);
    }
    pthread_mutex_lock(&c->lock);
    c->gone = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    c->events.on_stop(c->events.arg);
    return NULL;
}

int bh_control_start(const struct bh_control_events *events, struct bh_control **out, struct bh_err *err) {
    struct bh_control *c = bh_xcalloc(1, sizeof *c);
    pthread_t thread;

    c->events = *events;
    pthread_mutex_init(&c->lock, NULL);
    bh_cond_init(&c->changed);

    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, (size_t)256 << 10);
    int rc = pthread_create(&thread, &small, control_thread, c);
    pthread_attr_destroy(&small);
    if (rc != 0) {
        free(c);
        return bh_err_errno(err, rc, "start the thread that listens to the supervisor");
    }
    pthread_detach(thread);
    *out = c;
    return 0;
}

static int send_msg(const void *msg, size_t n, const int *fds, unsigned n_fds, struct bh_err *err) {
    int rc = bh_fdpass_send(BH_FD_CONTROL, msg, n, fds, n_fds, err);

    return rc < 0 ? bh_err_prefix(err, "tell the supervisor") : 0;
}

int bh_control_ready(struct bh_control *c, struct bh_err *err) {
    struct bh_control_simple m = {.type = BH_CONTROL_READY};

    (void)c;
    return send_msg(&m, sizeof m, NULL, 0, err);
}

/* ---- workers ----------------------------------------------------------------------------- */

static struct bh_worker *add_worker(struct bh_control *c) {
    struct bh_worker *w = bh_xcalloc(1, sizeof *w);

    w->control = c;
    pthread_mutex_lock(&c->lock);
    w->seq = ++c->last_seq;
    w->next = c->workers;
    c->workers = w;
    pthread_mutex_unlock(&c->lock);
    return w;
}

static void drop_worker(struct bh_worker *w) {
    struct bh_control *c = w->control;

    pthread_mutex_lock(&c->lock);
    for (struct bh_worker **p = &c->workers; *p; p = &(*p)->next) {
        if (*p == w) {
            *p = w->next;
            break;
        }
    }
    pthread_mutex_unlock(&c->lock);
    free(w);
}

/* Waits for the supervisor's answer to SPAWN. */
static int wait_pid(struct bh_worker *w, struct bh_err *err) {
    struct bh_control *c = w->control;

    pthread_mutex_lock(&c->lock);
    while (w->pid == 0 && !c->gone)
        pthread_cond_wait(&c->changed, &c->lock);
    int pid = w->pid;
    pthread_mutex_unlock(&c->lock);
    if (pid == 0)
        return bh_err_set(err, BH_E_UNAVAILABLE, "start worker: the supervisor has gone");
    if (pid < 0)
        return bh_err_errno(err, -pid, "start worker");
    return 0;
}

int bh_worker_spawn(struct bh_control *c, const char *job, const int *fds, unsigned n_fds, uint32_t cpu_seconds,
                    uint64_t file_size, struct bh_worker **out, struct bh_err *err) {
    struct bh_control_spawn m = {
        .type = BH_CONTROL_SPAWN, .n_fds = n_fds, .cpu_seconds = cpu_seconds, .file_size = file_size};

    if (n_fds > BH_CONTROL_MAX_FDS || !bh_str_copy(m.job, sizeof m.job, job))
        return bh_err_set(err, BH_E_INVALID, "start worker \"%s\" with %u descriptors: at most %d", job, n_fds,
                          BH_CONTROL_MAX_FDS);
    struct bh_worker *w = add_worker(c);
    m.seq = w->seq;
    int rc = send_msg(&m, sizeof m, fds, n_fds, err);
    if (rc == 0)
        rc = wait_pid(w, err);
    if (rc < 0) {
        drop_worker(w);
        return rc;
    }
    *out = w;
    return 0;
}

/* True once the worker is known to have ended, or the supervisor has gone. */
static bool wait_exited(struct bh_worker *w, int timeout_ms) {
    struct bh_control *c = w->control;
    int64_t until = timeout_ms < 0 ? 0 : bh_mono_ns() + timeout_ms * (BH_NSEC / 1000);
    bool in_time = true;

    pthread_mutex_lock(&c->lock);
    while (!w->exited && !c->gone && in_time)
        in_time = bh_cond_wait_until(&c->changed, &c->lock, until);
    bool over = w->exited || c->gone;
    pthread_mutex_unlock(&c->lock);
    return over;
}

int bh_worker_wait(struct bh_worker *w, int timeout_ms, int *out_status, struct bh_err *err) {
    bool in_time = wait_exited(w, timeout_ms);

    if (!in_time) {
        bh_worker_kill(w);
        (void)wait_exited(w, KILL_GRACE_MS);
    }
    bool exited = w->exited;
    int status = w->wait_status;
    drop_worker(w);
    if (!in_time)
        return bh_err_set(err, BH_E_DEADLINE, "wait for worker: not done after %d ms, killed", timeout_ms);
    if (!exited)
        return bh_err_set(err, BH_E_UNAVAILABLE, "wait for worker: the supervisor has gone");
    *out_status = status;
    return 0;
}

void bh_worker_kill(struct bh_worker *w) {
    struct bh_control_kill m = {.type = BH_CONTROL_KILL, .seq = w->seq};
    struct bh_err ignored = BH_ERR_INIT;

    (void)send_msg(&m, sizeof m, NULL, 0, &ignored);
}

/* ---- rooms ------------------------------------------------------------------------------- */

static void add_query(struct bh_control *c, struct rooms_query *q) {
    pthread_mutex_lock(&c->lock);
    q->seq = ++c->last_seq;
    q->next = c->queries;
    c->queries = q;
    pthread_mutex_unlock(&c->lock);
}

static void wait_query(struct bh_control *c, struct rooms_query *q) {
    int64_t until = bh_mono_ns() + 5 * BH_NSEC;
    bool in_time = true;

    pthread_mutex_lock(&c->lock);
    while (!q->done && !c->gone && in_time)
        in_time = bh_cond_wait_until(&c->changed, &c->lock, until);
    for (struct rooms_query **p = &c->queries; *p; p = &(*p)->next) {
        if (*p == q) {
            *p = q->next;
            break;
        }
    }
    pthread_mutex_unlock(&c->lock);
}

int bh_control_rooms(struct bh_control *c, struct bh_control_room **out, unsigned *out_n, struct bh_err *err) {
    struct rooms_query q = {0};

    add_query(c, &q);
    struct bh_control_simple m = {.type = BH_CONTROL_ROOMS, .seq = q.seq};
    int rc = send_msg(&m, sizeof m, NULL, 0, err);
    wait_query(c, &q);
    if (rc == 0 && !q.done)
        rc = bh_err_set(err, BH_E_UNAVAILABLE, "ask the supervisor about the rooms: no answer");
    if (rc < 0) {
        free(q.rooms);
        return rc;
    }
    *out = q.rooms;
    *out_n = q.n;
    return 0;
}
