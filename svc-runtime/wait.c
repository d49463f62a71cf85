/*
 * wait.c - waiting for a container's end or removal.
 *
 * Room: runtime.  A container that was removed while its caller was on the way here (a short
 * `run --rm`) is still known by its id for a while: see the graves in table.c.
 */
#include <string.h>

#include "svc-runtime/room.h"

struct until {
    struct rt_container *c;
    uint64_t exits; /* more than so many */
};

/* `run --rm` asks for the end; what it does next (the same name again, rmi of the image) needs the
 * container to be gone. */
static bool settled(void *arg) {
    const struct until *u = arg;
    const struct rt_container *c = u->c;
    bool goes = c->auto_remove && !c->keep && c->status.started_ns != 0 && c->status.state != RT_DEAD;

    return c->removed || (!rt_status_running(&c->status) && !goes);
}

static bool stopped(void *arg) {
    const struct until *u = arg;

    return u->c->removed || !rt_status_running(&u->c->status);
}

static bool ended_again(void *arg) {
    const struct until *u = arg;

    return u->c->removed || u->c->exits > u->exits;
}

static bool removed(void *arg) {
    const struct until *u = arg;

    return u->c->removed;
}

int rt_wait_stopped(struct rt_container *c, int timeout_ms, int cancel_fd, struct bh_err *err) {
    struct until u = {.c = c};

    return rt_waitq_wait(&c->state, stopped, &u, timeout_ms, cancel_fd, err);
}

static int pick(const char *condition, bool (**out)(void *), struct bh_err *err) {
    if (*condition == 0 || strcmp(condition, "not-running") == 0)
        *out = settled;
    else if (strcmp(condition, "next-exit") == 0)
        *out = ended_again;
    else if (strcmp(condition, "removed") == 0)
        *out = removed;
    else
        return bh_err_set(err, BH_E_INVALID, "invalid condition: \"%s\"", condition);
    return 0;
}

int rt_wait(struct rt_room *room, const struct rt_caller *who, const char *text, const char *condition, int cancel_fd,
            struct rt_status *out, struct bh_err *err) {
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;
    bool (*pred)(void *) = NULL;
    struct until u = {0};

    if (pick(condition, &pred, err) != 0)
        return err->code;
    if (rt_table_find(room->table, who, text, &c, err) != 0) {
        if (!rt_table_grave(room->table, who, text, out))
            return err->code;
        bh_err_clear(err);
        return 0;
    }
    u.c = c;
    pthread_mutex_lock(&c->state.lock);
    u.exits = c->exits;
    pthread_mutex_unlock(&c->state.lock);
    if (rt_waitq_wait(&c->state, pred, &u, -1, cancel_fd, err) != 0)
        return err->code;
    *out = rt_container_status(c);
    return 0;
}
