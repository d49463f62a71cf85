/*
 * build_rpc.c - handlers for builds: contexts, layers made of files, images, the cache.
 *
 * Room: store.  A context comes from a person, or from a room on his behalf; all else under a hold is the build
 * room's, but for the layers of steps, which the runtime brings under the hold that the build lends it.
 */
#include <string.h>
#include <unistd.h>

#include "assemble.h"
#include "assemble_index.h"
#include "base/mem.h"
#include "cache.h"
#include "compose.h"
#include "context.h"
#include "hold.h"
#include "imageconf/imageconf.h"
#include "image_rpc.h"
#include "layer.h"
#include "methods.h"
#include "store.pb-c.h"
#include "unpack/jobs.h"

#define MSG(name) Bulkhead__Store__V1__##name

static int use_hold(struct store *s, const struct bh_call *call, uint64_t id, struct store_hold **out,
                    struct bh_err *err) {
    const struct bh_peer *p = bh_call_peer(call);

    return (p->roles & BH_ROLE_RUNTIME) != 0 ? store_hold_use_lent(s, id, out, err)
                                             : store_hold_use(s, id, p->uid, out, err);
}

static struct store_for for_hold(struct bh_call *call, const struct store_hold *h) {
    return (struct store_for){
        .who = h->who, .lease = h->lease, .cancel_fd = bh_call_cancel_fd(call), .end_fd = h->end_fd};
}

/* ---- contexts ------------------------------------------------------------------------------ */

static int context_begin(void *call, struct bh_err *err) {
    MSG(ContextEvent) e = BULKHEAD__STORE__V1__CONTEXT_EVENT__INIT;

    e.send_list = true;
    return bh_call_send_msg(call, &e.base, err);
}

static int context_recv(void *call, const void **out, size_t *out_n, struct bh_err *err) {
    return bh_call_recv_bytes(call, out, out_n, err);
}

static void context_stop(void *call) {
    bh_call_stop_recv(call);
}

static int context_want(void *call, const uint64_t *numbers, size_t n, bool last, struct bh_err *err) {
    MSG(ContextEvent) e = BULKHEAD__STORE__V1__CONTEXT_EVENT__INIT;

    e.want = (uint64_t *)numbers;
    e.n_want = n;
    e.asked_all = last;
    return bh_call_send_msg(call, &e.base, err);
}

/* Rooms say whose it is; a person is himself. */
static uid_t context_owner(const struct bh_call *call, uint32_t owner) {
    const struct bh_peer *p = bh_call_peer(call);

    if ((p->roles & (BH_ROLE_REGISTRY | BH_ROLE_BUILD)) != 0)
        return owner;
    return store_who_of(call).owner;
}

int store_rpc_context_put(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(ContextPutRequest) *req = (const MSG(ContextPutRequest) *)request;
    const struct store_context_put put = {
        .owner = context_owner(call, req->owner),
        .key = req->key,
        .id = req->id,
        .begin = context_begin,
        .recv = context_recv,
        .stop = context_stop,
        .want = context_want,
        .arg = call,
        .cancel_fd = bh_call_cancel_fd(call),
    };
    MSG(ContextEvent) e = BULKHEAD__STORE__V1__CONTEXT_EVENT__INIT;
    struct store_context_result result;

    if (store_context_put(room, &put, &result, err) != 0)
        return err->code;
    e.id = result.id;
    e.sent = result.sent;
    e.kept = result.kept;
    return bh_call_send_msg(call, &e.base, err);
}

/* ---- layers -------------------------------------------------------------------------------- */

static int layer_compose(struct store *s, struct bh_call *call, const struct store_hold *h,
                         const MSG(LayerComposeRequest) * req, struct bh_err *err) {
    MSG(LayerComposeReply) reply = BULKHEAD__STORE__V1__LAYER_COMPOSE_REPLY__INIT;
    const struct store_for f = for_hold(call, h);
    struct store_composed c;

    if (store_compose(s, &f, req, &c, err) != 0) {
        store_composed_fini(&c);
        return err->code;
    }
    reply.target = c.targets;
    reply.n_target = c.n_targets;
    reply.content = c.content;
    reply.place = c.place;
    reply.files = c.files;
    reply.empty = c.empty;
    if (!req->only_digest && !c.empty) {
        reply.diff_id = c.layer.diff_id;
        reply.tar_size = c.layer.tar_size;
    }
    bh_call_reply(call, &reply.base, err);
    store_composed_fini(&c);
    return err->code;
}

int store_rpc_layer_compose(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(LayerComposeRequest) *req = (const MSG(LayerComposeRequest) *)request;
    struct store_hold *h;

    if (use_hold(room, call, req->hold, &h, err) != 0)
        return err->code;
    layer_compose(room, call, h, req, err);
    store_hold_done(room, h);
    return err->code;
}

/* The pipe, and the file that the caller keeps what it wants in; it is gone with the last descriptor. */
static int give_tar_fds(struct store *s, struct bh_call *call, bool spool, int *out_fd, struct bh_err *err) {
    struct store_temp file;

    if (!spool)
        return bh_call_give_pipe(call, -1, out_fd, err);
    if (store_temp_open(&s->place, &file, err) != 0)
        return err->code;
    bh_call_give_pipe(call, file.fd, out_fd, err);
    store_temp_drop(&s->place, &file);
    return err->code;
}

static int layer_tar(struct store *s, struct bh_call *call, const struct store_hold *h,
                     const MSG(LayerTarRequest) * req, struct bh_err *err) {
    MSG(LayerTarReply) reply = BULKHEAD__STORE__V1__LAYER_TAR_REPLY__INIT;
    BH_SCOPE_CLOSE int fd = -1;
    struct store_layer_source src = {
        .size = BH_JOB_TO_END,
        .flags = req->compressed ? 0 : BH_JOB_F_STRICT_END | BH_JOB_F_PLAIN_ONLY,
        .waits = true,
        .digest = "",
        .diff_id = "",
        .what = "layer",
        .cancel_fd = bh_call_cancel_fd(call),
        .end_fd = h->end_fd,
    };
    struct store_layer_result r;

    if (give_tar_fds(s, call, req->spool, &fd, err) != 0)
        return err->code;
    src.fd = fd;
    if (store_layer_make(s, h->who.owner, h->lease, &src, &r, err) != 0)
        return err->code;
    reply.diff_id = r.diff_id;
    reply.tar_size = r.tar_size;
    reply.entries = r.entries;
    return bh_call_reply(call, &reply.base, err);
}

int store_rpc_layer_tar(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(LayerTarRequest) *req = (const MSG(LayerTarRequest) *)request;
    struct store_hold *h;

    if (use_hold(room, call, req->hold, &h, err) != 0)
        return err->code;
    layer_tar(room, call, h, req, err);
    store_hold_done(room, h);
    return err->code;
}

static int layer_file(struct store *s, struct bh_call *call, const struct store_hold *h,
                      const MSG(LayerFileRequest) * req, struct bh_err *err) {
    MSG(LayerFileReply) reply = BULKHEAD__STORE__V1__LAYER_FILE_REPLY__INIT;
    const struct store_for f = for_hold(call, h);
    STORE_SCOPE_ARENA struct bh_arena arena;
    const void *data;

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (store_layer_file(s, &f, req, &arena, &data, &reply.data.len, &reply.mode, err) != 0)
        return err->code;
    reply.data.data = (uint8_t *)data;
    return bh_call_reply(call, &reply.base, err);
}

int store_rpc_layer_file(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(LayerFileRequest) *req = (const MSG(LayerFileRequest) *)request;
    struct store_hold *h;

    if (use_hold(room, call, req->hold, &h, err) != 0)
        return err->code;
    layer_file(room, call, h, req, err);
    store_hold_done(room, h);
    return err->code;
}

/* ---- images -------------------------------------------------------------------------------- */

static int pairs_of(Bulkhead__Common__V1__Pair **v, size_t n, struct bh_arena *arena, struct bh_pairs *out,
                    struct bh_err *err) {
    for (size_t i = 0; i < n; i++)
        if (bh_pairs_set(out, arena, v[i]->key, v[i]->value, err) != 0)
            return err->code;
    return 0;
}

static int image_make(struct store *s, struct bh_call *call, const struct store_hold *h,
                      const MSG(ImageMakeRequest) * req, struct bh_err *err) {
    MSG(ImageMakeReply) reply = BULKHEAD__STORE__V1__IMAGE_MAKE_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct bh_image_config config;
    struct bh_pairs annotations = {0};
    struct store_assemble a = {
        .who = h->who,
        .lease = h->lease,
        .config = &config,
        .names = (const char *const *)req->name,
        .n_names = req->n_name,
        .parent = req->parent_id,
        .keep = req->keep,
        .annotations = &annotations,
    };
    struct store_assembled made;

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (req->config == NULL)
        return bh_err_set(err, BH_E_INVALID, "an image needs a config");
    if (bh_imageconf_from_msg(req->config, &arena, &config, err) != 0 ||
        pairs_of(req->annotation, req->n_annotation, &arena, &annotations, err) != 0 ||
        store_assemble(s, &a, &arena, &made, err) != 0)
        return err->code;
    reply.id = made.id;
    reply.manifest_digest = made.manifest;
    reply.replaced = made.replaced;
    reply.n_replaced = made.n_replaced;
    return bh_call_reply(call, &reply.base, err);
}

int store_rpc_image_make(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(ImageMakeRequest) *req = (const MSG(ImageMakeRequest) *)request;
    struct store_hold *h;

    if (use_hold(room, call, req->hold, &h, err) != 0)
        return err->code;
    image_make(room, call, h, req, err);
    store_hold_done(room, h);
    return err->code;
}

static int index_make(struct store *s, struct bh_call *call, struct store_hold *h, const MSG(IndexMakeRequest) * req,
                      struct bh_err *err) {
    MSG(IndexMakeReply) reply = BULKHEAD__STORE__V1__INDEX_MAKE_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct bh_pairs annotations = {0}, on_the_index = {0};
    struct store_assembled_index made;
    struct bh_image_config *configs;
    struct store_assemble_index a = {
        .hold = h,
        .n = req->n_config,
        .names = (const char *const *)req->name,
        .n_names = req->n_name,
        .keep = req->keep,
        .annotations = &annotations,
        .on_the_index = &on_the_index,
        .cancel_fd = bh_call_cancel_fd(call),
    };

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (req->n_config == 0 || req->n_config > STORE_INDEX_IMAGES)
        return bh_err_set(err, BH_E_INVALID, "an index has 1 to %d images", STORE_INDEX_IMAGES);
    a.configs = configs = bh_oci_alloc(&arena, req->n_config * sizeof *configs, err);
    if (configs == NULL)
        return err->code;
    for (size_t i = 0; i < req->n_config; i++)
        if (bh_imageconf_from_msg(req->config[i], &arena, &configs[i], err) != 0)
            return err->code;
    if (pairs_of(req->annotation, req->n_annotation, &arena, &annotations, err) != 0 ||
        pairs_of(req->index_annotation, req->n_index_annotation, &arena, &on_the_index, err) != 0 ||
        store_assemble_index(s, &a, &arena, &made, err) != 0)
        return err->code;
    reply.id = made.id;
    reply.index_digest = made.index;
    return bh_call_reply(call, &reply.base, err);
}

int store_rpc_index_make(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(IndexMakeRequest) *req = (const MSG(IndexMakeRequest) *)request;
    struct store_hold *h;

    if (use_hold(room, call, req->hold, &h, err) != 0)
        return err->code;
    index_make(room, call, h, req, err);
    store_hold_done(room, h);
    return err->code;
}

/* ---- the cache ----------------------------------------------------------------------------- */

static int cache_get(struct store *s, struct bh_call *call, const struct store_hold *h, const char *key,
                     struct bh_err *err) {
    MSG(CacheGetReply) reply = BULKHEAD__STORE__V1__CACHE_GET_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct store_cached c;

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (store_cache_get(s, &h->who, h->lease, key, &arena, &c, err) != 0)
        return err->code;
    reply.found = c.found;
    reply.diff_id = c.diff_ids;
    reply.n_diff_id = c.n_diff_ids;
    reply.note.data = (uint8_t *)c.note;
    reply.note.len = c.n_note;
    return bh_call_reply(call, &reply.base, err);
}

int store_rpc_cache_get(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(CacheGetRequest) *req = (const MSG(CacheGetRequest) *)request;
    struct store_hold *h;

    if (use_hold(room, call, req->hold, &h, err) != 0)
        return err->code;
    cache_get(room, call, h, req->key, err);
    store_hold_done(room, h);
    return err->code;
}

int store_rpc_cache_put(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(CachePutRequest) *req = (const MSG(CachePutRequest) *)request;
    const struct store_cache_new c = {
        .key = req->key,
        .diff_ids = req->diff_id,
        .n_diff_ids = req->n_diff_id,
        .note = req->note.data,
        .n_note = req->note.len,
        .kind = req->kind[0] != '\0' ? req->kind : "regular",
        .description = req->description,
        .replace = req->replace,
    };
    MSG(CachePutReply) reply = BULKHEAD__STORE__V1__CACHE_PUT_REPLY__INIT;
    struct store_hold *h;
    bool stays;

    if (use_hold(room, call, req->hold, &h, err) != 0)
        return err->code;
    if (store_cache_put(room, &h->who, h->lease, &c, &stays, err) == 0) {
        reply.stays = stays;
        bh_call_reply(call, &reply.base, err);
    }
    store_hold_done(room, h);
    return err->code;
}

static int records_msg(const struct store_cache_record *v, size_t n, struct bh_arena *arena, MSG(CacheRecord) * **out,
                       struct bh_err *err) {
    MSG(CacheRecord) *m = bh_oci_alloc(arena, (n + 1) * sizeof *m, err);

    *out = bh_oci_alloc(arena, (n + 1) * sizeof **out, err);
    if (m == NULL || *out == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++) {
        m[i] = (MSG(CacheRecord))BULKHEAD__STORE__V1__CACHE_RECORD__INIT;
        m[i].id = (char *)v[i].id;
        m[i].kind = (char *)v[i].kind;
        m[i].size = v[i].size;
        m[i].created_ns = v[i].created_ns;
        m[i].last_used_ns = v[i].used_ns;
        m[i].uses = v[i].uses;
        m[i].shared = v[i].shared;
        m[i].description = (char *)v[i].description;
        m[i].in_use = v[i].in_use;
        (*out)[i] = &m[i];
    }
    return 0;
}

int store_rpc_cache_list(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(CacheListRequest) *req = (const MSG(CacheListRequest) *)request;
    MSG(CacheListReply) reply = BULKHEAD__STORE__V1__CACHE_LIST_REPLY__INIT;
    const struct store_who who = store_who_of(call);
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct store_filters filters;
    struct store_cache_record *v;
    size_t n;

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (store_filters_of(req->n_filter, req->filter, &arena, &filters, err) != 0 ||
        store_cache_list(room, &who, &filters, &arena, &v, &n, err) != 0 ||
        records_msg(v, n, &arena, &reply.record, err) != 0)
        return err->code;
    reply.n_record = n;
    for (size_t i = 0; i < n; i++) {
        reply.total += v[i].size;
        reply.reclaimable += v[i].in_use || v[i].shared ? 0 : v[i].size;
    }
    return bh_call_reply(call, &reply.base, err);
}

int store_rpc_cache_prune(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(CachePruneRequest) *req = (const MSG(CachePruneRequest) *)request;
    MSG(CachePruneReply) reply = BULKHEAD__STORE__V1__CACHE_PRUNE_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct store_filters filters;
    struct store_cache_prune p = {.who = store_who_of(call),
                                  .filters = &filters,
                                  .all = req->all,
                                  .keep_bytes = req->keep_bytes,
                                  .dry_run = req->dry_run};
    struct store_cache_record *v;

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (store_filters_of(req->n_filter, req->filter, &arena, &filters, err) != 0 ||
        store_cache_prune(room, &p, &arena, &v, &reply.n_record, &reply.reclaimed, err) != 0 ||
        records_msg(v, reply.n_record, &arena, &reply.record, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}
