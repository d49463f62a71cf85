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

#define HUB_INDEX     "index.docker.io"
#define DEFAULT_LIMIT 25
#define MAX_LIMIT     100

struct run {
    struct reg_search search;
    char host[BH_REF_DOMAIN_MAX + 1];
    char term[256];
};

/* "HOST/word" goes to HOST; a lone word to the index of the hub. */
static int split_term(const struct reg_conf *conf, const char *text, struct run *run, struct bh_err *err) {
    const char *index = reg_conf_settings(conf)->search_index;
    const char *word = text;

    (void)bh_str_copy(run->host, sizeof run->host, *index ? index : HUB_INDEX);
    if (reg_has_domain(text)) {
        size_t n = strcspn(text, "/");
        word = text + n + 1;
        if (strncmp(text, "docker.io/", 10) != 0 && !bh_str_copy_n(run->host, sizeof run->host, text, n))
            return bh_err_set(err, BH_E_INVALID, "search: the name of the registry is too long");
    }
    if (bh_str_starts(word, "library/"))
        word += strlen("library/");
    if (!bh_str_copy(run->term, sizeof run->term, word) || !bh_utf8_valid(word, strlen(word)))
        return bh_err_set(err, BH_E_INVALID, "search: the term is too long or no text");
    run->search.term = run->term;
    return 0;
}

static int take_request(const struct reg_conf *conf, const REG_MSG(SearchRequest) * req, struct run *run,
                        struct bh_err *err) {
    run->search.limit = req->limit ? req->limit : DEFAULT_LIMIT;
    run->search.official = -1;
    if (req->limit > MAX_LIMIT)
        return bh_err_set(err, BH_E_INVALID, "limit %u is outside the range of [1, %d]", req->limit, MAX_LIMIT);
    for (size_t i = 0; i < req->n_filter; i++) {
        if (reg_search_filter(&run->search, req->filter[i]->key, req->filter[i]->value, err) != 0)
            return err->code;
    }
    return split_term(conf, req->term, run, err);
}

static int reply_hits(struct bh_call *call, const struct run *run, struct bh_err *err) {
    REG_MSG(SearchReply) reply = BULKHEAD__REGISTRY__V1__SEARCH_REPLY__INIT;
    REG_MSG(SearchHit) hits[MAX_LIMIT];
    REG_MSG(SearchHit) * list[MAX_LIMIT];

    for (size_t i = 0; i < run->search.n_hits; i++) {
        const struct reg_hit *h = &run->search.hits[i];
        bulkhead__registry__v1__search_hit__init(&hits[i]);
        hits[i].name = (char *)h->name;
        hits[i].description = (char *)h->description;
        hits[i].stars = h->stars;
        hits[i].official = h->official;
        hits[i].automated = h->automated;
        list[i] = &hits[i];
    }
    reply.hit = list;
    reply.n_hit = run->search.n_hits;
    reply.index = (char *)run->host;
    reply.catalog = run->search.catalog;
    return bh_call_reply(call, &reply.base, err);
}

int reg_rpc_search(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const REG_MSG(SearchRequest) *req = (const REG_MSG(SearchRequest) *)request;
    REG_SCOPE_CONF struct reg_conf *conf = reg_room_conf(room);
    REG_SCOPE_ARENA struct bh_arena arena;
    struct run run = {.search.arena = &arena};
    struct reg_remote *remote = NULL;
    struct reg_place place;
    struct reg_caller caller;

    bh_arena_init(&arena, REG_CALL_ARENA);
    if (reg_caller_of(call, req->remote, &caller, err) != 0 || take_request(conf, req, &run, err) != 0)
        return err->code;
    const struct reg_route_options options = {REG_LIST, caller.tls_verify, caller.admin};
    if (reg_route_host(conf, run.host, &options, &place, err) != 0)
        return err->code;
    if (strcmp(run.host, HUB_INDEX) == 0) /* the hub's search is not where its images are */
        (void)bh_str_copy(place.host, sizeof place.host, HUB_INDEX);
    if (reg_remote_open(room, conf, &place, &caller, "registry:catalog:*", &remote, err) != 0)
        return err->code;
    int rc = reg_search_run(&run.search, remote, err);
    reg_remote_free(remote);
    return rc == 0 ? reply_hits(call, &run, err) : rc;
}
