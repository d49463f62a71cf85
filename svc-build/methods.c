/*
 * methods.c - what the build service offers: one row for each method of proto/build.proto.
 *
 * Room: build.  The dispatcher checks role, size and kind before a handler runs.  A method of the
 * .proto file without a row here is answered with "not implemented".
 */
#include "methods.h"

#include "build.pb-c.h"
#include "rpc/server.h"

static const struct bh_method methods[] = {
    {.name = "Ping", .roles = BH_ROLE_ANY, .flags = BH_METHOD_IDEMPOTENT, .handler = bh_rpc_ping},
    {.name = "Version", .roles = BH_ROLE_ANY, .flags = BH_METHOD_IDEMPOTENT, .handler = bh_rpc_version},
};

const struct bh_service build_service = {
    .desc = &bulkhead__build__v1__build__descriptor,
    .methods = methods,
    .n_methods = sizeof methods / sizeof methods[0],
};
