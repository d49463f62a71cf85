/*
 * search_rpc.c - handler: search, at several registries side by side.
 *
 * Room: registry.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/types.h"
#include "svc-registry/caller_rpc.h"
#include "svc-registry/jobs.h"
#include "svc-registry/methods.h"
#include "svc-registry/search.h"

#define DEFAULT_LIMIT 25
#define MAX_LIMIT     100
#define SIDE_BY_SIDE  6 /* registries, as podman */

/* What one registry gives. */
struct at {
    struct reg_search search;
    struct bh_arena arena;
    struct bh_err err;
};

struct asked {
    const REG_MSG(SearchRequest) * req;
    struct reg_room *room;
    struct reg_conf *conf;
    struct reg_caller caller;
    struct reg_search_route route;
    struct at *at; /* route.n */
};

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

static int search_at(struct asked *a, size_t i, struct bh_err *err) {
    const struct reg_route_options options = {REG_LIST, a->caller.tls_verify, a->caller.admin};
    struct reg_remote *remote = NULL;
    struct reg_place place;

    if (reg_search_place(a->conf, &a->route, i, &options, &place, err) != 0 ||
        reg_remote_open(a->room, a->conf, &place, &a->caller, "registry:catalog:*", &remote, err) != 0)
        return err->code;
    a->at[i].search.term = a->route.term;
    (void)reg_search_run(&a->at[i].search, remote, err);
    reg_remote_free(remote);
    return err->code;
}

/* One that fails leaves the others searching. */
static int one(void *arg, size_t i, struct bh_err *err) {
    struct asked *a = arg;

    (void)err;
    (void)search_at(a, i, &a->at[i].err);
    return 0;
}

static int search_all(struct asked *a, struct bh_err *err) {
    struct reg_stop stop;

    if (reg_stop_init(&stop, a->caller.cancel_fd, NULL, NULL, err) != 0)
        return err->code;
    (void)reg_jobs_run(a->route.n, SIDE_BY_SIDE, one, a, &stop, err);
    (void)(err->code == 0 && reg_stop_check(&stop, err));
    reg_stop_fini(&stop);
    return err->code;
}

/* ---- the answer ------------------------------------------------------------------------------------ */

static size_t count_failed(const struct asked *a) {
    size_t n = 0;

    for (size_t i = 0; i < a->route.n; i++)
        n += a->at[i].err.code != 0;
    return n;
}

/* Of registries that all failed the first one's error, with the words of the others. */
static int all_failed(const struct asked *a, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf words = BH_BUF_INIT_MAX(sizeof err->msg);

    *err = a->at[0].err;
    for (size_t i = 0; i < a->route.n; i++)
        bh_buf_addf(&words, "%s%.*s", i > 0 ? "; " : "", (int)(sizeof err->msg / a->route.n - 2), a->at[i].err.msg);
    snprintf(err->msg, sizeof err->msg, "%s", bh_buf_str(&words));
    return err->code;
}

static int add_hit(struct bh_arena *arena, const struct reg_hit *h, const char *index, REG_MSG(SearchReply) * reply,
                   struct bh_err *err) {
    REG_MSG(SearchHit) *hit = bh_oci_alloc(arena, sizeof *hit, err);

    if (!hit)
        return err->code;
    bulkhead__registry__v1__search_hit__init(hit);
    hit->name = (char *)h->name;
    hit->description = (char *)h->description;
    hit->stars = h->stars;
    hit->official = h->official;
    hit->automated = h->automated;
    hit->index = (char *)index;
    reply->hit[reply->n_hit++] = hit;
    return 0;
}

static int add_registry(struct asked *a, size_t i, struct bh_arena *arena, REG_MSG(SearchReply) * reply,
                        struct bh_err *err) {
    struct at *at = &a->at[i];

    if (at->err.code != 0) {
        reply->warning[reply->n_warning++] = at->err.msg;
        return 0;
    }
    if (at->search.catalog)
        reply->catalog[reply->n_catalog++] = a->route.host[i];
    for (size_t k = 0; k < at->search.n_hits; k++)
        if (add_hit(arena, &at->search.hits[k], a->route.host[i], reply, err) != 0)
            return err->code;
    return 0;
}

static int reply_all(struct bh_call *call, struct asked *a, struct bh_err *err) {
    REG_MSG(SearchReply) reply = BULKHEAD__REGISTRY__V1__SEARCH_REPLY__INIT;
    char *warnings[REG_MAX_SEARCH], *catalogs[REG_MAX_SEARCH];
    REG_SCOPE_ARENA struct bh_arena arena;
    size_t n = 1;

    bh_arena_init(&arena, REG_CALL_ARENA);
    for (size_t i = 0; i < a->route.n; i++)
        n += a->at[i].search.n_hits;
    reply.hit = bh_oci_alloc(&arena, n * sizeof(void *), err);
    reply.warning = warnings;
    reply.catalog = catalogs;
    reply.several = a->route.n > 1;
    for (size_t i = 0; i < a->route.n && err->code == 0; i++)
        (void)add_registry(a, i, &arena, &reply, err);
    return err->code == 0 ? bh_call_reply(call, &reply.base, err) : err->code;
}

static int prepare(struct asked *a, struct bh_err *err) {
    if (reg_search_route(a->conf, a->req->term, &a->route, err) != 0)
        return err->code;
    a->at = bh_xcalloc(a->route.n, sizeof *a->at);
    for (size_t i = 0; i < a->route.n; i++) {
        bh_arena_init(&a->at[i].arena, REG_CALL_ARENA);
        a->at[i].search.arena = &a->at[i].arena;
        if (take_request(a->req, &a->at[i].search, err) != 0)
            break;
    }
    return err->code;
}

static void asked_fini(struct asked *a) {
    for (size_t i = 0; a->at != NULL && i < a->route.n; i++)
        bh_arena_fini(&a->at[i].arena);
    free(a->at);
}

int reg_rpc_search(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    REG_SCOPE_CONF struct reg_conf *conf = reg_room_conf(room);
    struct asked a = {.req = (const REG_MSG(SearchRequest) *)request, .room = room, .conf = conf};

    if (reg_caller_of(call, a.req->remote, &a.caller, err) == 0 && prepare(&a, err) == 0 && search_all(&a, err) == 0) {
        if (count_failed(&a) == a.route.n)
            (void)all_failed(&a, err);
        else
            (void)reply_all(call, &a, err);
    }
    asked_fini(&a);
    return err->code;
}
