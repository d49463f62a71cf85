/*
 * blob_rpc.c - Registry/BlobPush and BlobFetch: a blob from or into a file that came beside the call.
 *
 * Room: registry.
 */
#include "base/mem.h"
#include "svc-registry/blob.h"
#include "svc-registry/caller_rpc.h"
#include "svc-registry/methods.h"

/* Takes the one descriptor. */
static int take_file(struct bh_call *call, int *out, struct bh_err *err) {
    unsigned n = 0;

    if (!bh_call_wants_fds(call))
        return bh_err_set(err, BH_E_INVALID, "the file of the blob must come beside the call");
    if (bh_call_take_fds(call, out, 1, &n, err) != 0)
        return err->code;
    return n == 1 ? 0 : bh_err_set(err, BH_E_INVALID, "one file must come beside the call");
}

int reg_rpc_blob_push(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const REG_MSG(BlobPushRequest) *req = (const REG_MSG(BlobPushRequest) *)request;
    REG_MSG(BlobPushReply) reply = BULKHEAD__REGISTRY__V1__BLOB_PUSH_REPLY__INIT;
    struct reg_blob_ask ask = {.reference = req->reference,
                               .digest = req->desc != NULL ? req->desc->digest : "",
                               .size = req->desc != NULL ? req->desc->size : 0};
    BH_SCOPE_CLOSE int fd = -1;
    bool there = false;

    if (reg_caller_of(call, req->remote, &ask.caller, err) != 0 || take_file(call, &fd, err) != 0)
        return err->code;
    ask.fd = fd;
    if (reg_blob_push(room, &ask, &there, err) != 0)
        return err->code;
    reply.there = there;
    return bh_call_reply(call, &reply.base, err);
}

int reg_rpc_blob_fetch(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const REG_MSG(BlobFetchRequest) *req = (const REG_MSG(BlobFetchRequest) *)request;
    REG_MSG(BlobFetchReply) reply = BULKHEAD__REGISTRY__V1__BLOB_FETCH_REPLY__INIT;
    struct reg_blob_ask ask = {.reference = req->reference,
                               .digest = req->desc != NULL ? req->desc->digest : "",
                               .size = req->desc != NULL ? req->desc->size : 0};
    BH_SCOPE_CLOSE int fd = -1;

    if (reg_caller_of(call, req->remote, &ask.caller, err) != 0 || take_file(call, &fd, err) != 0)
        return err->code;
    ask.fd = fd;
    if (reg_blob_fetch(room, &ask, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}
