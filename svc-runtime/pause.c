/*
 * pause.c - the processes of a container stand still and go on: pause, unpause, and what ends a pause.
 *
 * Room: runtime.  launch freezes; the state is ours and in the row, so that recover.c freezes again what a death has
 * left in between.  A signal comes from any thread, without the lock `op`: the state is changed first and the
 * processes follow it, and who has frozen them looks once more whether they still should be.
 */
#include "base/log.h"
#include "base/mem.h"
#include "svc-runtime/room.h"

int rt_freeze(struct rt_container *c, bool on, struct bh_err *err) {
    struct rt_launch_request req;

    rt_launch_request_init(&req, RT_LAUNCH_FREEZE, c->id);
    req.arg = on;
    return rt_launch_call(c->room->launch, &req, NULL, 0, NULL, err);
}

static void go_on(struct rt_container *c) {
    struct bh_err err = BH_ERR_INIT;

    if (rt_freeze(c, false, &err) != 0 && err.code != BH_E_NOT_FOUND && err.code != BH_E_CONFLICT)
        bh_log_err("thaw", &err);
}

static int pause_locked(struct rt_container *c, struct bh_err *err) {
    struct rt_status s = rt_container_status(c);

    if (s.state == RT_PAUSED)
        return bh_err_set(err, BH_E_CONFLICT, "Container %s is already paused", c->id);
    if (!rt_container_event(c, &(struct rt_event){.type = RT_EV_PAUSED}))
        return rt_not_running(c, err);
    if (rt_freeze(c, true, err) != 0) {
        rt_container_event(c, &(struct rt_event){.type = RT_EV_UNPAUSED});
        return bh_err_prefix(err, "cannot pause container %s", c->id);
    }
    if (atomic_load(&c->killed)) { /* the signal may wait behind the freezing */
        rt_wake(c);
        return rt_not_running(c, err);
    }
    if (rt_container_status(c).state != RT_PAUSED)
        go_on(c); /* a signal came in between */
    rt_note_now(c);
    return 0;
}

int rt_pause(struct rt_container *c, struct bh_err *err) {
    int r;

    pthread_mutex_lock(&c->op);
    r = pause_locked(c, err);
    pthread_mutex_unlock(&c->op);
    return r;
}

static int unpause_locked(struct rt_container *c, struct bh_err *err) {
    if (rt_container_status(c).state != RT_PAUSED)
        return bh_err_set(err, BH_E_CONFLICT, "Container %s is not paused", c->id);
    if (rt_freeze(c, false, err) != 0)
        return bh_err_prefix(err, "cannot unpause container %s", c->id);
    rt_container_event(c, &(struct rt_event){.type = RT_EV_UNPAUSED}); /* or it has ended by now */
    rt_note_now(c);
    return 0;
}

int rt_unpause(struct rt_container *c, struct bh_err *err) {
    int r;

    pthread_mutex_lock(&c->op);
    r = unpause_locked(c, err);
    pthread_mutex_unlock(&c->op);
    return r;
}

void rt_wake(struct rt_container *c) {
    if (!rt_container_event(c, &(struct rt_event){.type = RT_EV_UNPAUSED}))
        return;
    go_on(c);
    rt_note_now(c);
}
