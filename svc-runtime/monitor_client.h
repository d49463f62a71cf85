/*
 * monitor_client.h - listening to the monitors of running containers and exec sessions.
 *
 * Room: runtime.  A monitor is of our build but holds a container's stdio: its messages are measured
 * before they are believed.  One thread polls all connections and tells the owner of each.
 */
#ifndef RT_MONITOR_CLIENT_H
#define RT_MONITOR_CLIENT_H

#include "base/err.h"
#include "wire/monitor_wire.h"

struct rt_monitors;
struct rt_watch; /* one connection; shared by reference */

/* Called from the polling thread; must not block.  state NULL: the monitor has gone without telling
 * an end.  Nothing is called after EXITED or NULL. */
typedef void rt_monitor_event(void *arg, const struct rt_monitor_state *state);

/* dir: where the sockets lie, "/run/monitor". */
int rt_monitors_new(const char *dir, struct rt_monitors **out, struct bh_err *err);

/* exec_id "" for the container itself.  BH_E_NOT_FOUND: nobody listens (any more). */
int rt_watch_open(struct rt_monitors *m, const char *id, const char *exec_id, rt_monitor_event *event, void *arg,
                  struct rt_watch **out, struct bh_err *err);
/* The present state, by a connection of its own, within 2 s; for a start of the room. */
int rt_monitor_ask(struct rt_monitors *m, const char *id, struct rt_monitor_state *out, struct bh_err *err);
/* One reference less; the connection ends with its last. */
void rt_watch_unref(struct rt_watch *w);
struct rt_watch *rt_watch_ref(struct rt_watch *w);

/* stdio bits tell which descriptors fds[] has, in the order stdin, stdout, stderr. */
int rt_watch_attach(struct rt_watch *w, unsigned stdio, const int *fds, unsigned n_fds, struct bh_err *err);
int rt_watch_resize(struct rt_watch *w, unsigned rows, unsigned cols, struct bh_err *err);
int rt_watch_close_stdin(struct rt_watch *w, struct bh_err *err);

#endif
