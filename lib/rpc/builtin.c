/*
 * builtin.c - Ping and Version, the two methods that every service has.
 *
 * Room: every room that serves.  They touch nothing but the server's own description.
 */
#include "common.pb-c.h"
#include "rpc/server_priv.h"

int bh_rpc_ping(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    Bulkhead__Common__V1__PingReply reply = BULKHEAD__COMMON__V1__PING_REPLY__INIT;

    (void)room;
    (void)request;
    return bh_call_reply(call, &reply.base, err);
}

int bh_rpc_version(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    Bulkhead__Common__V1__VersionReply reply = BULKHEAD__COMMON__V1__VERSION_REPLY__INIT;

    (void)room;
    (void)request;
    reply.service = call->server->name;
    reply.version = (char *)BH_VERSION;
    reply.proto_major = BH_PROTO_MAJOR;
    reply.proto_minor = BH_PROTO_MINOR;
    return bh_call_reply(call, &reply.base, err);
}
