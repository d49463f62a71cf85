/*
 * stop.c - signals to a container: kill, stop, restart.
 *
 * Room: runtime.  launch delivers the signals; that the process is gone is what the monitor tells.
 */
#include <limits.h>

#include "base/mem.h"
#include "svc-runtime/room.h"
#include "svc-runtime/signal_name.h"

#define SIG_KILL     9
#define KILL_WAIT_MS 10000 /* for the end after SIGKILL: the kernel may have to finish i/o first */

int rt_signal(struct rt_container *c, int number, struct bh_err *err) {
    struct rt_launch_request req;
    struct rt_status s = rt_container_status(c);

    if (!rt_status_running(&s))
        return rt_not_running(c, err);
    rt_launch_request_init(&req, RT_LAUNCH_SIGNAL, c->id);
    req.arg = number;
    if (number == SIG_KILL)
        atomic_store(&c->killed, true); /* before it is sent: pause.c looks behind its freezing */
    if (rt_launch_call(c->room->launch, &req, NULL, 0, NULL, err) == 0) {
        rt_wake(c);
        return 0;
    }
    if (err->code == BH_E_NOT_FOUND) { /* it has ended this moment, the monitor will tell */
        bh_err_clear(err);
        return rt_not_running(c, err);
    }
    return err->code;
}

void rt_end_unwatched(struct rt_container *c) {
    struct bh_err ignored = BH_ERR_INIT; /* it may have ended long ago */
    struct rt_launch_request req;

    rt_launch_request_init(&req, RT_LAUNCH_SIGNAL, c->id);
    req.arg = SIG_KILL;
    rt_launch_call(c->room->launch, &req, NULL, 0, NULL, &ignored);
    bh_err_clear(&ignored);
    rt_freeze(c, false, &ignored); /* it may have been paused, where not even SIGKILL ends it */
}

int rt_kill(struct rt_container *c, const char *text, const char *signal, int cancel_fd, struct bh_err *err) {
    int number = SIG_KILL;

    if (*signal != 0 && rt_signal_parse(signal, &number, err) != 0)
        return err->code;
    if (rt_signal(c, number, err) != 0)
        return bh_err_prefix(err, "cannot kill container: %s", text);
    if (number == SIG_KILL && rt_wait_stopped(c, KILL_WAIT_MS, cancel_fd, err) != 0)
        return bh_err_prefix(err, "container %s does not end after SIGKILL", c->id);
    return 0;
}

/* It may end by itself between two steps: that is what was wanted. */
static int signal_if_running(struct rt_container *c, int number, struct bh_err *err) {
    if (rt_signal(c, number, err) == 0)
        return 0;
    if (err->code != BH_E_CONFLICT)
        return err->code;
    bh_err_clear(err);
    return 0;
}

static int to_ms(int seconds) {
    return seconds < 0 ? -1 : seconds > INT_MAX / 1000 ? INT_MAX : seconds * 1000;
}

int rt_stop(struct rt_container *c, const struct rt_stop_how *how, int cancel_fd, bool *out_was_running,
            struct bh_err *err) {
    struct rt_status s;
    int number = c->stop_signal;
    int timeout = how->timeout_set ? how->timeout : c->stop_timeout;

    if (*how->signal != 0 && rt_signal_parse(how->signal, &number, err) != 0)
        return err->code;
    pthread_mutex_lock(&c->op); /* a start under way comes to its end first */
    s = rt_container_status(c);
    pthread_mutex_unlock(&c->op);
    *out_was_running = rt_status_running(&s);
    if (!*out_was_running)
        return 0;
    if (signal_if_running(c, number, err) != 0)
        return err->code;
    if (rt_wait_stopped(c, to_ms(timeout), cancel_fd, err) == 0)
        return 0;
    if (err->code != BH_E_DEADLINE)
        return err->code;
    bh_err_clear(err);
    if (signal_if_running(c, SIG_KILL, err) != 0)
        return err->code;
    if (rt_wait_stopped(c, KILL_WAIT_MS, cancel_fd, err) != 0)
        return bh_err_prefix(err, "container %s does not end after SIGKILL", c->id);
    return 0;
}

static void set_keep(struct rt_container *c, bool keep) {
    pthread_mutex_lock(&c->state.lock);
    c->keep = keep;
    pthread_mutex_unlock(&c->state.lock);
}

int rt_restart(struct rt_container *c, const struct rt_stop_how *how, int cancel_fd, struct bh_err *err) {
    const struct rt_stdio none = {0};
    bool was_running = false;
    int r;

    set_keep(c, true);
    r = rt_stop(c, how, cancel_fd, &was_running, err);
    if (r == 0)
        r = rt_start(c, &none, err);
    set_keep(c, false);
    return r;
}
