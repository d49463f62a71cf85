/*
 * tags_rpc.c - handlers: the tags of a repository, and the removal of one.
 *
 * Room: registry.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/json.h"
#include "svc-registry/caller_rpc.h"
#include "svc-registry/methods.h"
#include "svc-registry/pages.h"
#include "svc-registry/short_name.h"

struct tag_list {
    const REG_MSG(TagListRequest) * req;
    struct bh_arena *arena;
    char below[400], what[BH_REF_TEXT_SIZE];
    struct bh_strlist tags;
    size_t room;
    bool more;
};

static int add_tag(struct tag_list *l, const char *tag, struct bh_err *err) {
    if (l->tags.n == l->room) {
        size_t room = l->room ? l->room * 2 : 256;
        const char **v = bh_oci_alloc(l->arena, room * sizeof *v, err);
        if (!v)
            return err->code;
        if (l->tags.n)
            memcpy(v, l->tags.v, l->tags.n * sizeof *v);
        l->tags.v = v;
        l->room = room;
    }
    l->tags.v[l->tags.n] = bh_oci_strdup(l->arena, tag, strlen(tag), err);
    return l->tags.v[l->tags.n++] ? 0 : err->code;
}

static int take_tag(void *arg, const char *tag, bool *out_stop, struct bh_err *err) {
    struct tag_list *l = arg;

    if (!reg_tag_valid(tag) || (*l->req->pattern && bh_glob_match(l->req->pattern, tag) != 1))
        return 0;
    if (l->req->limit && l->tags.n == l->req->limit) {
        l->more = *out_stop = true;
        return 0;
    }
    if (l->tags.n == REG_MAX_TAGS)
        return bh_err_set(err, BH_E_LIMIT, "%s: more than %d tags", l->what, REG_MAX_TAGS);
    return add_tag(l, tag, err);
}

static int list_at(void *arg, struct reg_remote *r, struct bh_err *err) {
    struct tag_list *l = arg;
    const struct reg_pages pages = {.below = l->below, .key = "tags", .what = l->what, .take = take_tag, .arg = l};

    l->tags.n = 0;
    l->more = false;
    return reg_pages_read(r, &pages, err);
}

static int first_page(struct tag_list *l, struct bh_err *err) {
    if (*l->req->last && !reg_tag_valid(l->req->last))
        return bh_err_set(err, BH_E_INVALID, "\"%s\" is no tag", l->req->last);
    if (*l->req->pattern && bh_glob_match(l->req->pattern, "x") < 0)
        return bh_err_set(err, BH_E_INVALID, "pattern \"%s\": malformed", l->req->pattern);
    snprintf(l->below, sizeof l->below, "tags/list?n=1000%s%s", *l->req->last ? "&last=" : "", l->req->last);
    return 0;
}

struct tag_call {
    const struct reg_visit *visit;
    struct tag_list *list;
};

static int list_meaning(void *arg, const struct bh_ref *ref, bool *out_found, struct bh_err *err) {
    const struct tag_call *c = arg;
    const struct reg_route_options options = {REG_LIST, c->visit->caller->tls_verify, c->visit->caller->admin};
    struct reg_places places;

    (void)out_found;
    if (ref->tag[0] || ref->digest[0])
        return bh_err_set(err, BH_E_INVALID, "%s: the name of a repository has no tag and no digest",
                          c->list->req->repository);
    bh_ref_familiar_name(ref, c->list->what);
    if (reg_route(c->visit->conf, ref, &options, &places, err) != 0)
        return err->code;
    return reg_each_place(c->visit, &places, list_at, c->list, err);
}

int reg_rpc_tag_list(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const REG_MSG(TagListRequest) *req = (const REG_MSG(TagListRequest) *)request;
    REG_SCOPE_CONF struct reg_conf *conf = reg_room_conf(room);
    REG_SCOPE_ARENA struct bh_arena arena;
    BH_SCOPE_FREE struct reg_meanings *meanings = bh_xcalloc(1, sizeof *meanings);
    REG_MSG(TagListReply) reply = BULKHEAD__REGISTRY__V1__TAG_LIST_REPLY__INIT;
    struct tag_list list = {.req = req, .arena = &arena};
    struct reg_caller caller;
    const struct reg_visit visit = {room, conf, &caller, "pull"};
    struct tag_call ask = {&visit, &list};

    bh_arena_init(&arena, REG_CALL_ARENA);
    if (reg_caller_of(call, req->remote, &caller, err) != 0 ||
        reg_meanings_of(conf, req->repository, meanings, err) != 0 || first_page(&list, err) != 0 ||
        reg_each_meaning(meanings, list_meaning, &ask, NULL, err) != 0)
        return err->code;
    reply.repository = list.what;
    reply.tag = (char **)list.tags.v;
    reply.n_tag = list.tags.n;
    reply.more = list.more;
    return bh_call_reply(call, &reply.base, err);
}

/* ---- removal ------------------------------------------------------------------------------------- */

struct removal {
    const struct bh_ref *ref;
    char what[BH_REF_TEXT_SIZE];
    char digest[BH_DIGEST_TEXT_SIZE];
};

static int remove_one(struct reg_remote *r, const char *tag_or_digest, const char *what, bool *out_refused,
                      struct bh_err *err) {
    REG_SCOPE_RESPONSE struct reg_http_response answer = REG_HTTP_RESPONSE_INIT;
    const struct reg_http_request req = {.method = "DELETE", .what = what};
    char below[300];

    snprintf(below, sizeof below, "manifests/%s", tag_or_digest);
    *out_refused = false;
    if (reg_remote_send(r, &req, below, &answer, err) != 0)
        return err->code;
    if (answer.status == 200 || answer.status == 202 || answer.status == 204)
        return 0;
    *out_refused = answer.status == 400 || answer.status == 405;
    return reg_remote_status(r, &answer, what, err);
}

/* Registries that cannot remove a tag alone remove the manifest, and with it all its tags. */
static int remove_at(void *arg, struct reg_remote *r, struct bh_err *err) {
    struct removal *d = arg;
    struct reg_manifest m = {0};
    struct bh_err first = BH_ERR_INIT;
    bool refused;
    int rc;

    if (d->ref->digest[0]) {
        (void)bh_str_copy(d->digest, sizeof d->digest, d->ref->digest);
        return remove_one(r, d->digest, d->what, &refused, err);
    }
    rc = reg_remote_manifest_head(r, d->ref->tag, d->what, &m, err);
    if (rc == BH_E_NOT_FOUND)
        reg_tags_hint(r, d->ref->tag, err);
    if (rc != 0)
        return rc;
    memcpy(d->digest, m.digest, sizeof d->digest);
    rc = remove_one(r, d->ref->tag, d->what, &refused, &first);
    if (rc != 0 && refused)
        return remove_one(r, d->digest, d->what, &refused, err);
    if (rc != 0)
        *err = first;
    return rc;
}

int reg_rpc_remote_delete(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const REG_MSG(RemoteDeleteRequest) *req = (const REG_MSG(RemoteDeleteRequest) *)request;
    REG_SCOPE_CONF struct reg_conf *conf = reg_room_conf(room);
    REG_MSG(RemoteDeleteReply) reply = BULKHEAD__REGISTRY__V1__REMOTE_DELETE_REPLY__INIT;
    struct removal removal = {0};
    struct reg_places places;
    struct reg_caller caller;
    struct bh_ref ref;
    char note[256];

    if (reg_caller_of(call, req->remote, &caller, err) != 0 || reg_complete(conf, req->reference, &ref, note, err) != 0)
        return err->code;
    if (!ref.tag[0] && !ref.digest[0])
        return bh_err_set(err, BH_E_INVALID, "%s: name the tag or the digest that is to be removed", req->reference);
    removal.ref = &ref;
    bh_ref_familiar(&ref, removal.what);
    const struct reg_route_options options = {REG_DELETE, caller.tls_verify, caller.admin};
    const struct reg_visit visit = {room, conf, &caller, "pull,delete"};
    if (reg_route(conf, &ref, &options, &places, err) != 0 ||
        reg_each_place(&visit, &places, remove_at, &removal, err) != 0)
        return err->code;
    reply.digest = removal.digest;
    return bh_call_reply(call, &reply.base, err);
}
