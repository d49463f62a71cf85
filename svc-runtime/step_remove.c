/*
 * step_remove.c - ending and removing the containers of RUN steps, also those of a room that died.
 *
 * Room: runtime.  A step has no row, so the folder that its monitor wrote into is what tells of it: one
 * that no container of ours has belongs to a step nobody waits for any more.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "svc-runtime/room.h"

#define SIG_KILL 9
#define TRIES    100
#define PAUSE_US 20000

int rt_step_kill(struct rt_room *room, const char *id, struct bh_err *err) {
    struct rt_launch_request req;

    rt_launch_request_init(&req, RT_LAUNCH_SIGNAL, id);
    req.arg = SIG_KILL;
    return rt_launch_call(room->launch, &req, NULL, 0, NULL, err);
}

static int delete (struct rt_room *room, const char *id, struct bh_err *err) {
    struct rt_launch_request req;

    rt_launch_request_init(&req, RT_LAUNCH_DELETE, id);
    return rt_launch_call(room->launch, &req, NULL, 0, NULL, err);
}

/* One that runs after all is ended first: nobody is there to see what it does. */
static void remove_job(void *arg, void *take_id) {
    BH_SCOPE_FREE char *id = take_id;
    struct rt_room *room = arg;
    struct bh_err err = BH_ERR_INIT, ignored = BH_ERR_INIT;

    for (int i = 0; delete (room, id, &err) != 0 && err.code == BH_E_CONFLICT && i < TRIES; i++) {
        bh_err_clear(&err);
        bh_err_clear(&ignored);
        rt_step_kill(room, id, &ignored);
        usleep(PAUSE_US);
    }
    if (err.code != 0 && err.code != BH_E_NOT_FOUND)
        bh_log_err("step-remove", &err);
}

void rt_step_remove_later(struct rt_room *room, const char *id) {
    rt_work_add(room->work, remove_job, bh_xstrdup(id));
}

static bool is_id(const char *name) {
    return strlen(name) == RT_ID_SIZE - 1 && name[strspn(name, "0123456789abcdef")] == 0;
}

void rt_steps_recover(struct rt_room *room) {
    const struct rt_caller everybody = {.admin = true};
    BH_SCOPE_DIR DIR *d = bh_dir_open(room->monitor_dir, ".");

    for (struct dirent *e; (e = bh_dir_next(d)) != NULL;) {
        RT_SCOPE_CONTAINER struct rt_container *c = NULL;
        struct bh_err none = BH_ERR_INIT;

        if (is_id(e->d_name) && rt_table_find(room->table, &everybody, e->d_name, &c, &none) == BH_E_NOT_FOUND)
            rt_step_remove_later(room, e->d_name);
    }
}
