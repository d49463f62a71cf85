/*
 * push_rpc.c - Registry/Push, Copy and ManifestPush: requests as plain arguments, events as messages.
 *
 * Room: registry.
 */
#include "svc-registry/push.h"

#include "registry.pb-c.h"
#include "rpc/server.h"
#include "svc-registry/caller_rpc.h"
#include "svc-registry/copy.h"
#include "svc-registry/listener_rpc.h"
#include "svc-registry/methods.h"

static int tell(void *arg, const struct reg_event *e, struct bh_err *err) {
    Bulkhead__Registry__V1__PushEvent msg = BULKHEAD__REGISTRY__V1__PUSH_EVENT__INIT;

    msg.number = e->number;
    msg.status = reg_event_text(e->status);
    msg.layer = reg_event_text(e->layer);
    msg.state = (Bulkhead__Registry__V1__LayerState)e->state;
    msg.current = e->current;
    msg.total = e->total;
    msg.text = reg_event_text(e->text);
    msg.reference = reg_event_text(e->reference);
    msg.digest = reg_event_text(e->digest);
    msg.size = e->size;
    msg.warning = reg_event_text(e->warning);
    return reg_client_tell(arg, e, &msg.base, err);
}

int reg_rpc_push(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const Bulkhead__Registry__V1__PushRequest *req = (const Bulkhead__Registry__V1__PushRequest *)request;
    struct reg_client client = REG_CLIENT_INIT(call);
    const struct reg_listener listener = {.tell = tell, .arg = &client};
    struct reg_push ask = {.references = (const char *const *)req->reference,
                           .n_references = req->n_reference,
                           .platform = req->platform,
                           .jobs = req->jobs,
                           .compression = req->compression,
                           .level = req->level,
                           .force_compression = req->force_compression,
                           .destination = req->destination,
                           .kept = req->kept && (bh_call_peer(call)->roles & BH_ROLE_BUILD) != 0};

    if (reg_caller_of(call, req->remote, &ask.caller, err) != 0)
        return err->code;
    return reg_push(room, &ask, &listener, err);
}

int reg_rpc_copy(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const Bulkhead__Registry__V1__CopyRequest *req = (const Bulkhead__Registry__V1__CopyRequest *)request;
    struct reg_client client = REG_CLIENT_INIT(call);
    const struct reg_listener listener = {.tell = tell, .arg = &client};
    struct reg_copy ask = {.source = req->source,
                           .target = req->target,
                           .all_platforms = req->all_platforms,
                           .platform = req->platform,
                           .jobs = req->jobs};

    if (reg_caller_of(call, req->remote, &ask.caller, err) != 0)
        return err->code;
    return reg_copy(room, &ask, &listener, err);
}

int reg_rpc_manifest_push(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const Bulkhead__Registry__V1__ManifestPushRequest *req =
        (const Bulkhead__Registry__V1__ManifestPushRequest *)request;
    Bulkhead__Registry__V1__ManifestPushReply reply = BULKHEAD__REGISTRY__V1__MANIFEST_PUSH_REPLY__INIT;
    char digest[BH_DIGEST_TEXT_SIZE];
    struct reg_manifest_push ask = {.reference = req->reference,
                                    .media_type = req->desc != NULL ? req->desc->media_type : "",
                                    .digest = req->desc != NULL ? req->desc->digest : "",
                                    .size = req->desc != NULL ? req->desc->size : 0,
                                    .data = req->data.data,
                                    .data_size = req->data.len,
                                    .mount_from = (const char *const *)req->mount_from,
                                    .n_mount_from = req->n_mount_from};

    if (reg_caller_of(call, req->remote, &ask.caller, err) != 0 ||
        reg_manifest_push(room, &ask, digest, &reply.size, err) != 0)
        return err->code;
    reply.digest = digest;
    return bh_call_reply(call, &reply.base, err);
}
