/*
 * methods.c - what the registry service offers: one row for each method of proto/registry.proto.
 *
 * Room: registry.  The dispatcher checks role, size and kind before a handler runs.  A method of the
 * .proto file without a row here is answered with "not implemented".
 */
#include "svc-registry/methods.h"

#include "registry.pb-c.h"
#include "rpc/server.h"

static const struct bh_method methods[] = {
    {.name = "Ping", .roles = BH_ROLE_ANY, .flags = BH_METHOD_IDEMPOTENT, .handler = bh_rpc_ping},
    {.name = "Version", .roles = BH_ROLE_ANY, .flags = BH_METHOD_IDEMPOTENT, .handler = bh_rpc_version},
};

const struct bh_service registry_service = {
    .desc = &bulkhead__registry__v1__registry__descriptor,
    .methods = methods,
    .n_methods = sizeof methods / sizeof methods[0],
};
