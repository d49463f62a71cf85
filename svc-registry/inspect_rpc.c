/*
 * inspect_rpc.c - handler: a manifest, an index or a config as it is on the registry; nothing is kept.
 *
 * Room: registry.  The bytes travel as they came.  What they say is read by the store's worker (DocumentPut,
 * read_only).
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "imageconf/imageconf.h"
#include "oci/manifest.h"
#include "svc-registry/caller_rpc.h"
#include "svc-registry/methods.h"
#include "svc-registry/pages.h"
#include "svc-registry/short_name.h"

#define MAX_MANIFESTS 200

struct look {
    struct reg_room *room;
    const REG_MSG(RemoteInspectRequest) * req;
    const struct bh_ref *ref;
    bool found; /* the name is there */
    const struct reg_caller *caller;
    char what[BH_REF_TEXT_SIZE], canonical[BH_REF_TEXT_SIZE];
    struct bh_arena *arena;
    struct reg_hold *hold;
    REG_MSG(RemoteInspectReply) reply;
};

/* The bytes move into the arena: a reply is small beside it. */
static int keep_document(struct look *l, const struct reg_manifest *m, const char *media_type,
                         REG_MSG(RemoteDocument) * *out, struct bh_err *err) {
    REG_MSG(RemoteDocument) *doc = bh_oci_alloc(l->arena, sizeof *doc, err);
    Bulkhead__Image__V1__Descriptor *desc = doc ? bh_oci_alloc(l->arena, sizeof *desc, err) : NULL;
    const char *data = desc ? bh_oci_strdup(l->arena, bh_buf_str(&m->data), m->data.len, err) : NULL;

    if (!data)
        return err->code;
    bulkhead__registry__v1__remote_document__init(doc);
    bulkhead__image__v1__descriptor__init(desc);
    desc->size = m->data.len;
    desc->digest = (char *)bh_oci_strdup(l->arena, m->digest, strlen(m->digest), err);
    desc->media_type = (char *)bh_oci_strdup(l->arena, media_type, strlen(media_type), err);
    if (!desc->digest || !desc->media_type)
        return err->code;
    doc->desc = desc;
    doc->data = (ProtobufCBinaryData){m->data.len, (uint8_t *)data};
    *out = doc;
    return 0;
}

static int read_document(struct look *l, const void *data, size_t n, const char *digest, const char *media_type,
                         bool config, struct reg_document_info *out, struct bh_err *err) {
    const struct reg_document doc = {
        .digest = digest, .media_type = media_type, .data = data, .size = n, .config = config, .read_only = true};

    if (!l->hold && reg_hold_begin(l->room->store, l->caller->owner, "inspect", &l->hold, err) != 0)
        return err->code;
    return reg_hold_document(l->hold, &doc, l->arena, out, err);
}

static int fetch(struct look *l, struct reg_remote *r, const char *digest, REG_MSG(RemoteDocument) * *out,
                 struct reg_document_info *info, struct bh_err *err) {
    struct reg_manifest m;
    int rc = reg_remote_manifest(r, digest, l->what, &m, err);

    if (rc != 0)
        return rc;
    rc = read_document(l, m.data.data, m.data.len, m.digest, m.media_type, false, info, err);
    if (rc == 0)
        rc = keep_document(l, &m, info->media_type, out, err);
    reg_manifest_fini(&m);
    return rc;
}

/* ---- the parts of an index ----------------------------------------------------------------------- */

static int new_list(struct look *l, size_t n, struct bh_err *err) {
    l->reply.manifest = bh_oci_alloc(l->arena, (n + 1) * sizeof *l->reply.manifest, err);
    return l->reply.manifest ? 0 : err->code;
}

static int take_all(struct look *l, struct reg_remote *r, const struct reg_document_info *index, struct bh_err *err) {
    struct reg_document_info ignored;

    if (index->n_entries > MAX_MANIFESTS)
        return bh_err_set(err, BH_E_LIMIT, "%s: more than %d manifests", l->what, MAX_MANIFESTS);
    if (new_list(l, index->n_entries, err) != 0)
        return err->code;
    for (size_t i = 0; i < index->n_entries; i++) {
        if (fetch(l, r, index->entries[i].digest_text, &l->reply.manifest[i], &ignored, err) != 0)
            return err->code;
        l->reply.n_manifest++;
    }
    return 0;
}

static int choose(struct look *l, const struct reg_document_info *info, const struct bh_desc **out,
                  struct bh_err *err) {
    const struct bh_index index = {.entries = info->entries, .n_entries = info->n_entries};
    struct bh_platform want;
    long at;

    bh_platform_host(&want);
    if (*l->req->platform && bh_platform_parse(l->req->platform, &want, err) != 0)
        return err->code;
    at = bh_index_choose(&index, &want);
    if (at < 0)
        return bh_index_no_match(&want, l->what, err);
    *out = &info->entries[at];
    return 0;
}

static int take_config(struct look *l, struct reg_remote *r, const struct reg_document_info *manifest,
                       struct bh_err *err) {
    struct reg_manifest m = {0};
    struct reg_document_info info;
    ProtobufCAllocator *none = NULL;
    int rc;

    if (*manifest->not_an_image)
        return 0; /* an artifact: its config is none of an image */
    rc = reg_remote_blob(r, manifest->config.digest_text, manifest->config.size, l->what, &m.data, err);
    if (rc != 0)
        return rc;
    (void)bh_str_copy(m.digest, sizeof m.digest, manifest->config.digest_text);
    rc = read_document(l, m.data.data, m.data.len, m.digest, "", true, &info, err);
    if (rc == 0)
        rc = keep_document(l, &m, manifest->config.media_type, &l->reply.config, err);
    if (rc == 0 && info.image_config)
        l->reply.image_config =
            bulkhead__image__v1__image_config__unpack(none, info.image_config_size, info.image_config);
    reg_manifest_fini(&m);
    return rc;
}

static int take_parts(struct look *l, struct reg_remote *r, struct reg_document_info *top, struct bh_err *err) {
    struct reg_document_info chosen = *top;
    const struct bh_desc *entry;

    if (top->is_index && l->req->all_platforms && take_all(l, r, top, err) != 0)
        return err->code;
    if (top->is_index && !l->req->all_platforms && (*l->req->platform || l->req->config)) {
        if (choose(l, top, &entry, err) != 0 || new_list(l, 1, err) != 0 ||
            fetch(l, r, entry->digest_text, &l->reply.manifest[0], &chosen, err) != 0)
            return err->code;
        l->reply.n_manifest = 1;
    }
    return l->req->config && !chosen.is_index ? take_config(l, r, &chosen, err) : 0;
}

static void reset(struct look *l) {
    if (l->reply.image_config)
        bulkhead__image__v1__image_config__free_unpacked(l->reply.image_config, NULL);
    bulkhead__registry__v1__remote_inspect_reply__init(&l->reply);
}

static int look_at(void *arg, struct reg_remote *r, struct bh_err *err) {
    struct look *l = arg;
    struct reg_document_info top;
    const char *name = l->ref->digest[0] ? l->ref->digest : l->ref->tag;

    reset(l);
    if (fetch(l, r, name, &l->reply.top, &top, err) != 0) {
        reg_tags_hint(r, l->ref->digest[0] ? "" : l->ref->tag, err);
        return err->code;
    }
    l->found = true;
    return take_parts(l, r, &top, err);
}

static int look_for(void *arg, const struct bh_ref *ref, bool *out_found, struct bh_err *err) {
    struct look *l = arg;
    REG_SCOPE_CONF struct reg_conf *conf = reg_room_conf(l->room);
    const struct reg_route_options options = {REG_PULL, l->caller->tls_verify, l->caller->admin};
    const struct reg_visit visit = {l->room, conf, l->caller, "pull"};
    struct reg_places places;

    l->ref = ref;
    bh_ref_familiar(ref, l->what);
    bh_ref_format(ref, l->canonical);
    if (reg_route(conf, ref, &options, &places, err) == 0)
        (void)reg_each_place(&visit, &places, look_at, l, err);
    *out_found = l->found;
    return err->code;
}

int reg_rpc_remote_inspect(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const REG_MSG(RemoteInspectRequest) *req = (const REG_MSG(RemoteInspectRequest) *)request;
    REG_SCOPE_CONF struct reg_conf *conf = reg_room_conf(room);
    REG_SCOPE_ARENA struct bh_arena arena;
    BH_SCOPE_FREE struct reg_meanings *meanings = bh_xcalloc(1, sizeof *meanings);
    struct reg_caller caller;
    struct look look = {.room = room, .req = req, .arena = &arena, .caller = &caller};

    bh_arena_init(&arena, REG_CALL_ARENA);
    if (reg_caller_of(call, req->remote, &caller, err) != 0 ||
        reg_meanings_of(conf, req->reference, meanings, err) != 0)
        return err->code;
    for (size_t i = 0; i < meanings->n; i++)
        (void)bh_ref_default_tag(&meanings->v[i]);
    int rc = reg_each_meaning(meanings, look_for, &look, NULL, err);
    if (rc == 0) {
        look.reply.reference = look.canonical;
        rc = bh_call_reply(call, &look.reply.base, err);
    }
    reset(&look);
    reg_hold_end(look.hold);
    return rc;
}
