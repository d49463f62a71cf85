/*
 * exec.c - sessions in a running container, see exec.h.
 *
 * Room: runtime.  A session lives in this table and its monitor, not in the database: after a restart
 * of the room its monitor's note tells of it (rt_execs_recover).
 */
#include "svc-runtime/exec.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "svc-runtime/policy.h"
#include "svc-runtime/room.h"
#include "svc-runtime/spec_make.h"

#define KEEP_ENDED_NS (300 * BH_NSEC)
#define MAX_SESSIONS  4096

struct rt_exec {
    char id[RT_ID_SIZE];
    struct rt_container *c;
    bool tty;
    atomic_uint refs;
    struct rt_exec *next;  /* table's lock */
    struct rt_waitq state; /* guards what follows */
    bool ended;
    int32_t code;
    int64_t ended_ns; /* monotonic */
    struct rt_watch *watch;
};

struct rt_execs {
    pthread_mutex_t lock;
    struct rt_exec *head;
    unsigned n;
};

struct rt_execs *rt_execs_new(void) {
    struct rt_execs *t = bh_xcalloc(1, sizeof *t);

    pthread_mutex_init(&t->lock, NULL);
    return t;
}

const char *rt_exec_id(const struct rt_exec *x) {
    return x->id;
}

static struct rt_exec *exec_ref(struct rt_exec *x) {
    atomic_fetch_add(&x->refs, 1);
    return x;
}

void rt_exec_unref(struct rt_exec *x) {
    if (x == NULL || atomic_fetch_sub(&x->refs, 1) != 1)
        return;
    rt_watch_unref(x->watch);
    rt_container_unref(x->c);
    rt_waitq_fini(&x->state);
    free(x);
}

/* ---- table ----------------------------------------------------------------------------------- */

static bool forgotten(struct rt_exec *x) {
    bool old;

    pthread_mutex_lock(&x->state.lock);
    old = x->ended && bh_mono_ns() - x->ended_ns > KEEP_ENDED_NS;
    pthread_mutex_unlock(&x->state.lock);
    return old;
}

static int add(struct rt_execs *t, struct rt_exec *x, struct bh_err *err) {
    int r = 0;

    pthread_mutex_lock(&t->lock);
    for (struct rt_exec **at = &t->head; *at != NULL;) {
        struct rt_exec *old = *at;

        if (!forgotten(old)) {
            at = &old->next;
            continue;
        }
        *at = old->next;
        t->n--;
        rt_exec_unref(old);
    }
    if (t->n >= MAX_SESSIONS) {
        r = bh_err_set(err, BH_E_LIMIT, "%u exec sessions are open or ended a short while ago, which is the limit",
                       t->n);
    } else {
        x->next = t->head;
        t->head = exec_ref(x);
        t->n++;
    }
    pthread_mutex_unlock(&t->lock);
    return r;
}

static void drop(struct rt_execs *t, struct rt_exec *x) {
    bool found = false;

    pthread_mutex_lock(&t->lock);
    for (struct rt_exec **at = &t->head; *at != NULL && !found; at = &(*at)->next)
        if (*at == x) {
            *at = x->next;
            t->n--;
            found = true;
            break;
        }
    pthread_mutex_unlock(&t->lock);
    if (found)
        rt_exec_unref(x);
}

int rt_exec_find(struct rt_room *room, const struct rt_caller *who, const char *id, struct rt_exec **out,
                 struct bh_err *err) {
    struct rt_exec *x;

    pthread_mutex_lock(&room->execs->lock);
    for (x = room->execs->head; x != NULL; x = x->next)
        if (strcmp(x->id, id) == 0)
            break;
    if (x != NULL && !who->admin && x->c->owner != who->uid)
        x = NULL;
    if (x != NULL)
        *out = exec_ref(x);
    pthread_mutex_unlock(&room->execs->lock);
    if (x != NULL)
        return 0;
    bh_err_set(err, BH_E_NOT_FOUND, "No such exec instance: %s", id);
    return bh_err_reason(err, "no-such-exec");
}

int rt_exec_list(struct rt_container *c, struct bh_arena *arena, struct bh_strlist *out, struct bh_err *err) {
    struct rt_execs *t = c->room->execs;
    int r = 0;

    *out = (struct bh_strlist){0};
    pthread_mutex_lock(&t->lock);
    for (struct rt_exec *x = t->head; x != NULL && r == 0; x = x->next) {
        bool runs;

        pthread_mutex_lock(&x->state.lock);
        runs = !x->ended;
        pthread_mutex_unlock(&x->state.lock);
        if (runs && x->c == c)
            r = bh_strlist_add(out, arena, x->id, err);
    }
    pthread_mutex_unlock(&t->lock);
    return r;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void end_with(struct rt_exec *x, int32_t code) {
    pthread_mutex_lock(&x->state.lock);
    x->ended = true;
    x->code = code;
    x->ended_ns = bh_mono_ns();
    rt_waitq_wake(&x->state);
    pthread_mutex_unlock(&x->state.lock);
}

static void on_monitor(void *arg, const struct rt_monitor_state *state) {
    struct rt_exec *x = arg;

    if (state != NULL && state->phase != RT_MONITOR_EXITED)
        return;
    end_with(x, state != NULL ? state->exit_code : RT_EXIT_LOST);
    rt_exec_unref(x); /* the connection's */
}

static void listen_to(struct rt_exec *x) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_watch *w = NULL;

    exec_ref(x);
    if (rt_watch_open(x->c->room->monitors, x->c->id, x->id, on_monitor, x, &w, &err) != 0) {
        bh_log_err("exec-monitor-connect", &err);
        on_monitor(x, NULL);
        return;
    }
    pthread_mutex_lock(&x->state.lock);
    x->watch = w;
    pthread_mutex_unlock(&x->state.lock);
}

static int make_spec(struct rt_container *c, const struct rt_exec_request *req, struct bh_arena *arena, int *out_fd,
                     struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf blob = BH_BUF_INIT_MAX(RT_SPEC_MAX);
    struct rt_spec base, spec;

    if (rt_container_blobs(c, &blob, NULL, NULL, err) != 0 ||
        rt_spec_decode(blob.data, blob.len, arena, &base, err) != 0 ||
        rt_spec_make_exec(req, &base, arena, &spec, err) != 0)
        return err->code;
    return rt_launch_spec_fd(&spec, out_fd, err);
}

static int ask_launch(struct rt_exec *x, int spec_fd, const struct rt_stdio *stdio, struct rt_launch_reply *out,
                      struct bh_err *err) {
    struct rt_launch_request req;
    int fds[4];
    unsigned n = 0;

    rt_launch_request_init(&req, RT_LAUNCH_EXEC, x->c->id);
    rt_container_oci(x->c, &req);
    memcpy(req.exec_id, x->id, sizeof req.exec_id);
    req.stdio = stdio->bits;
    req.n_stdio = stdio->n;
    fds[n++] = spec_fd;
    for (unsigned i = 0; i < stdio->n; i++)
        fds[n++] = stdio->fds[i];
    return rt_launch_call(x->c->room->launch, &req, fds, n, out, err);
}

/* A container that ends meanwhile makes any step of a start fail; then that is why, and not the step.  Its first
 * process may have let go of all that makes a container, and not have ended yet. */
static int ended_meanwhile(struct rt_exec *x, struct bh_err *err) {
    int looks = strcmp(err->reason, "exit-125") == 0 ? 6 : 1;
    struct rt_launch_request req;

    for (; looks > 0; looks--) {
        struct bh_err look = BH_ERR_INIT;

        rt_launch_request_init(&req, RT_LAUNCH_SIGNAL, x->c->id); /* number 0: nothing but the look */
        if (rt_launch_call(x->c->room->launch, &req, NULL, 0, NULL, &look) != 0 &&
            strcmp(look.reason, "not-running") == 0) {
            *err = look;
            break;
        }
        if (looks > 1)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return err->code;
}

static int random_id(char out[RT_ID_SIZE], struct bh_err *err) {
    unsigned char raw[32];

    if (getrandom(raw, sizeof raw, 0) != sizeof raw)
        return bh_err_set(err, BH_E_INTERNAL, "no random bytes for a session's id");
    bh_hex(raw, sizeof raw, out);
    return 0;
}

static struct rt_exec *new_exec(struct rt_container *c, const char *id, bool tty) {
    struct rt_exec *x = bh_xcalloc(1, sizeof *x);

    snprintf(x->id, sizeof x->id, "%s", id);
    x->c = rt_container_ref(c);
    x->tty = tty;
    atomic_init(&x->refs, 1);
    rt_waitq_init(&x->state);
    return x;
}

static int start_in(struct rt_exec *x, const struct rt_exec_request *req, const struct rt_stdio *stdio,
                    struct bh_arena *arena, int32_t *out_pid, struct bh_err *err) {
    struct rt_launch_reply reply = {0};
    BH_SCOPE_CLOSE int spec_fd = -1;

    if (make_spec(x->c, req, arena, &spec_fd, err) != 0 || add(x->c->room->execs, x, err) != 0)
        return err->code;
    if (ask_launch(x, spec_fd, stdio, &reply, err) != 0) {
        drop(x->c->room->execs, x);
        return ended_meanwhile(x, err);
    }
    *out_pid = reply.pid;
    listen_to(x);
    return 0;
}

int rt_exec_start(struct rt_container *c, const struct rt_caller *who, const struct rt_exec_request *req,
                  const struct rt_stdio *stdio, struct bh_arena *arena, struct rt_exec **out, int32_t *out_pid,
                  struct bh_err *err) {
    struct rt_status s = rt_container_status(c);
    char id[RT_ID_SIZE], name[RT_NAME_SIZE];
    struct rt_exec *x;

    if (rt_policy_exec(who, req, err) != 0)
        return err->code;
    if (!rt_status_running(&s))
        return rt_not_running(c, err);
    if (s.state == RT_PAUSED) {
        rt_table_name(c->room->table, c, name);
        return bh_err_set(err, BH_E_CONFLICT, "Container %s is paused, unpause the container before exec", name);
    }
    if (random_id(id, err) != 0)
        return err->code;
    x = new_exec(c, id, req->tty);
    if (start_in(x, req, stdio, arena, out_pid, err) != 0) {
        rt_exec_unref(x);
        return err->code;
    }
    *out = x;
    return 0;
}

/* ---- after a restart of the room ---------------------------------------------------------------- */

static void recover_one(struct rt_container *c, int dir, const char *name) {
    BH_SCOPE_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const char *id = name + strlen(RT_EXEC_NOTE);
    struct bh_err err = BH_ERR_INIT;
    struct rt_monitor_state s;
    struct rt_exec *x;

    if (strspn(id, "0123456789abcdef") != RT_ID_SIZE - 1 || id[RT_ID_SIZE - 1] != 0 || fd < 0 ||
        bh_read_full(fd, &s, sizeof s) != sizeof s)
        return;
    x = new_exec(c, id, s.tty != 0);
    if (add(c->room->execs, x, &err) != 0)
        bh_log_err("exec-session-not-found-again", &err);
    else if (s.phase == RT_MONITOR_EXITED)
        end_with(x, s.exit_code);
    else
        listen_to(x);
    rt_exec_unref(x);
}

void rt_execs_recover(struct rt_container *c) {
    BH_SCOPE_DIR DIR *d = bh_dir_open(c->room->monitor_dir, c->id);

    for (struct dirent *e; (e = bh_dir_next(d)) != NULL;)
        if (bh_str_starts(e->d_name, RT_EXEC_NOTE))
            recover_one(c, dirfd(d), e->d_name);
}

static bool has_ended(void *arg) {
    return ((struct rt_exec *)arg)->ended;
}

int rt_exec_wait(struct rt_exec *x, int cancel_fd, int32_t *out_code, struct bh_err *err) {
    if (rt_waitq_wait(&x->state, has_ended, x, -1, cancel_fd, err) != 0)
        return err->code;
    pthread_mutex_lock(&x->state.lock);
    *out_code = x->code;
    pthread_mutex_unlock(&x->state.lock);
    return 0;
}

static struct rt_watch *exec_watch(struct rt_exec *x) {
    struct rt_watch *w = NULL;

    pthread_mutex_lock(&x->state.lock);
    if (!x->ended && x->watch != NULL)
        w = rt_watch_ref(x->watch);
    pthread_mutex_unlock(&x->state.lock);
    return w;
}

static int has_gone(const struct rt_exec *x, struct bh_err *err) {
    return bh_err_set(err, BH_E_CONFLICT, "exec session %.12s has ended", x->id);
}

int rt_exec_resize(struct rt_exec *x, unsigned rows, unsigned cols, struct bh_err *err) {
    struct rt_watch *w;
    int r;

    if (rows == 0 || cols == 0 || rows > 65535 || cols > 65535 || !x->tty)
        return bh_err_set(err, BH_E_INVALID, "exec session %.12s: cannot make a terminal of %u rows and %u columns",
                          x->id, rows, cols);
    w = exec_watch(x);
    if (w == NULL)
        return has_gone(x, err);
    r = rt_watch_resize(w, rows, cols, err);
    rt_watch_unref(w);
    return r;
}

int rt_exec_close_stdin(struct rt_exec *x, struct bh_err *err) {
    struct rt_watch *w = exec_watch(x);
    int r;

    if (w == NULL)
        return has_gone(x, err);
    r = rt_watch_close_stdin(w, err);
    rt_watch_unref(w);
    return r;
}
