/*
 * step.c - the life of a RUN's container: made, watched to its end, its change kept, removed.
 *
 * Room: runtime.  Foreign: all that the build room asks for; rules and checks are those of any container of
 * the user on whose behalf it runs.  Whatever goes wrong, the container is killed and removed.
 */
#include "svc-runtime/step.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "base/mem.h"
#include "svc-runtime/policy.h"
#include "svc-runtime/room.h"
#include "svc-runtime/spec_make.h"

#define KILL_WAIT_MS 10000

/* How it ended, as the monitor's thread tells; that thread and the step have a reference each. */
struct end {
    atomic_uint refs;
    int fd; /* eventfd: readable once told */
    pthread_mutex_t lock;
    bool told, lost;
    int exit_code;
};

static struct end *end_new(struct bh_err *err) {
    struct end *e = bh_xcalloc(1, sizeof *e);

    atomic_init(&e->refs, 1);
    pthread_mutex_init(&e->lock, NULL);
    e->fd = eventfd(0, EFD_CLOEXEC);
    if (e->fd >= 0)
        return e;
    bh_err_errno(err, errno, "make an event descriptor");
    free(e);
    return NULL;
}

static void end_unref(struct end *e) {
    if (atomic_fetch_sub(&e->refs, 1) != 1)
        return;
    close(e->fd);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static void end_tell(struct end *e, bool lost, int exit_code) {
    const uint64_t one = 1;

    pthread_mutex_lock(&e->lock);
    if (!e->told) {
        e->told = true;
        e->lost = lost;
        e->exit_code = exit_code;
        if (bh_write_all(e->fd, &one, sizeof one) != 0)
            bh_log(BH_LOG_ERR, "step-end", "cannot be told");
    }
    pthread_mutex_unlock(&e->lock);
}

static void on_monitor(void *arg, const struct rt_monitor_state *state) {
    struct end *e = arg;

    if (state != NULL && state->phase != RT_MONITOR_EXITED)
        return;
    end_tell(e, state == NULL, state != NULL ? state->exit_code : 0);
    end_unref(e);
}

struct stage {
    struct rt_room *room;
    const struct rt_step *step;
    struct bh_arena *arena;
    struct rt_image image;
    struct rt_made made;
    struct rt_step_pump pump;
    struct end *end;
    struct rt_watch *watch;
    bool made_folder, running;
};

/* It may have ended, and its monitor gone, before we could listen. */
static int listen_to(struct stage *s, struct bh_err *err) {
    struct rt_monitor_state left = {0};
    bool kept;

    atomic_fetch_add(&s->end->refs, 1);
    if (rt_watch_open(s->room->monitors, s->step->id, "", on_monitor, s->end, &s->watch, err) == 0)
        return 0;
    end_unref(s->end);
    if (err->code != BH_E_NOT_FOUND)
        return err->code;
    bh_err_clear(err);
    kept = rt_exit_left(s->room, s->step->id, &left);
    end_tell(s->end, !kept, left.exit_code);
    return 0;
}

static int ask_start(struct stage *s, int spec_fd, const int *theirs, unsigned n, struct bh_err *err) {
    struct rt_launch_request req;
    int fds[1 + RT_MAX_LAYERS + 3 + RT_MAX_DOORS];
    unsigned at = 0;

    rt_launch_request_init(&req, RT_LAUNCH_START, s->step->id);
    fds[at++] = spec_fd;
    for (unsigned i = 0; i < s->image.n_layers; i++)
        fds[at++] = s->image.fds[i];
    for (unsigned i = 0; i < n; i++)
        fds[at++] = theirs[i];
    for (unsigned i = 0; i < s->step->n_doors; i++)
        fds[at++] = s->step->doors[i].listener;
    req.n_sockets = s->step->n_doors;
    req.flags = RT_LAUNCH_FLEETING;
    req.n_layers = s->image.n_layers;
    memcpy(req.diff_ids, s->image.diff_ids, sizeof req.diff_ids);
    req.stdio = n == 3 ? 7 : 6;
    req.n_stdio = n;
    s->made_folder = true;
    return rt_launch_call(s->room->launch, &req, fds, at, NULL, err);
}

/* A command that is not there is a failure of the step, in the shell's numbers. */
static int start_failed(const struct rt_step *step, int *out_exit, struct bh_err *err) {
    int code = strcmp(err->reason, "exit-127") == 0 ? 127 : strcmp(err->reason, "exit-126") == 0 ? 126 : 0;
    char line[sizeof err->msg + 1];
    int n;

    if (code == 0)
        return err->code;
    n = snprintf(line, sizeof line, "%s\n", err->msg);
    bh_err_clear(err);
    *out_exit = code;
    return step->sink(step->arg, 2, line, (size_t)n, err);
}

/* *out_exit is set when it could not be started for a reason of its own. */
static int start(struct stage *s, int *out_exit, struct bh_err *err) {
    BH_SCOPE_CLOSE int spec_fd = -1;
    int theirs[3] = {-1, -1, -1};
    unsigned n = 0;
    int r;

    if (rt_launch_spec_fd(&s->made.spec, &spec_fd, err) != 0 ||
        rt_step_pump_open(s->step->n_input > 0, &s->pump, theirs, &n, err) != 0)
        return err->code;
    s->pump.end_fd = s->end->fd;
    r = ask_start(s, spec_fd, theirs, n, err);
    bh_fdpass_close(theirs, n);
    if (r != 0)
        return start_failed(s->step, out_exit, err);
    s->running = true;
    return listen_to(s, err);
}

/* There is nobody to warn but who reads its output. */
static int tell_dropped(const struct rt_step *step, const struct bh_strlist *warnings, struct bh_err *err) {
    for (size_t i = 0; i < warnings->n; i++) {
        BH_SCOPE_FREE char *line = bh_xasprintf("WARNING: %s\n", warnings->v[i]);

        if (step->sink(step->arg, 2, line, strlen(line), err) != 0)
            return err->code;
    }
    return 0;
}

static int prepare(struct stage *s, struct bh_err *err) {
    const struct bh_image_config *config = &s->step->config;
    struct rt_request req = s->step->req;
    struct bh_strlist dropped = {0};

    req.auto_remove = true; /* nothing of it need outlive a power cut */
    req.log_driver = "none";
    req.open_stdin = req.stdin_once = s->step->n_input > 0;
    req.entrypoint_set = true;
    if (rt_policy_create(&s->step->who, &req, err) != 0 ||
        rt_host_limits(s->room, &req.limits, s->arena, &dropped, err) != 0 ||
        tell_dropped(s->step, &dropped, err) != 0 ||
        rt_store_stack(s->room->store, s->step->hold, config->diff_ids, config->n_diff_ids, &s->image, err) != 0 ||
        rt_spec_make(&req, config, s->step->id, s->arena, &s->made, err) != 0 ||
        rt_profile(s->room, &s->step->who, &s->made, s->arena, err) != 0)
        return err->code;
    s->made.spec.files = s->step->files;
    s->made.spec.n_files = s->step->n_files;
    s->end = end_new(err);
    return s->end != NULL ? 0 : err->code;
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool wait_end(const struct end *e, int timeout_ms) {
    struct pollfd p = {.fd = e->fd, .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1;
}

static void kill_it(struct stage *s) {
    struct bh_err err = BH_ERR_INIT;

    if (rt_step_kill(s->room, s->step->id, &err) != 0 && err.code != BH_E_CONFLICT && err.code != BH_E_NOT_FOUND)
        bh_log_err("step-kill", &err);
    if (!wait_end(s->end, KILL_WAIT_MS))
        bh_log(BH_LOG_ERR, "step-kill", "container=%.12s does not end after SIGKILL", s->step->id);
}

static void clean_up(struct stage *s, bool failed) {
    bh_fdpass_close(s->image.fds, s->image.n_layers);
    if (failed && s->running && !wait_end(s->end, 0))
        kill_it(s);
    rt_step_pump_close(&s->pump);
    rt_watch_unref(s->watch);
    if (s->end != NULL)
        end_unref(s->end);
    if (s->made_folder)
        rt_step_remove_later(s->room, s->step->id);
}

static int exit_of(struct stage *s, int *out, struct bh_err *err) {
    bool lost;

    pthread_mutex_lock(&s->end->lock);
    lost = s->end->lost;
    *out = s->end->exit_code;
    pthread_mutex_unlock(&s->end->lock);
    return lost ? bh_err_set(err, BH_E_ABORTED, "the step's process was lost: its monitor is gone") : 0;
}

static int run(struct stage *s, struct rt_step_result *out, struct bh_err *err) {
    if (prepare(s, err) != 0 || start(s, &out->exit_code, err) != 0)
        return err->code;
    if (!s->running)
        return 0;
    if (rt_step_pump_run(&s->pump, s->step, err) != 0 || exit_of(s, &out->exit_code, err) != 0)
        return err->code;
    return out->exit_code == 0 ? rt_step_layers(s->room, s->step, s->arena, out, err) : 0;
}

int rt_step(struct rt_room *room, const struct rt_step *step, struct bh_arena *arena, struct rt_step_result *out,
            struct bh_err *err) {
    struct stage s = {.room = room, .step = step, .arena = arena, .pump = {.in = -1, .out = {-1, -1}}};
    int r;

    *out = (struct rt_step_result){0};
    r = run(&s, out, err);
    clean_up(&s, r != 0);
    return r;
}
