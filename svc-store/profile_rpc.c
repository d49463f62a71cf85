/*
 * profile_rpc.c - a user's seccomp profile, read by a worker on behalf of the runtime room.
 *
 * Room: store.  It only has the means (workers); what it is told about goes on as it came, and is kept nowhere.
 */
#include "base/fdio.h"
#include "base/mem.h"
#include "methods.h"
#include "oci/seccomp.h"
#include "result.h"
#include "store.pb-c.h"
#include "worker.h"

static int text_file(const ProtobufCBinaryData *text, int *out, struct bh_err *err) {
    if (text->len > BH_SECCOMP_TEXT_MAX) {
        bh_err_set(err, BH_E_LIMIT, "seccomp profile: %zu bytes: at most %zu are allowed", text->len,
                   BH_SECCOMP_TEXT_MAX);
        return bh_err_reason(err, "limit");
    }
    return store_memory_file("profile", text->data, text->len, out, err);
}

int store_rpc_profile_read(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const Bulkhead__Store__V1__ProfileReadRequest *req = (const Bulkhead__Store__V1__ProfileReadRequest *)request;
    Bulkhead__Store__V1__ProfileReadReply reply = BULKHEAD__STORE__V1__PROFILE_READ_REPLY__INIT;
    struct store_job job = {.name = BH_JOB_PROFILE,
                            .what = "seccomp profile",
                            .out = -1,
                            .blob = -1,
                            .size = BH_JOB_TO_END,
                            .cancel_fd = bh_call_cancel_fd(call)};
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    BH_SCOPE_CLOSE int fd = -1;

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (text_file(&req->text, &fd, err) != 0)
        return err->code;
    job.source = fd;
    if (store_worker_run(room, &job, &packed, err) != 0 ||
        store_result_profile(&packed, &arena, &reply.profile, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}
