/*
 * start.c - starting a container, listening to its monitor, and what follows its end.
 *
 * Room: runtime.  launch does the starting; this file brings it the layers and the specification and
 * keeps status, row and store in step afterwards.  Rows and notes are written behind the answer:
 * after a crash of the room, recover.c learns the same from the monitor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "base/mem.h"
#include "svc-runtime/limits.h"
#include "svc-runtime/room.h"

/* ---- row and store behind the answer --------------------------------------------------------- */

void rt_note_now(struct rt_container *c) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_status status;
    char name[RT_NAME_SIZE];
    bool removed;

    pthread_mutex_lock(&c->note);
    pthread_mutex_lock(&c->state.lock);
    status = c->status;
    removed = c->removed || status.state == RT_REMOVING; /* its row and note are about to go */
    pthread_mutex_unlock(&c->state.lock);
    if (!removed) {
        struct rt_note note = {.id = c->id,
                               .name = name,
                               .image_id = c->image_id,
                               .owner = c->owner,
                               .running = rt_status_running(&status)};

        rt_table_name(c->room->table, c, name);
        if (rt_db_set_status(c->room->db, c->id, &status, !note.running, &err) != 0)
            bh_log_err("container-row", &err);
        bh_err_clear(&err);
        if (rt_store_note(c->room->store, &note, &err) != 0) {
            bh_log_err("container-note", &err);
            rt_sync_later(c->room);
        }
    }
    pthread_mutex_unlock(&c->note);
}

static void save_job(void *room, void *arg) {
    struct rt_container *c = arg;

    (void)room;
    rt_note_now(c);
    rt_container_unref(c);
}

void rt_save_later(struct rt_container *c) {
    rt_work_add(c->room->work, save_job, rt_container_ref(c));
}

/* ---- the end ----------------------------------------------------------------------------------- */

/* Runs as a job: the monitor's connection is closed, the end is made durable, --rm takes effect. */
static void ended_job(void *room, void *arg) {
    struct rt_container *c = arg;
    struct rt_watch *watch;
    bool keep, lost;

    (void)room;
    pthread_mutex_lock(&c->state.lock);
    keep = c->keep;
    lost = c->status.state == RT_EXITED && c->status.exit_code == RT_EXIT_LOST;
    watch = NULL;
    if (!rt_status_running(&c->status)) {
        watch = c->watch;
        c->watch = NULL;
    }
    pthread_mutex_unlock(&c->state.lock);
    rt_watch_unref(watch);
    if (lost)
        rt_end_unwatched(c);
    if (c->auto_remove && !keep)
        rt_auto_remove(c);
    rt_note_now(c);
    rt_container_unref(c);
}

bool rt_exit_left(struct rt_room *room, const char *id, struct rt_monitor_state *out) {
    char path[RT_ID_SIZE + 8];
    BH_SCOPE_CLOSE int fd = -1;

    snprintf(path, sizeof path, "%s/exit", id);
    fd = openat(room->monitor_dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    return fd >= 0 && bh_read_full(fd, out, sizeof *out) == sizeof *out && out->phase == RT_MONITOR_EXITED;
}

bool rt_read_exit(struct rt_container *c, struct rt_monitor_state *out) {
    return rt_exit_left(c->room, c->id, out);
}

/* From the polling thread: status now, everything slow as a job. */
static void on_monitor(void *arg, const struct rt_monitor_state *state) {
    struct rt_container *c = arg;
    struct rt_monitor_state left;
    struct rt_event e = {.type = RT_EV_LOST, .when_ns = bh_now_ns(), .text = "the monitor is gone"};

    if (state != NULL && state->phase != RT_MONITOR_EXITED)
        return;
    if (state == NULL && rt_read_exit(c, &left) && left.started_ns >= rt_container_status(c).started_ns)
        state = &left;
    if (state != NULL)
        e = (struct rt_event){.type = RT_EV_EXITED,
                              .exit_code = state->exit_code,
                              .oom_killed = state->oom_killed != 0,
                              .when_ns = state->finished_ns};
    if (rt_container_event(c, &e))
        rt_work_add(c->room->work, ended_job, rt_container_ref(c));
    rt_container_unref(c); /* the connection's */
}

int rt_listen(struct rt_container *c, struct bh_err *err) {
    struct rt_watch *old;
    struct rt_watch *w = NULL;

    rt_container_ref(c); /* on_monitor gives it back */
    if (rt_watch_open(c->room->monitors, c->id, "", on_monitor, c, &w, err) != 0) {
        rt_container_unref(c);
        return err->code;
    }
    pthread_mutex_lock(&c->state.lock);
    old = c->watch;
    c->watch = w;
    pthread_mutex_unlock(&c->state.lock);
    rt_watch_unref(old);
    return 0;
}

/* It may have ended, and its monitor gone, before we could listen. */
static void listen_or_settle(struct rt_container *c) {
    struct bh_err err = BH_ERR_INIT;

    if (rt_listen(c, &err) == 0)
        return;
    if (err.code != BH_E_NOT_FOUND)
        bh_log_err("monitor-connect", &err);
    rt_container_ref(c);
    on_monitor(c, NULL);
}

/* ---- start ------------------------------------------------------------------------------------- */

/* They held where it was made; what cannot be held now is told, not dropped. */
static int check_limits(struct rt_container *c, const struct rt_spec *spec, struct bh_err *err) {
    int oci = atomic_load(&c->oci);

    if (oci < 0)
        rt_host(c->room, &oci);
    if (oci < 0 || RT_OCI_CGROUP(oci) || !rt_limits_any(&spec->limits))
        return 0;
    bh_err_set(err, BH_E_UNAVAILABLE,
               "container %.12s has limits, and nothing could hold them here: there is no cgroup", c->id);
    return bh_err_hint(err, "make it again without limits");
}

static int spec_with_window(struct rt_container *c, const struct rt_stdio *stdio, struct bh_arena *arena, int *out_fd,
                            struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf blob = BH_BUF_INIT_MAX(RT_SPEC_MAX);
    struct rt_spec spec;

    if (rt_container_blobs(c, &blob, NULL, NULL, err) != 0 ||
        rt_spec_decode(blob.data, blob.len, arena, &spec, err) != 0 || check_limits(c, &spec, err) != 0)
        return err->code;
    if (stdio->rows != 0 && stdio->cols != 0) {
        spec.tty_rows = stdio->rows;
        spec.tty_cols = stdio->cols;
    }
    return rt_launch_spec_fd(&spec, out_fd, err);
}

/* Made while nothing worked here, or by a version that did not note it. */
static int settle_oci(struct rt_container *c, struct bh_err *err) {
    int oci = atomic_load(&c->oci);

    if (oci >= 0)
        return 0;
    rt_host(c->room, &oci);
    if (oci < 0)
        return 0; /* launch_client.c says why nothing can be started */
    if (rt_db_set_oci(c->room->db, c->id, oci, err) != 0)
        return err->code;
    atomic_store(&c->oci, oci);
    return 0;
}

static int ask_launch(struct rt_container *c, const struct rt_stdio *stdio, int spec_fd, const struct rt_image *image,
                      struct rt_launch_reply *out, struct bh_err *err) {
    struct rt_launch_request req;
    int fds[1 + RT_MAX_LAYERS + 3];
    unsigned n = 0;

    rt_launch_request_init(&req, RT_LAUNCH_START, c->id);
    if (settle_oci(c, err) != 0)
        return err->code;
    rt_container_oci(c, &req);
    fds[n++] = spec_fd;
    for (unsigned i = 0; i < image->n_layers; i++)
        fds[n++] = image->fds[i];
    for (unsigned i = 0; i < stdio->n; i++)
        fds[n++] = stdio->fds[i];
    req.flags = c->auto_remove ? RT_LAUNCH_FLEETING : 0;
    req.n_layers = image->n_layers;
    memcpy(req.diff_ids, image->diff_ids, sizeof req.diff_ids);
    req.stdio = stdio->bits;
    req.n_stdio = stdio->n;
    return rt_launch_call(c->room->launch, &req, fds, n, out, err);
}

static void start_failed(struct rt_container *c, const struct rt_launch_reply *reply, const struct bh_err *err) {
    struct rt_event e = {
        .type = RT_EV_START_FAILED, .exit_code = reply->exit_hint != 0 ? reply->exit_hint : 125, .text = err->msg};

    rt_container_event(c, &e);
    rt_save_later(c);
}

static int do_start(struct rt_container *c, const struct rt_stdio *stdio, struct bh_arena *arena, struct bh_err *err) {
    struct rt_image_ask ask = {.name = c->image_id, .owner = c->owner, .container_id = c->id};
    struct rt_launch_reply reply = {0};
    struct rt_image image = {0};
    BH_SCOPE_CLOSE int spec_fd = -1;
    char name[RT_NAME_SIZE];
    int r;

    rt_table_name(c->room->table, c, name);
    ask.container_name = name;
    if (spec_with_window(c, stdio, arena, &spec_fd, err) != 0 ||
        rt_store_layers(c->room->store, &ask, arena, &image, err) != 0)
        return err->code;
    r = ask_launch(c, stdio, spec_fd, &image, &reply, err);
    bh_fdpass_close(image.fds, image.n_layers);
    if (r != 0) {
        start_failed(c, &reply, err);
        return r;
    }
    atomic_store(&c->killed, false);
    rt_container_event(c, &(struct rt_event){.type = RT_EV_STARTED,
                                             .pid = reply.pid,
                                             .id_base = reply.id_base,
                                             .when_ns = reply.started_ns != 0 ? reply.started_ns : bh_now_ns()});
    listen_or_settle(c);
    rt_save_later(c);
    return 0;
}

int rt_start_locked(struct rt_container *c, const struct rt_stdio *stdio, struct bh_err *err) {
    struct rt_status s = rt_container_status(c);
    struct bh_arena arena;
    int r;

    if (s.state == RT_PAUSED)
        return bh_err_set(err, BH_E_CONFLICT, "cannot start a paused container, try unpause instead");
    if (rt_status_running(&s))
        return stdio->n > 0 ? rt_attach(c, stdio, err) : 0;
    if (s.state != RT_CREATED && s.state != RT_EXITED) {
        bh_err_set(err, BH_E_CONFLICT, "container %s is %s and cannot be started", c->id, rt_state_name(s.state));
        return bh_err_hint(err, "remove it");
    }
    bh_arena_init(&arena, (size_t)16 << 20);
    r = do_start(c, stdio, &arena, err);
    bh_arena_fini(&arena);
    return r;
}

int rt_start(struct rt_container *c, const struct rt_stdio *stdio, struct bh_err *err) {
    int r;

    pthread_mutex_lock(&c->op);
    r = rt_start_locked(c, stdio, err);
    pthread_mutex_unlock(&c->op);
    /* as docker: a --rm container that could not be started goes as well */
    if (r != 0 && c->auto_remove && !rt_container_status(c).started_ns)
        rt_auto_remove(c);
    return r;
}
