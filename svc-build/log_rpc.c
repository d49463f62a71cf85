/*
 * log_rpc.c - handlers: what builds have told, and which there were.
 *
 * Room: build.  Each caller sees his own.
 */
#include <string.h>

#include "base/mem.h"
#include "convert_rpc.h"
#include "log.h"
#include "methods.h"
#include "room.h"
#include "rpc/server.h"

static int send_event(void *arg, const void *event, size_t n, struct bh_err *err) {
    return bh_call_send_bytes(arg, event, n, err);
}

int build_rpc_logs(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const BD_MSG(LogsRequest) *m = (const BD_MSG(LogsRequest) *)request;

    return build_log_read(room, bh_call_peer(call)->uid, m->build_id, send_event, call, err);
}

static int history(struct build_room *room, struct bh_call *call, struct bh_arena *arena, struct bh_err *err) {
    BD_MSG(HistoryReply) reply = BULKHEAD__BUILD__V1__HISTORY_REPLY__INIT;
    struct build_row *rows = NULL;
    BD_MSG(HistoryRow) * all;
    size_t n = 0;

    if (build_rows(room, bh_call_peer(call)->uid, arena, &rows, &n, err) != 0)
        return err->code;
    all = bh_oci_alloc(arena, (n + 1) * sizeof *all, err);
    reply.row = bh_oci_alloc(arena, (n + 1) * sizeof *reply.row, err);
    if (all == NULL || reply.row == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++) {
        bulkhead__build__v1__history_row__init(&all[i]);
        all[i].build_id = (char *)rows[i].id;
        all[i].name = (char *)rows[i].name;
        all[i].status = (char *)rows[i].status;
        all[i].started_ns = rows[i].started_ns;
        all[i].finished_ns = rows[i].finished_ns;
        all[i].steps = rows[i].steps;
        all[i].cached = rows[i].cached;
        reply.row[i] = &all[i];
    }
    reply.n_row = n;
    return bh_call_reply(call, &reply.base, err);
}

int build_rpc_history(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    struct bh_arena arena;
    int r;

    (void)request;
    bh_arena_init(&arena, BUILD_CALL_ARENA);
    r = history(room, call, &arena, err);
    bh_arena_fini(&arena);
    return r;
}
