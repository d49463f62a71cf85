/*
 * recover.c - what became of the containers while this room was away.
 *
 * Room: runtime.  Trusts its own rows for what a container is, the monitors for how it fares: one
 * that answers runs; one that left `exit` has ended so; a row that says "running" without either has
 * lost its monitor.  Runs before the endpoint opens.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "svc-runtime/convert.h"
#include "svc-runtime/room.h"

static int load_row(void *arg, const struct rt_record *rec, struct bh_err *err) {
    struct rt_room *room = arg;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;
    struct bh_image_config config;
    struct rt_request req;
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, (size_t)32 << 20);
    r = rt_request_unpack(rec->request, &arena, &req, err);
    if (r == 0)
        r = rt_config_unpack(rec->config, &arena, &config, err);
    if (r == 0) {
        c = rt_container_new(room, rec, rt_facts_new(&req, &config));
        r = rt_table_add(room->table, c, err);
    }
    bh_arena_fini(&arena);
    if (r != 0) { /* one bad row must not hide the others */
        bh_log_err("container-row-unreadable", err);
        bh_err_clear(err);
    }
    return 0;
}

static void now_running(struct rt_container *c, const struct rt_monitor_state *s) {
    struct rt_status st = rt_container_status(c);

    if (!rt_status_running(&st))
        rt_container_event(c, &(struct rt_event){.type = RT_EV_STARTED, .pid = s->pid, .when_ns = s->started_ns});
}

static void settle_ended(struct rt_container *c, const struct rt_monitor_state *s) {
    now_running(c, s);
    rt_container_event(c, &(struct rt_event){.type = RT_EV_EXITED,
                                             .exit_code = s->exit_code,
                                             .oom_killed = s->oom_killed != 0,
                                             .when_ns = s->finished_ns});
}

static void settle(struct rt_container *c) {
    struct rt_status was = rt_container_status(c);
    struct rt_monitor_state s;
    struct bh_err err = BH_ERR_INIT;

    if (was.state == RT_REMOVING) /* a removal that was cut short: recover_one finishes it */
        rt_container_event(c, &(struct rt_event){.type = RT_EV_REMOVE_FAILED, .text = "its removal was interrupted"});
    else if (rt_monitor_ask(c->room->monitors, c->id, &s, &err) == 0 && s.phase != RT_MONITOR_EXITED) {
        now_running(c, &s);
        if (rt_listen(c, &err) == 0)
            return;
        bh_log_err("monitor-connect", &err);
    }
    if (rt_read_exit(c, &s) &&
        (rt_status_running(&was) ? s.started_ns >= was.started_ns : s.finished_ns > was.finished_ns))
        settle_ended(c, &s);
    else
        rt_container_event(c, &(struct rt_event){.type = RT_EV_LOST,
                                                 .when_ns = bh_now_ns(),
                                                 .text = "the monitor is gone and left no exit code"});
}

static void remove_job(void *room, void *arg) {
    struct rt_container *c = arg;

    (void)room;
    rt_auto_remove(c);
    rt_container_unref(c);
}

static void lost_job(void *room, void *arg) {
    struct rt_container *c = arg;

    (void)room;
    rt_end_unwatched(c);
    rt_container_unref(c);
}

/* A commit that was cut short has left its container frozen, where not even SIGKILL ends it; a pause may have been cut
 * short before it was. */
static void freeze_job(void *room, void *arg) {
    struct rt_container *c = arg;
    struct bh_err err = BH_ERR_INIT;

    (void)room;
    if (rt_freeze(c, rt_container_status(c).state == RT_PAUSED, &err) != 0 && err.code != BH_E_NOT_FOUND &&
        err.code != BH_E_CONFLICT)
        bh_log_err("freeze", &err);
    rt_container_unref(c);
}

static void recover_one(struct rt_room *room, struct rt_container *c) {
    struct rt_status was = rt_container_status(c), now;
    struct bh_err err = BH_ERR_INIT;

    settle(c);
    now = rt_container_status(c);
    rt_execs_recover(c);
    if (memcmp(&was, &now, sizeof was) != 0 && rt_db_set_status(room->db, c->id, &now, true, &err) != 0)
        bh_log_err("container-row", &err);
    if (rt_status_running(&was) && now.state == RT_EXITED && now.exit_code == RT_EXIT_LOST)
        rt_work_add(room->work, lost_job, rt_container_ref(c));
    if (rt_status_running(&now))
        rt_work_add(room->work, freeze_job, rt_container_ref(c));
    if (was.state == RT_REMOVING || (c->auto_remove && (now.state == RT_EXITED || now.state == RT_DEAD)))
        rt_work_add(room->work, remove_job, rt_container_ref(c));
}

int rt_recover(struct rt_room *room, struct bh_err *err) {
    const struct rt_caller everybody = {.admin = true};
    struct rt_container **list = NULL;
    size_t n = 0;

    if (rt_db_load(room->db, load_row, room, err) != 0)
        return err->code;
    rt_table_list(room->table, &everybody, &list, &n);
    for (size_t i = 0; i < n; i++)
        recover_one(room, list[i]);
    rt_table_list_free(list, n);
    rt_steps_recover(room);
    rt_sync_later(room);
    return 0;
}

/* ---- the store's list ------------------------------------------------------------------------ */

static int sync_now(struct rt_room *room, struct bh_err *err) {
    const struct rt_caller everybody = {.admin = true};
    struct rt_container **list = NULL;
    struct rt_note *notes;
    char(*names)[RT_NAME_SIZE];
    size_t n = 0;
    int r;

    rt_table_list(room->table, &everybody, &list, &n);
    notes = bh_xcalloc(n + 1, sizeof *notes);
    names = bh_xcalloc(n + 1, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        struct rt_status s = rt_container_status(list[i]);

        rt_table_name(room->table, list[i], names[i]);
        notes[i] = (struct rt_note){.id = list[i]->id,
                                    .name = names[i],
                                    .image_id = list[i]->image_id,
                                    .owner = list[i]->owner,
                                    .running = rt_status_running(&s)};
    }
    r = rt_store_sync(room->store, notes, n, err);
    free(notes);
    free(names);
    rt_table_list_free(list, n);
    return r;
}

static void sync_job(void *arg, void *unused) {
    struct rt_room *room = arg;
    struct bh_err err = BH_ERR_INIT;

    (void)unused;
    atomic_store(&room->syncing, false); /* a change from here on asks for another round */
    if (sync_now(room, &err) == 0)
        return;
    bh_log_err("container-sync", &err);
    sleep(1);
    rt_sync_later(room);
}

void rt_sync_later(struct rt_room *room) {
    if (!atomic_exchange(&room->syncing, true))
        rt_work_add(room->work, sync_job, NULL);
}
