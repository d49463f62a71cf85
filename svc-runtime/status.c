/*
 * status.c - which state of a container follows which, see status.h.
 *
 * Room: runtime.  Events come from launch and monitors, which may tell late or twice: what does not
 * fit the state is refused and changes nothing.
 */
#include "svc-runtime/status.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const char *const state_names[] = {"created", "running", "paused", "exited", "dead", "removing"};

const char *rt_state_name(enum rt_state state) {
    return (unsigned)state < BH_ARRAY_LEN(state_names) ? state_names[state] : "dead";
}

bool rt_state_word(const char *word) {
    for (size_t i = 0; i < BH_ARRAY_LEN(state_names); i++)
        if (strcmp(word, state_names[i]) == 0)
            return true;
    return strcmp(word, "restarting") == 0;
}

bool rt_status_running(const struct rt_status *s) {
    return s->state == RT_RUNNING || s->state == RT_PAUSED;
}

static void set_error(struct rt_status *s, const char *text) {
    text = text != NULL ? text : "";
    if (!bh_str_copy(s->error, sizeof s->error, text))
        bh_str_copy_n(s->error, sizeof s->error, text, sizeof s->error - 1);
}

static bool started(struct rt_status *s, const struct rt_event *e) {
    if (s->state != RT_CREATED && s->state != RT_EXITED)
        return false;
    s->state = RT_RUNNING;
    s->pid = e->pid;
    s->exit_code = 0;
    s->oom_killed = false;
    s->started_ns = e->when_ns;
    s->finished_ns = 0;
    s->id_base = e->id_base;
    set_error(s, "");
    return true;
}

/* A container that could not be started keeps its state; docker shows the code and the error. */
static bool start_failed(struct rt_status *s, const struct rt_event *e) {
    if (s->state != RT_CREATED && s->state != RT_EXITED)
        return false;
    s->exit_code = e->exit_code;
    set_error(s, e->text);
    return true;
}

static bool ended(struct rt_status *s, const struct rt_event *e, int32_t code) {
    if (!rt_status_running(s))
        return false;
    s->state = RT_EXITED;
    s->pid = 0;
    s->exit_code = code;
    s->oom_killed = e->oom_killed;
    s->finished_ns = e->when_ns;
    set_error(s, e->text);
    return true;
}

static bool moved(struct rt_status *s, enum rt_state from, enum rt_state to) {
    if (s->state != from)
        return false;
    s->state = to;
    return true;
}

bool rt_status_apply(struct rt_status *s, const struct rt_event *e) {
    switch (e->type) {
    case RT_EV_STARTED:
        return started(s, e);
    case RT_EV_START_FAILED:
        return start_failed(s, e);
    case RT_EV_EXITED:
        return ended(s, e, e->exit_code);
    case RT_EV_LOST:
        return ended(s, e, RT_EXIT_LOST);
    case RT_EV_PAUSED:
        return moved(s, RT_RUNNING, RT_PAUSED);
    case RT_EV_UNPAUSED:
        return moved(s, RT_PAUSED, RT_RUNNING);
    case RT_EV_REMOVING:
        if (rt_status_running(s) || s->state == RT_REMOVING)
            return false;
        s->state = RT_REMOVING;
        return true;
    case RT_EV_REMOVE_FAILED:
        if (s->state != RT_REMOVING)
            return false;
        s->state = RT_DEAD;
        set_error(s, e->text);
        return true;
    }
    return false;
}
