/*
 * methods.h - the handlers of the runtime service, by file, and its table.
 *
 * Room: runtime.  Handlers make one conversion, message to plain values and back; what happens is
 * told in room.h.
 */
#ifndef RT_METHODS_H
#define RT_METHODS_H

#include "rpc/method.h"
#include "svc-runtime/room.h"

extern const struct bh_service rt_service;

/* container_rpc.c */
bh_handler rt_rpc_create, rt_rpc_start, rt_rpc_wait, rt_rpc_stop, rt_rpc_restart, rt_rpc_kill, rt_rpc_pause,
    rt_rpc_unpause, rt_rpc_remove, rt_rpc_rename, rt_rpc_resize, rt_rpc_prune;
/* list_rpc.c */
bh_handler rt_rpc_list, rt_rpc_inspect;
/* stream_rpc.c */
bh_handler rt_rpc_attach, rt_rpc_exec, rt_rpc_exec_wait, rt_rpc_exec_resize;
/* files_rpc.c */
bh_handler rt_rpc_logs, rt_rpc_commit, rt_rpc_diff, rt_rpc_export;
/* step_rpc.c */
bh_handler rt_rpc_step;
/* system_rpc.c */
bh_handler rt_rpc_rooms, rt_rpc_info;

/* ---- for the *_rpc.c files ---- */
#define RT_CALL_ARENA ((size_t)64 << 20) /* ceiling of what one call may take beside its request */

struct rt_caller rt_caller_of(const struct bh_call *call);
int rt_find(struct rt_room *room, struct bh_call *call, const char *text, struct rt_container **out,
            struct bh_err *err);
/* Takes the descriptors that came beside the call; bits must tell as many.  Close with rt_stdio_close. */
int rt_take_stdio(struct bh_call *call, unsigned bits, struct rt_stdio *out, struct bh_err *err);
void rt_stdio_close(struct rt_stdio *stdio);

#endif
