/*
 * container_rpc.c - handlers: the life of a container.
 *
 * Room: runtime.  Foreign: the requests.  Each handler converts, calls the room, converts back.
 */
#include <string.h>

#include "base/fdpass.h"
#include "base/mem.h"
#include "rpc/server.h"
#include "svc-runtime/convert_rpc.h"
#include "svc-runtime/methods.h"

struct rt_caller rt_caller_of(const struct bh_call *call) {
    const struct bh_peer *peer = bh_call_peer(call);

    return (struct rt_caller){.uid = peer->uid, .admin = (peer->roles & BH_ROLE_ADMIN) != 0};
}

int rt_find(struct rt_room *room, struct bh_call *call, const char *text, struct rt_container **out,
            struct bh_err *err) {
    struct rt_caller who = rt_caller_of(call);

    return rt_table_find(room->table, &who, text, out, err);
}

int rt_take_stdio(struct bh_call *call, unsigned bits, struct rt_stdio *out, struct bh_err *err) {
    *out = (struct rt_stdio){0};
    if (bits == 0 && !bh_call_wants_fds(call))
        return 0;
    if (bits > 7 || !bh_call_wants_fds(call))
        return bh_err_set(err, BH_E_INVALID, "stdio %u needs descriptors beside the call", bits);
    if (bh_call_take_fds(call, out->fds, 3, &out->n, err) != 0) {
        out->n = 0;
        return err->code;
    }
    out->bits = bits;
    if (out->n != (unsigned)__builtin_popcount(bits)) {
        bh_err_set(err, BH_E_INVALID, "stdio %u and %u descriptors do not fit", bits, out->n);
        rt_stdio_close(out);
        return err->code;
    }
    return 0;
}

void rt_stdio_close(struct rt_stdio *stdio) {
    bh_fdpass_close(stdio->fds, stdio->n);
    stdio->n = 0;
}

/* ---- create, start ----------------------------------------------------------------------------- */

static int pack_spec(const RT_MSG(ContainerSpec) * spec, struct bh_arena *arena, struct rt_blob *out,
                     struct bh_err *err) {
    size_t n = bulkhead__runtime__v1__container_spec__get_packed_size(spec);
    void *data = bh_oci_alloc(arena, n, err);

    if (data == NULL)
        return err->code;
    bulkhead__runtime__v1__container_spec__pack(spec, data);
    *out = (struct rt_blob){.data = data, .n = n};
    return 0;
}

static int create(struct rt_room *room, struct bh_call *call, const RT_MSG(ContainerCreateRequest) * msg,
                  struct bh_arena *arena, struct bh_err *err) {
    RT_MSG(ContainerCreateReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_CREATE_REPLY__INIT;
    RT_MSG(ContainerSpec) spec;
    RT_LIMITS limits;
    struct rt_caller who = rt_caller_of(call);
    struct rt_created made = {0};
    struct rt_request req;
    struct rt_blob packed;

    if (msg->spec == NULL)
        return bh_err_set(err, BH_E_INVALID, "a container needs a specification");
    if (rt_request_of(msg->spec, arena, &req, err) != 0 ||
        rt_host_limits(room, &req.limits, arena, &made.warnings, err) != 0)
        return err->code;
    rt_limits_msg(&req.limits, &limits);
    spec = *msg->spec;
    spec.limits = &limits; /* what is kept, for inspect, are those that hold */
    if (pack_spec(&spec, arena, &packed, err) != 0 ||
        rt_create(room, &who, msg->name, &req, packed, arena, &made, err) != 0)
        return err->code;
    reply.id = made.id;
    reply.warning = (char **)made.warnings.v;
    reply.n_warning = made.warnings.n;
    return bh_call_reply(call, &reply.base, err);
}

int rt_rpc_create(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, RT_CALL_ARENA);
    r = create(room, call, (const RT_MSG(ContainerCreateRequest) *)request, &arena, err);
    bh_arena_fini(&arena);
    return r;
}

int rt_rpc_start(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerStartRequest) *msg = (const RT_MSG(ContainerStartRequest) *)request;
    RT_MSG(ContainerStartReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_START_REPLY__INIT;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;
    struct rt_stdio stdio;
    int r;

    if (rt_find(room, call, msg->container, &c, err) != 0 || rt_take_stdio(call, msg->stdio, &stdio, err) != 0)
        return err->code;
    stdio.rows = msg->tty_rows;
    stdio.cols = msg->tty_cols;
    r = rt_start(c, &stdio, err);
    rt_stdio_close(&stdio);
    if (r != 0)
        return r;
    reply.id = c->id;
    return bh_call_reply(call, &reply.base, err);
}

/* ---- the end ----------------------------------------------------------------------------------- */

int rt_rpc_wait(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerWaitRequest) *msg = (const RT_MSG(ContainerWaitRequest) *)request;
    RT_MSG(ContainerWaitReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_WAIT_REPLY__INIT;
    struct rt_caller who = rt_caller_of(call);
    struct rt_status status;

    if (rt_wait(room, &who, msg->container, msg->condition, bh_call_cancel_fd(call), &status, err) != 0)
        return err->code;
    reply.exit_code = status.exit_code;
    reply.error = status.error;
    return bh_call_reply(call, &reply.base, err);
}

static struct rt_stop_how stop_how(const RT_MSG(ContainerStopRequest) * msg) {
    return (struct rt_stop_how){.timeout_set = msg->timeout_set, .timeout = msg->timeout, .signal = msg->signal};
}

int rt_rpc_stop(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerStopRequest) *msg = (const RT_MSG(ContainerStopRequest) *)request;
    RT_MSG(ContainerStopReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_STOP_REPLY__INIT;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;
    struct rt_stop_how how = stop_how(msg);
    bool was_running = false;

    if (rt_find(room, call, msg->container, &c, err) != 0 ||
        rt_stop(c, &how, bh_call_cancel_fd(call), &was_running, err) != 0)
        return err->code;
    reply.id = c->id;
    reply.was_running = was_running;
    return bh_call_reply(call, &reply.base, err);
}

int rt_rpc_restart(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerStopRequest) *msg = (const RT_MSG(ContainerStopRequest) *)request;
    RT_MSG(ContainerStopReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_STOP_REPLY__INIT;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;
    struct rt_stop_how how = stop_how(msg);

    if (rt_find(room, call, msg->container, &c, err) != 0 || rt_restart(c, &how, bh_call_cancel_fd(call), err) != 0)
        return err->code;
    reply.id = c->id;
    return bh_call_reply(call, &reply.base, err);
}

int rt_rpc_kill(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerKillRequest) *msg = (const RT_MSG(ContainerKillRequest) *)request;
    RT_MSG(ContainerKillReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_KILL_REPLY__INIT;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;

    if (rt_find(room, call, msg->container, &c, err) != 0 ||
        rt_kill(c, msg->container, msg->signal, bh_call_cancel_fd(call), err) != 0)
        return err->code;
    reply.id = c->id;
    return bh_call_reply(call, &reply.base, err);
}

static int pause_or_not(struct rt_room *room, struct bh_call *call, const ProtobufCMessage *request, bool on,
                        struct bh_err *err) {
    const RT_MSG(ContainerPauseRequest) *msg = (const RT_MSG(ContainerPauseRequest) *)request;
    RT_MSG(ContainerPauseReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_PAUSE_REPLY__INIT;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;

    if (rt_find(room, call, msg->container, &c, err) != 0 || (on ? rt_pause : rt_unpause)(c, err) != 0)
        return err->code;
    reply.id = c->id;
    return bh_call_reply(call, &reply.base, err);
}

int rt_rpc_pause(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    return pause_or_not(room, call, request, true, err);
}

int rt_rpc_unpause(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    return pause_or_not(room, call, request, false, err);
}

int rt_rpc_remove(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerRemoveRequest) *msg = (const RT_MSG(ContainerRemoveRequest) *)request;
    RT_MSG(ContainerRemoveReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_REMOVE_REPLY__INIT;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;

    /* volumes: a container has none of its own before named volumes come */
    if (rt_find(room, call, msg->container, &c, err) != 0 || rt_remove(c, msg->force, err) != 0)
        return err->code;
    reply.id = c->id;
    return bh_call_reply(call, &reply.base, err);
}

/* ---- rename, resize, prune --------------------------------------------------------------------- */

int rt_rpc_rename(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerRenameRequest) *msg = (const RT_MSG(ContainerRenameRequest) *)request;
    RT_MSG(ContainerRenameReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_RENAME_REPLY__INIT;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;

    if (rt_find(room, call, msg->container, &c, err) != 0 || rt_rename(c, msg->name, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}

int rt_rpc_resize(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const RT_MSG(ContainerResizeRequest) *msg = (const RT_MSG(ContainerResizeRequest) *)request;
    RT_MSG(ContainerResizeReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_RESIZE_REPLY__INIT;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;

    if (rt_find(room, call, msg->container, &c, err) != 0 || rt_resize(c, msg->rows, msg->cols, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}

static int prune(struct rt_room *room, struct bh_call *call, const RT_MSG(ContainerPruneRequest) * msg,
                 struct bh_arena *arena, struct bh_err *err) {
    RT_MSG(ContainerPruneReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_PRUNE_REPLY__INIT;
    struct rt_caller who = rt_caller_of(call);
    struct bh_pair *filters = NULL;
    struct bh_strlist ids;

    if (rt_filters_of(msg->filter, msg->n_filter, arena, &filters, err) != 0 ||
        rt_prune(room, &who, filters, msg->n_filter, arena, &ids, &reply.reclaimed, err) != 0)
        return err->code;
    reply.id = (char **)ids.v;
    reply.n_id = ids.n;
    return bh_call_reply(call, &reply.base, err);
}

int rt_rpc_prune(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, RT_CALL_ARENA);
    r = prune(room, call, (const RT_MSG(ContainerPruneRequest) *)request, &arena, err);
    bh_arena_fini(&arena);
    return r;
}
