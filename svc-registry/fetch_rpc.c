/*
 * fetch_rpc.c - handler: what an address gives: ADD of builds, `import` of users.
 *
 * Room: registry.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "svc-registry/caller_rpc.h"
#include "svc-registry/fetch.h"
#include "svc-registry/methods.h"

static int reply_fetch(struct bh_call *call, const struct reg_fetch *f, struct bh_err *err) {
    REG_MSG(FetchReply) reply = BULKHEAD__REGISTRY__V1__FETCH_REPLY__INIT;

    reply.not_modified = f->not_modified;
    reply.digest = (char *)f->digest;
    reply.size = f->size;
    reply.etag = (char *)f->new_etag;
    reply.last_modified = (char *)f->new_modified;
    reply.mtime_ns = f->mtime_ns;
    reply.filename = (char *)f->filename;
    return bh_call_reply(call, &reply.base, err);
}

/* A write into a file of a user could last for ever: his disk need not answer, and no cancel ends it.  Files of the
 * store, which the build room hands on, are none of his. */
static int check_fds(const struct bh_call *call, const int fds[2], struct bh_err *err) {
    struct stat st;

    if (fds[0] < 0 || fstat(fds[0], &st) != 0 || !S_ISFIFO(st.st_mode))
        return bh_err_set(err, BH_E_INVALID, "Fetch: the pipe to write to must come beside the call");
    if (fds[1] >= 0 && (bh_call_peer(call)->roles & BH_ROLE_BUILD) == 0)
        return bh_err_set(err, BH_E_INVALID, "Fetch: only a room has a file to keep the body in");
    return 0;
}

int reg_rpc_fetch(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const REG_MSG(FetchRequest) *req = (const REG_MSG(FetchRequest) *)request;
    REG_SCOPE_CONF struct reg_conf *conf = reg_room_conf(room);
    BH_SCOPE_CLOSE int fd = -1, spool = -1;
    struct reg_fetch fetch = {.url = req->url,
                              .checksum = req->checksum,
                              .etag = req->etag,
                              .last_modified = req->last_modified,
                              .raw = req->raw};
    struct reg_caller caller;
    int fds[2] = {-1, -1};
    unsigned n = 0;

    if (reg_caller_of(call, req->remote, &caller, err) != 0)
        return err->code;
    if (bh_call_wants_fds(call) && bh_call_take_fds(call, fds, 2, &n, err) != 0)
        return err->code;
    fetch.fd = fd = fds[0];
    fetch.spool = spool = fds[1];
    if (check_fds(call, fds, err) != 0 || reg_fetch_run(&fetch, room, conf, &caller, err) != 0)
        return err->code;
    close(bh_take_fd(&fd)); /* the end of the tar, before the answer */
    return reply_fetch(call, &fetch, err);
}
