/*
 * methods.c - what the registry service offers: one row for each method of proto/registry.proto.
 *
 * Room: registry.  The dispatcher checks role, size and kind before a handler runs.  A method of the
 * .proto file without a row here is answered with "not implemented".
 */
#include "svc-registry/methods.h"

#include "registry.pb-c.h"
#include "rpc/server.h"

#define USERS  (BH_ROLE_ADMIN | BH_ROLE_USER | BH_ROLE_BUILD)
#define SECRET BH_METHOD_SECRET /* the request may carry a password */
#define ASK    (BH_METHOD_IDEMPOTENT | SECRET)
#define CHANGE (BH_METHOD_AUDITED | SECRET)

static const struct bh_method methods[] = {
    {.name = "Ping", .roles = BH_ROLE_ANY, .flags = BH_METHOD_IDEMPOTENT, .handler = bh_rpc_ping},
    {.name = "Version", .roles = BH_ROLE_ANY, .flags = BH_METHOD_IDEMPOTENT, .handler = bh_rpc_version},
    {"Pull", BH_SERVER_STREAM, USERS, 0, 0, CHANGE, reg_rpc_pull},
    {"Push", BH_SERVER_STREAM, USERS, 0, 0, CHANGE, reg_rpc_push},
    {"ManifestPush", BH_UNARY, USERS, 5 << 20, 0, CHANGE, reg_rpc_manifest_push},
    {"BlobPush", BH_UNARY, USERS, 0, 0, CHANGE | BH_METHOD_FDS, reg_rpc_blob_push},
    {"BlobFetch", BH_UNARY, USERS, 0, 0, SECRET | BH_METHOD_FDS, reg_rpc_blob_fetch},
    {"Copy", BH_SERVER_STREAM, USERS, 0, 0, CHANGE, reg_rpc_copy},
    {.name = "Search", .roles = USERS, .flags = ASK, .handler = reg_rpc_search},
    {.name = "TagList", .roles = USERS, .flags = ASK, .handler = reg_rpc_tag_list},
    {.name = "RemoteInspect", .roles = USERS, .flags = ASK, .handler = reg_rpc_remote_inspect},
    {.name = "RemoteDelete", .roles = USERS, .flags = CHANGE, .handler = reg_rpc_remote_delete},
    {.name = "Resolve", .roles = USERS, .flags = BH_METHOD_IDEMPOTENT, .handler = reg_rpc_resolve},
    {.name = "Login", .roles = USERS, .flags = ASK, .handler = reg_rpc_login},
    {.name = "Fetch", .roles = USERS, .flags = SECRET | BH_METHOD_FDS, .handler = reg_rpc_fetch},
};

const struct bh_service registry_service = {
    .desc = &bulkhead__registry__v1__registry__descriptor,
    .methods = methods,
    .n_methods = sizeof methods / sizeof methods[0],
};
