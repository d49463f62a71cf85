/*
 * remove.c - rm, --rm, prune, rename.
 *
 * Room: runtime.  Order of a removal: launch frees the files and the id range, then the row goes,
 * then the store's note.  A death in between leaves a row whose files are gone; removing it again
 * works, because launch does not mind a container that it does not know.  With --rm nobody shall
 * wait for the files: the container is out of sight first, its row says "removing" until they are gone.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "svc-runtime/room.h"

#define SIG_KILL      9
#define KILL_WAIT_MS  10000
#define LOST_TRIES    40
#define LOST_PAUSE_US 50000

static int refuse_running(const struct rt_container *c, const struct rt_status *s, const char *name,
                          struct bh_err *err) {
    if (s->state == RT_PAUSED)
        bh_err_set(err, BH_E_CONFLICT, "cannot remove container \"%s\": container is paused and must be unpaused first",
                   name);
    else
        bh_err_set(err, BH_E_CONFLICT,
                   "cannot remove container \"%s\": container is %s: stop the container before removing or force "
                   "remove",
                   name, rt_state_name(s->state));
    (void)c;
    return bh_err_reason(err, "container-running");
}

static int make_stopped(struct rt_container *c, bool force, struct bh_err *err) {
    struct rt_status s = rt_container_status(c);
    char name[RT_NAME_SIZE];

    if (!rt_status_running(&s))
        return 0;
    rt_table_name(c->room->table, c, name);
    if (!force)
        return refuse_running(c, &s, name, err);
    if (rt_signal(c, SIG_KILL, err) != 0) {
        if (err->code != BH_E_CONFLICT)
            return err->code;
        bh_err_clear(err);
    }
    if (rt_wait_stopped(c, KILL_WAIT_MS, -1, err) != 0)
        return bh_err_prefix(err, "container %s does not end after SIGKILL", c->id);
    return 0;
}

static int ask_delete(struct rt_container *c, struct bh_err *err) {
    struct rt_launch_request req;

    rt_launch_request_init(&req, RT_LAUNCH_DELETE, c->id);
    rt_container_oci(c, &req);
    return rt_launch_call(c->room->launch, &req, NULL, 0, NULL, err);
}

static int free_files(struct rt_container *c, struct bh_err *err) {
    if (ask_delete(c, err) == 0)
        return 0;
    for (int i = 0; i < LOST_TRIES && err->code == BH_E_CONFLICT; i++) { /* its monitor was killed, it was not */
        bh_err_clear(err);
        rt_end_unwatched(c);
        usleep(LOST_PAUSE_US);
        if (ask_delete(c, err) == 0)
            return 0;
    }
    if (err->code != BH_E_NOT_FOUND)
        return err->code;
    bh_err_clear(err); /* it was never started */
    return 0;
}

static void forget_in_store(struct rt_container *c) {
    struct bh_err err = BH_ERR_INIT;

    pthread_mutex_lock(&c->note);
    if (rt_store_forget(c->room->store, c->id, &err) != 0) {
        bh_log_err("container-forget", &err);
        rt_sync_later(c->room);
    }
    pthread_mutex_unlock(&c->note);
}

/* The store is told before those who wait: they may ask for `rmi` of the image at once. */
static void out_of_sight(struct rt_container *c) {
    rt_table_bury(c->room->table, c);
    rt_table_remove(c->room->table, c);
    forget_in_store(c);
    pthread_mutex_lock(&c->state.lock);
    c->removed = true;
    rt_waitq_wake(&c->state);
    pthread_mutex_unlock(&c->state.lock);
}

static int free_all(struct rt_container *c, struct bh_err *err) {
    return free_files(c, err) != 0 ? err->code : rt_db_delete(c->room->db, c->id, err);
}

static int begin_removal(struct rt_container *c, bool force, struct bh_err *err) {
    bool removed;

    pthread_mutex_lock(&c->state.lock);
    removed = c->removed;
    pthread_mutex_unlock(&c->state.lock);
    if (removed) {
        bh_err_set(err, BH_E_NOT_FOUND, "No such container: %s", c->id);
        return bh_err_reason(err, "no-such-container");
    }
    if (make_stopped(c, force, err) != 0)
        return err->code;
    if (!rt_container_event(c, &(struct rt_event){.type = RT_EV_REMOVING}))
        return bh_err_set(err, BH_E_CONFLICT, "removal of container %s is already in progress", c->id);
    return 0;
}

/* The row says "removing" before anything is gone: a start of the room in between finishes it, and
 * nobody can start a container whose files are half there. */
static int mark_removing(struct rt_container *c, struct bh_err *err) {
    struct rt_status status = rt_container_status(c);

    return rt_db_set_status(c->room->db, c->id, &status, false, err);
}

/* When it is launch that has gone, this room is about to start anew with it and will finish. */
static int removal_failed(struct rt_container *c, const struct bh_err *err) {
    rt_container_event(c, &(struct rt_event){.type = RT_EV_REMOVE_FAILED, .text = err->msg});
    if (err->code != BH_E_UNAVAILABLE)
        rt_save_later(c);
    return err->code;
}

static int remove_locked(struct rt_container *c, bool force, struct bh_err *err) {
    if (begin_removal(c, force, err) != 0)
        return err->code;
    if (mark_removing(c, err) != 0 || free_all(c, err) != 0)
        return removal_failed(c, err);
    out_of_sight(c);
    return 0;
}

int rt_remove(struct rt_container *c, bool force, struct bh_err *err) {
    int r;

    pthread_mutex_lock(&c->op);
    r = remove_locked(c, force, err);
    pthread_mutex_unlock(&c->op);
    return r;
}

/* Its client sees the end before the files have gone, and may take the name for the next container at once: the row has
 * the id for a name meanwhile.  Should the files not go, it stays and the next start of the room tries again. */
static int auto_remove_locked(struct rt_container *c, struct bh_err *err) {
    if (begin_removal(c, false, err) != 0)
        return err->code;
    if (mark_removing(c, err) != 0 || rt_db_rename(c->room->db, c->id, c->id, false, err) != 0)
        return removal_failed(c, err);
    out_of_sight(c);
    return free_all(c, err);
}

void rt_auto_remove(struct rt_container *c) {
    struct bh_err err = BH_ERR_INIT;

    pthread_mutex_lock(&c->op);
    if (auto_remove_locked(c, &err) != 0 && err.code != BH_E_NOT_FOUND && err.code != BH_E_CONFLICT)
        bh_log_err("auto-remove", &err);
    pthread_mutex_unlock(&c->op);
}

/* ---- prune --------------------------------------------------------------------------------- */

static bool may_prune(const struct rt_status *s) {
    return s->state == RT_CREATED || s->state == RT_EXITED || s->state == RT_DEAD;
}

/* A container that was started or is removed in between stays out of the result; that is no error. */
static int prune_one(struct rt_item *it, struct bh_arena *arena, struct bh_strlist *ids, uint64_t *bytes,
                     struct bh_err *err) {
    struct bh_err mine = BH_ERR_INIT;
    uint64_t size = 0;

    if (it->status.started_ns != 0 && rt_tree_size(it->c, &size, &mine) != 0)
        size = 0;
    bh_err_clear(&mine);
    if (rt_remove(it->c, false, &mine) == 0) {
        *bytes += size;
        return bh_strlist_add(ids, arena, it->c->id, err);
    }
    if (mine.code == BH_E_CONFLICT || mine.code == BH_E_NOT_FOUND)
        return 0;
    *err = mine;
    return mine.code;
}

int rt_prune(struct rt_room *room, const struct rt_caller *who, const struct bh_pair *filters, size_t n,
             struct bh_arena *arena, struct bh_strlist *out_ids, uint64_t *out_bytes, struct bh_err *err) {
    struct rt_filter f = {0};
    struct rt_item *items = NULL;
    size_t count = 0;
    int r;

    *out_ids = (struct bh_strlist){0};
    *out_bytes = 0;
    if (rt_filter_parse(filters, n, RT_FILTER_PRUNE, bh_now_ns(), arena, &f, err) != 0)
        return err->code;
    r = rt_select(room, who, &f, arena, &items, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        if (may_prune(&items[i].status))
            r = prune_one(&items[i], arena, out_ids, out_bytes, err);
    rt_items_free(items, count);
    rt_filter_fini(&f);
    return r;
}

/* ---- rename -------------------------------------------------------------------------------- */

static int rename_locked(struct rt_container *c, const char *name, struct bh_err *err) {
    char old[RT_NAME_SIZE];
    struct bh_err undo = BH_ERR_INIT;

    rt_table_name(c->room->table, c, old);
    if (strcmp(old, name) == 0)
        return bh_err_set(err, BH_E_INVALID, "Renaming a container with the same name as its current name");
    if (rt_table_rename(c->room->table, c, name, err) != 0)
        return err->code;
    if (rt_db_rename(c->room->db, c->id, name, true, err) == 0)
        return 0;
    if (rt_table_rename(c->room->table, c, old, &undo) != 0)
        bh_log_err("rename-undo", &undo);
    return err->code;
}

int rt_rename(struct rt_container *c, const char *name, struct bh_err *err) {
    const char *clean = NULL;
    int r;

    if (*name == 0)
        return bh_err_set(err, BH_E_INVALID, "Neither old nor new names may be empty");
    if (rt_name_check(name, &clean, err) != 0)
        return err->code;
    pthread_mutex_lock(&c->op);
    r = rename_locked(c, clean, err);
    pthread_mutex_unlock(&c->op);
    if (r == 0)
        rt_save_later(c);
    return r;
}
