/*
 * resolve_rpc.c - handler: which places would be asked for a name?
 *
 * Room: registry.  The client holds the credentials and the administrator's rules are here: this is how it comes to
 * send those that fit, for mirrors, aliases and rewritten names too, and no others.
 */
#include <stdio.h>

#include "base/mem.h"
#include "oci/types.h"
#include "svc-registry/caller_rpc.h"
#include "svc-registry/methods.h"
#include "svc-registry/search.h"
#include "svc-registry/short_name.h"

#define MAX_REFERENCES 1000

typedef REG_MSG(ResolvedReference) resolved;

static int add_place(struct bh_arena *arena, const struct reg_place *p, size_t meaning, resolved *out,
                     struct bh_err *err) {
    REG_MSG(ResolvedPlace) *place = bh_oci_alloc(arena, sizeof *place, err);
    char name[sizeof p->name + sizeof p->path];

    if (!place)
        return err->code;
    bulkhead__registry__v1__resolved_place__init(place);
    int n = snprintf(name, sizeof name, "%s%s%s", p->name, *p->path ? "/" : "", p->path);
    place->name = (char *)bh_oci_strdup(arena, name, (size_t)n, err);
    place->mirror = p->mirror;
    place->meaning = (uint32_t)meaning;
    out->place[out->n_place++] = place;
    return place->name ? 0 : err->code;
}

static int add_places(struct bh_arena *arena, const struct reg_places *places, size_t meaning, resolved *out,
                      struct bh_err *err) {
    for (size_t i = 0; i < places->n; i++)
        if (add_place(arena, &places->v[i], meaning, out, err) != 0)
            return err->code;
    return 0;
}

static int use_of(uint32_t number, enum reg_use *out, bool *out_search, struct bh_err *err) {
    static const enum reg_use uses[] = {REG_PULL, REG_PUSH, REG_DELETE, REG_LIST, REG_LIST};

    if (number >= sizeof uses / sizeof uses[0])
        return bh_err_set(err, BH_E_INVALID, "use %u is not known", number);
    *out = uses[number];
    *out_search = number == BULKHEAD__REGISTRY__V1__REMOTE_USE__USE_SEARCH;
    return 0;
}

/* What is refused has no places: the call itself will say so. */
static int resolve_name(const struct reg_conf *conf, const char *text, enum reg_use use, struct bh_arena *arena,
                        resolved *out, struct bh_err *err) {
    BH_SCOPE_FREE struct reg_meanings *meanings = bh_xcalloc(1, sizeof *meanings);
    const struct reg_route_options options = {.use = use};
    struct bh_err refused = BH_ERR_INIT;
    struct reg_places places;
    size_t n;

    if (reg_meanings_of(conf, text, meanings, &refused) != 0)
        return 0;
    n = use == REG_PULL || use == REG_LIST ? meanings->n : 1;
    out->place = bh_oci_alloc(arena, n * REG_MAX_PLACES * sizeof(void *), err);
    if (!out->place)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (reg_route(conf, &meanings->v[i], &options, &places, &refused) == 0 &&
            add_places(arena, &places, i, out, err) != 0)
            return err->code;
    return 0;
}

static int resolve_term(const struct reg_conf *conf, const char *text, struct bh_arena *arena, resolved *out,
                        struct bh_err *err) {
    BH_SCOPE_FREE struct reg_search_route *route = bh_xcalloc(1, sizeof *route);
    const struct reg_route_options options = {.use = REG_LIST};
    struct bh_err refused = BH_ERR_INIT;
    struct reg_place place;

    if (reg_search_route(conf, text, route, &refused) != 0)
        return 0;
    out->place = bh_oci_alloc(arena, route->n * sizeof(void *), err);
    for (size_t i = 0; out->place && i < route->n; i++)
        if (reg_search_place(conf, route, i, &options, &place, &refused) == 0 &&
            add_place(arena, &place, i, out, err) != 0)
            return err->code;
    return out->place ? 0 : err->code;
}

static int resolve_one(const struct reg_conf *conf, enum reg_use use, bool search, const char *text,
                       struct bh_arena *arena, resolved *out, struct bh_err *err) {
    bulkhead__registry__v1__resolved_reference__init(out);
    return search ? resolve_term(conf, text, arena, out, err) : resolve_name(conf, text, use, arena, out, err);
}

int reg_rpc_resolve(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const REG_MSG(ResolveRequest) *req = (const REG_MSG(ResolveRequest) *)request;
    REG_SCOPE_CONF struct reg_conf *conf = reg_room_conf(room);
    REG_SCOPE_ARENA struct bh_arena arena;
    REG_MSG(ResolveReply) reply = BULKHEAD__REGISTRY__V1__RESOLVE_REPLY__INIT;
    enum reg_use use;
    resolved *all;
    bool search;

    bh_arena_init(&arena, REG_CALL_ARENA);
    if (use_of(req->use, &use, &search, err) != 0)
        return err->code;
    if (req->n_reference > MAX_REFERENCES)
        return bh_err_set(err, BH_E_LIMIT, "more than %d names", MAX_REFERENCES);
    all = bh_oci_alloc(&arena, (req->n_reference + 1) * sizeof *all, err);
    reply.reference = all ? bh_oci_alloc(&arena, (req->n_reference + 1) * sizeof(void *), err) : NULL;
    for (size_t i = 0; reply.reference && i < req->n_reference; i++) {
        if (resolve_one(conf, use, search, req->reference[i], &arena, &all[i], err) != 0)
            return err->code;
        reply.reference[reply.n_reference++] = &all[i];
    }
    return reply.reference ? bh_call_reply(call, &reply.base, err) : err->code;
}
