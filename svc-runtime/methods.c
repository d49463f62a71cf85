/*
 * methods.c - what the runtime service offers: one row for each method of proto/runtime.proto.
 *
 * Room: runtime.  The dispatcher checks role, size and kind before a handler runs.
 */
#include "svc-runtime/methods.h"

#include "base/mem.h"
#include "rpc/server.h"
#include "runtime.pb-c.h"

#define USERS      (BH_ROLE_ADMIN | BH_ROLE_USER)
#define ASK        BH_METHOD_IDEMPOTENT
#define CHANGE     BH_METHOD_AUDITED
#define FDS        BH_METHOD_FDS
#define MAX_CREATE (1u << 20)
#define MAX_STEP   (1u << 20)

static const struct bh_method methods[] = {
    {.name = "Ping", .roles = BH_ROLE_ANY, .flags = ASK, .handler = bh_rpc_ping},
    {.name = "Version", .roles = BH_ROLE_ANY, .flags = ASK, .handler = bh_rpc_version},
    {.name = "ContainerCreate", .roles = USERS, .max_request = MAX_CREATE, .flags = CHANGE, .handler = rt_rpc_create},
    {.name = "ContainerStart", .roles = USERS, .flags = CHANGE | FDS, .handler = rt_rpc_start},
    {.name = "ContainerAttach", .kind = BH_BIDI_STREAM, .roles = USERS, .flags = FDS, .handler = rt_rpc_attach},
    {.name = "ContainerWait", .roles = USERS, .flags = ASK, .handler = rt_rpc_wait},
    {.name = "ContainerStop", .roles = USERS, .flags = CHANGE, .handler = rt_rpc_stop},
    {.name = "ContainerRestart", .roles = USERS, .flags = CHANGE, .handler = rt_rpc_restart},
    {.name = "ContainerKill", .roles = USERS, .flags = CHANGE, .handler = rt_rpc_kill},
    {.name = "ContainerPause", .roles = USERS, .flags = CHANGE, .handler = rt_rpc_pause},
    {.name = "ContainerUnpause", .roles = USERS, .flags = CHANGE, .handler = rt_rpc_unpause},
    {.name = "ContainerRemove", .roles = USERS, .flags = CHANGE, .handler = rt_rpc_remove},
    {.name = "ContainerRename", .roles = USERS, .flags = CHANGE, .handler = rt_rpc_rename},
    {.name = "ContainerResize", .roles = USERS, .flags = ASK, .handler = rt_rpc_resize},
    {.name = "ContainerList", .roles = USERS, .flags = ASK, .handler = rt_rpc_list},
    {.name = "ContainerInspect", .roles = USERS, .flags = ASK, .handler = rt_rpc_inspect},
    {.name = "ContainerLogs", .kind = BH_SERVER_STREAM, .roles = USERS, .handler = rt_rpc_logs},
    {.name = "ContainerExec",
     .kind = BH_BIDI_STREAM,
     .roles = USERS,
     .max_request = MAX_CREATE,
     .flags = CHANGE | FDS,
     .handler = rt_rpc_exec},
    {.name = "ExecWait", .roles = USERS, .flags = ASK, .handler = rt_rpc_exec_wait},
    {.name = "ExecResize", .roles = USERS, .flags = ASK, .handler = rt_rpc_exec_resize},
    {.name = "ContainerCommit", .roles = USERS, .flags = CHANGE, .handler = rt_rpc_commit},
    {.name = "ContainerDiff", .kind = BH_SERVER_STREAM, .roles = USERS, .handler = rt_rpc_diff},
    {.name = "ContainerExport", .kind = BH_SERVER_STREAM, .roles = USERS, .flags = FDS, .handler = rt_rpc_export},
    {.name = "ContainerPrune", .roles = USERS, .flags = CHANGE, .handler = rt_rpc_prune},
    {.name = "Step",
     .kind = BH_SERVER_STREAM,
     .roles = BH_ROLE_BUILD,
     .max_request = MAX_STEP,
     .flags = CHANGE | BH_METHOD_SECRET | FDS,
     .handler = rt_rpc_step},
    {.name = "Rooms", .roles = USERS, .flags = ASK, .handler = rt_rpc_rooms},
    {.name = "Info", .roles = USERS, .flags = ASK, .handler = rt_rpc_info},
};

const struct bh_service rt_service = {
    .desc = &bulkhead__runtime__v1__runtime__descriptor,
    .methods = methods,
    .n_methods = BH_ARRAY_LEN(methods),
};
