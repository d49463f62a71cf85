/*
 * methods.c - what the build service offers: one row for each method of proto/build.proto.
 *
 * Room: build.  The dispatcher checks role, size and kind before a handler runs.  A method of the
 * .proto file without a row here is answered with "not implemented".
 */
#include "methods.h"

#include "build.pb-c.h"
#include "rpc/server.h"

#define USERS       (BH_ROLE_ADMIN | BH_ROLE_USER)
#define MAX_REQUEST (1u << 20)

static const struct bh_method methods[] = {
    {.name = "Ping", .roles = BH_ROLE_ANY, .flags = BH_METHOD_IDEMPOTENT, .handler = bh_rpc_ping},
    {.name = "Version", .roles = BH_ROLE_ANY, .flags = BH_METHOD_IDEMPOTENT, .handler = bh_rpc_version},
    {.name = "Check",
     .roles = USERS,
     .max_request = MAX_REQUEST,
     .flags = BH_METHOD_IDEMPOTENT,
     .handler = build_rpc_check},
    {.name = "Build",
     .kind = BH_SERVER_STREAM,
     .roles = USERS,
     .max_request = MAX_REQUEST,
     .flags = BH_METHOD_AUDITED | BH_METHOD_SECRET | BH_METHOD_FDS,
     .handler = build_rpc_build},
    {.name = "Logs", .kind = BH_SERVER_STREAM, .roles = USERS, .handler = build_rpc_logs},
    {.name = "History", .roles = USERS, .flags = BH_METHOD_IDEMPOTENT, .handler = build_rpc_history},
};

const struct bh_service build_service = {
    .desc = &bulkhead__build__v1__build__descriptor,
    .methods = methods,
    .n_methods = sizeof methods / sizeof methods[0],
};
