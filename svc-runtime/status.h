/*
 * status.h - the state of a container and what may follow what.
 *
 * Room: runtime.  Pure: no clock, no lock.  container.h holds one of these per container.
 */
#ifndef RT_STATUS_H
#define RT_STATUS_H

#include <stdbool.h>
#include <stdint.h>

enum rt_state { RT_CREATED = 0, RT_RUNNING = 1, RT_PAUSED = 2, RT_EXITED = 3, RT_DEAD = 4, RT_REMOVING = 5 };

#define RT_EXIT_LOST 255 /* docker's number for "nobody knows" */

struct rt_status {
    enum rt_state state;
    int32_t pid; /* host's numbers; 0 unless running */
    int32_t exit_code;
    char error[256]; /* why the last start failed, or the end is not known */
    int64_t started_ns, finished_ns;
    bool oom_killed;
    uint32_t restarts;
    uint64_t id_base; /* first host id of the container's range; 0: none */
};

enum rt_event_type {
    RT_EV_STARTED,      /* pid, when_ns, id_base */
    RT_EV_START_FAILED, /* exit_code, text */
    RT_EV_EXITED,       /* exit_code, when_ns, started_ns, oom_killed */
    RT_EV_LOST,         /* text, when_ns: it is not there any more and left no exit */
    RT_EV_PAUSED,
    RT_EV_UNPAUSED,
    RT_EV_REMOVING,
    RT_EV_REMOVE_FAILED, /* text */
};

struct rt_event {
    enum rt_event_type type;
    int32_t pid;
    int32_t exit_code;
    bool oom_killed;
    int64_t when_ns;
    uint64_t id_base;
    const char *text;
};

/* False, and *s untouched, when the event cannot happen in this state. */
bool rt_status_apply(struct rt_status *s, const struct rt_event *e);
bool rt_status_running(const struct rt_status *s); /* also while paused */
const char *rt_state_name(enum rt_state state);
/* false: no such word.  "restarting" is known as a word and never a state here. */
bool rt_state_word(const char *word);

#endif
