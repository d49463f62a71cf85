/*
 * search_rpc.c - handler: search.
 *
 * Room: registry.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/types.h"
#include "svc-registry/caller_rpc.h"
#include "svc-registry/methods.h"
#include "svc-registry/search.h"

#define DEFAULT_LIMIT 25
#define MAX_LIMIT     100

static int take_request(const REG_MSG(SearchRequest) * req, struct reg_search *search, struct bh_err *err) {
    search->limit = req->limit ? req->limit : DEFAULT_LIMIT;
    search->official = -1;
    if (req->limit > MAX_LIMIT)
        return bh_err_set(err, BH_E_INVALID, "limit %u is outside the range of [1, %d]", req->limit, MAX_LIMIT);
    for (size_t i = 0; i < req->n_filter; i++) {
        if (reg_search_filter(search, req->filter[i]->key, req->filter[i]->value, err) != 0)
            return err->code;
    }
    return 0;
}

static int reply_hits(struct bh_call *call, const struct reg_search *search, const char *host, struct bh_err *err) {
    REG_MSG(SearchReply) reply = BULKHEAD__REGISTRY__V1__SEARCH_REPLY__INIT;
    REG_MSG(SearchHit) hits[MAX_LIMIT];
    REG_MSG(SearchHit) * list[MAX_LIMIT];

    for (size_t i = 0; i < search->n_hits; i++) {
        const struct reg_hit *h = &search->hits[i];
        bulkhead__registry__v1__search_hit__init(&hits[i]);
        hits[i].name = (char *)h->name;
        hits[i].description = (char *)h->description;
        hits[i].stars = h->stars;
        hits[i].official = h->official;
        hits[i].automated = h->automated;
        list[i] = &hits[i];
    }
    reply.hit = list;
    reply.n_hit = search->n_hits;
    reply.index = (char *)host;
    reply.catalog = search->catalog;
    return bh_call_reply(call, &reply.base, err);
}

int reg_rpc_search(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const REG_MSG(SearchRequest) *req = (const REG_MSG(SearchRequest) *)request;
    REG_SCOPE_CONF struct reg_conf *conf = reg_room_conf(room);
    REG_SCOPE_ARENA struct bh_arena arena;
    struct reg_search search = {.arena = &arena};
    char term[REG_TERM_SIZE];
    struct reg_remote *remote = NULL;
    struct reg_place place;
    struct reg_caller caller;

    bh_arena_init(&arena, REG_CALL_ARENA);
    if (reg_caller_of(call, req->remote, &caller, err) != 0 || take_request(req, &search, err) != 0)
        return err->code;
    const struct reg_route_options options = {REG_LIST, caller.tls_verify, caller.admin};
    if (reg_search_route(conf, req->term, &options, &place, term, err) != 0)
        return err->code;
    search.term = term;
    if (reg_remote_open(room, conf, &place, &caller, "registry:catalog:*", &remote, err) != 0)
        return err->code;
    int rc = reg_search_run(&search, remote, err);
    reg_remote_free(remote);
    return rc == 0 ? reply_hits(call, &search, place.host, err) : rc;
}
