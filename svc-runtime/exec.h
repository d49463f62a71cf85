/*
 * exec.h - sessions: further processes in a running container.
 *
 * Room: runtime.  A session has an id of its own, a monitor of its own and ends with its process or
 * its container.  Ended ones are remembered for a while, so that a late wait gets the code.
 */
#ifndef RT_EXEC_H
#define RT_EXEC_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "oci/types.h"
#include "svc-runtime/request.h"
#include "wire/launch_wire.h"

struct rt_room;
struct rt_container;
struct rt_execs;
struct rt_exec;
struct rt_stdio;

struct rt_execs *rt_execs_new(void);
/* Finds the sessions of a container again, after a restart of the room: those that run, and the ends that nobody has
 * fetched. */
void rt_execs_recover(struct rt_container *c);

/* A new reference to the session; *out_pid in the host's numbers. */
int rt_exec_start(struct rt_container *c, const struct rt_caller *who, const struct rt_exec_request *req,
                  const struct rt_stdio *stdio, struct bh_arena *arena, struct rt_exec **out, int32_t *out_pid,
                  struct bh_err *err);
const char *rt_exec_id(const struct rt_exec *x);
void rt_exec_unref(struct rt_exec *x);
/* BH_E_NOT_FOUND, "No such exec instance: X", also for another user's. */
int rt_exec_find(struct rt_room *room, const struct rt_caller *who, const char *id, struct rt_exec **out,
                 struct bh_err *err);
int rt_exec_wait(struct rt_exec *x, int cancel_fd, int32_t *out_code, struct bh_err *err);
int rt_exec_resize(struct rt_exec *x, unsigned rows, unsigned cols, struct bh_err *err);
int rt_exec_close_stdin(struct rt_exec *x, struct bh_err *err);
/* Ids of the sessions of a container that run. */
int rt_exec_list(struct rt_container *c, struct bh_arena *arena, struct bh_strlist *out, struct bh_err *err);

#endif
