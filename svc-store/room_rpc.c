/*
 * room_rpc.c - handlers for the other rooms: layers by descriptor, containers, commit.
 *
 * Room: store.  Only runtime and build may call these (methods.c); they say on whose behalf, and that
 * owner's view decides.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "compose.h"
#include "container.h"
#include "hold.h"
#include "image.h"
#include "import.h"
#include "imageconf/imageconf.h"
#include "base/clock.h"
#include "methods.h"
#include "name.h"
#include "place.h"
#include "result.h"
#include "store.pb-c.h"

#define MSG(name) Bulkhead__Store__V1__##name

static struct store_who behalf(uid_t owner) {
    return (struct store_who){.owner = owner, .all = owner == 0};
}

/* ---- opening an image ---------------------------------------------------------------------- */

struct opened {
    struct store_found found;
    struct store_image image;
    struct bh_image_config config;
    struct store_image_layer *layers;
    size_t n_layers;
    char reference[BH_REF_TEXT_SIZE];
};

static int note_use(struct store_db *db, const MSG(ImageOpenRequest) * req, const struct store_found *found,
                    struct bh_err *err) {
    const struct store_container c = {
        .id = req->container_id, .name = req->container_name, .image_id = found->id, .owner = req->owner};

    if (req->container_id[0] == '\0' && req->no_layers)
        return 0; /* only looked at (ps, filters): that is no use of it */
    if (req->container_id[0] != '\0' && store_container_uses(db, &c, found->k, err) != 0)
        return err->code;
    return store_exec(db, NULL, err, "UPDATE image SET last_used_ns=? WHERE k=?", "ii", bh_now_ns(), found->k);
}

/* More do not fit into one start (svc-runtime/wire/launch_wire.h); docker's depth is 127. */
#define RUN_MAX_LAYERS 128

static int check_depth(const MSG(ImageOpenRequest) * req, const struct opened *o, struct bh_err *err) {
    if ((req->no_layers && req->container_id[0] == '\0') || o->n_layers <= RUN_MAX_LAYERS)
        return 0;
    bh_err_set(err, BH_E_LIMIT, "image %.19s has %zu layers; a container can have %d", o->found.id, o->n_layers,
               RUN_MAX_LAYERS);
    return bh_err_hint(err, "`bulkhead import` of an exported root file system makes one layer of them");
}

static int check_runs(const MSG(ImageOpenRequest) * req, const struct opened *o, struct bh_err *err) {
    if ((req->no_layers && req->container_id[0] == '\0') || o->image.artifact[0] == '\0')
        return 0;
    bh_err_set(err, BH_E_INVALID, "%.19s is no image that can run: it is an artifact of type %s", o->found.id,
               o->image.artifact);
    return bh_err_reason(err, "not-an-image");
}

/* Of an index several images may be here; the name means one of them. */
static int other_platform(struct store_db *db, const MSG(ImageOpenRequest) * req, struct store_found *found,
                          struct bh_err *err) {
    struct bh_platform want, have;
    int best = -1, r;
    sqlite3_stmt *st;

    if (req->platform[0] == '\0' || !found->by_name || found->index[0] == '\0')
        return 0;
    if (bh_platform_parse(req->platform, &want, err) != 0 ||
        store_query(db, &st, err,
                    "SELECT i.k, i.id, x.manifest, i.os, i.arch, i.variant FROM index_image x JOIN image i"
                    " ON i.k=x.image WHERE x.idx=? AND i.owner=? AND i.artifact='' ORDER BY i.k=? DESC, i.id",
                    "tii", found->index, (int64_t)req->owner, found->k) != 0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0) {
        have = store_platform(store_text(st, 3), store_text(st, 4), store_text(st, 5));
        int rank = bh_platform_rank(&want, &have);

        if (rank < 0 || (best >= 0 && rank >= best))
            continue;
        best = rank;
        found->k = sqlite3_column_int64(st, 0);
        bh_str_copy(found->id, sizeof found->id, store_text(st, 1));
        bh_str_copy(found->manifest, sizeof found->manifest, store_text(st, 2));
    }
    return r;
}

/* One transaction: between finding the image and noting its user nobody can remove it. */
static int open_image(struct store *s, const MSG(ImageOpenRequest) * req, struct bh_arena *arena, struct opened *o,
                      struct bh_err *err) {
    const struct store_who who = behalf(req->owner);
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    const void *packed;
    size_t n;

    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0 ||
        store_find_kept(db, &who, req->name, &o->found, err) != 0 || other_platform(db, req, &o->found, err) != 0 ||
        store_image_get(db, o->found.k, arena, &o->image, err) != 0 ||
        store_image_reduced(db, o->found.k, arena, &packed, &n, err) != 0 ||
        store_config_unpack(packed, n, arena, &o->config, err) != 0 ||
        store_image_layers(db, o->found.k, arena, &o->layers, &o->n_layers, err) != 0 || check_runs(req, o, err) != 0 ||
        check_depth(req, o, err) != 0 || note_use(db, req, &o->found, err) != 0)
        return err->code;
    if (o->found.by_name)
        bh_ref_format(&o->found.ref, o->reference);
    return store_write_commit(&db, err);
}

static int give_files(struct store *s, struct bh_call *call, char *const *diff_ids, size_t n_layers,
                      struct bh_err *err) {
    int fds[RUN_MAX_LAYERS];
    unsigned n = 0;
    int r = 0;

    while (r == 0 && n < n_layers) {
        r = store_file_open(&s->place, STORE_LAYERS, diff_ids[n], &fds[n], err);
        n += r == 0;
    }
    if (r == 0)
        r = bh_call_give_fds(call, fds, n, err);
    while (n > 0)
        close(fds[--n]);
    return r;
}

static int give_layers(struct store *s, struct bh_call *call, const struct opened *o, struct bh_err *err) {
    char *diff_ids[RUN_MAX_LAYERS];

    if (o->n_layers == 0)
        return bh_err_set(err, BH_E_INVALID, "image %.19s has no layer: there is nothing to run", o->image.id);
    for (size_t i = 0; i < o->n_layers; i++)
        diff_ids[i] = (char *)o->layers[i].diff_id;
    return give_files(s, call, diff_ids, o->n_layers, err);
}

static int open_reply(const struct opened *o, bool layers, struct bh_arena *arena, MSG(ImageOpenReply) * reply,
                      struct bh_err *err) {
    if (bh_imageconf_to_msg(&o->config, arena, &reply->config, err) != 0)
        return err->code;
    reply->id = (char *)o->image.id;
    reply->reference = (char *)o->reference;
    reply->os = (char *)o->image.os;
    reply->architecture = (char *)o->image.arch;
    reply->parent_id = (char *)o->image.parent;
    for (size_t i = 0; i < o->n_layers; i++)
        reply->size += o->layers[i].content;
    if (!layers)
        return 0;
    reply->diff_id = bh_oci_alloc(arena, (o->n_layers + 1) * sizeof(char *), err);
    if (reply->diff_id == NULL)
        return err->code;
    for (size_t i = 0; i < o->n_layers; i++)
        reply->diff_id[i] = (char *)o->layers[i].diff_id;
    reply->n_diff_id = o->n_layers;
    return 0;
}

int store_rpc_image_open(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(ImageOpenRequest) *req = (const MSG(ImageOpenRequest) *)request;
    MSG(ImageOpenReply) reply = BULKHEAD__STORE__V1__IMAGE_OPEN_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct opened o = {0};

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (open_image(room, req, &arena, &o, err) != 0)
        return err->code;
    if (!req->no_layers && give_layers(room, call, &o, err) != 0)
        return err->code;
    if (open_reply(&o, !req->no_layers, &arena, &reply, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}

/* ---- layers of a step ---------------------------------------------------------------------- */

static int layers_open(struct store *s, struct bh_call *call, const struct store_hold *h,
                       const MSG(LayersOpenRequest) * req, struct bh_err *err) {
    MSG(LayersOpenReply) reply = BULKHEAD__STORE__V1__LAYERS_OPEN_REPLY__INIT;

    if (req->n_diff_id == 0)
        return bh_err_set(err, BH_E_INVALID, "a step without a layer has nothing to run");
    if (req->n_diff_id > RUN_MAX_LAYERS)
        return bh_err_set(err, BH_E_LIMIT, "a step on %zu layers; a container can have %d", req->n_diff_id,
                          RUN_MAX_LAYERS);
    if (store_layers_claim(s, &h->who, h->lease, req->diff_id, req->n_diff_id, err) != 0 ||
        give_files(s, call, req->diff_id, req->n_diff_id, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}

int store_rpc_layers_open(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(LayersOpenRequest) *req = (const MSG(LayersOpenRequest) *)request;
    struct store_hold *h;

    if (store_hold_use_lent(room, req->hold, &h, err) != 0)
        return err->code;
    layers_open(room, call, h, req, err);
    store_hold_done(room, h);
    return err->code;
}

/* ---- containers ---------------------------------------------------------------------------- */

static struct store_container container_of_msg(const MSG(ContainerNoteRequest) * m) {
    return (struct store_container){
        .id = m->id, .name = m->name, .image_id = m->image_id, .owner = m->owner, .running = m->running};
}

int store_rpc_container_note(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const struct store_container c = container_of_msg((const MSG(ContainerNoteRequest) *)request);
    MSG(ContainerNoteReply) reply = BULKHEAD__STORE__V1__CONTAINER_NOTE_REPLY__INIT;

    if (store_container_note(room, &c, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}

int store_rpc_container_forget(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    MSG(ContainerForgetReply) reply = BULKHEAD__STORE__V1__CONTAINER_FORGET_REPLY__INIT;

    if (store_container_forget(room, ((const MSG(ContainerForgetRequest) *)request)->id, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}

int store_rpc_container_sync(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(ContainerSyncRequest) *req = (const MSG(ContainerSyncRequest) *)request;
    MSG(ContainerSyncReply) reply = BULKHEAD__STORE__V1__CONTAINER_SYNC_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct store_container *v;

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    v = bh_oci_alloc(&arena, (req->n_container + 1) * sizeof *v, err);
    if (v == NULL)
        return err->code;
    for (size_t i = 0; i < req->n_container; i++)
        v[i] = container_of_msg(req->container[i]);
    if (store_container_sync(room, v, req->n_container, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}

/* ---- commit -------------------------------------------------------------------------------- */

static int give_pipe(void *arg, int *out_fd, struct bh_err *err) {
    return bh_call_give_pipe(arg, -1, out_fd, err);
}

static int commit(struct store *s, struct bh_call *call, const MSG(CommitRequest) * req, struct bh_arena *arena,
                  char id[STORE_DIGEST_SIZE], struct bh_err *err) {
    struct bh_image_config config;
    struct store_commit c = {
        .owner = req->owner,
        .parent = req->parent_id,
        .author = req->author,
        .comment = req->comment,
        .created_by = req->created_by,
        .created_ns = req->created_ns,
        .changes = (const char *const *)req->change,
        .n_changes = req->n_change,
        .reference = req->reference,
        .layer = req->empty_layer ? NULL : give_pipe,
        .arg = call,
        .cancel_fd = bh_call_cancel_fd(call),
    };

    if (req->config != NULL) {
        if (bh_imageconf_from_msg(req->config, arena, &config, err) != 0)
            return err->code;
        c.config = &config.config;
    }
    return store_commit(s, &c, id, err);
}

int store_rpc_commit(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    MSG(CommitReply) reply = BULKHEAD__STORE__V1__COMMIT_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    char id[STORE_DIGEST_SIZE];

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (commit(room, call, (const MSG(CommitRequest) *)request, &arena, id, err) != 0)
        return err->code;
    reply.id = id;
    return bh_call_reply(call, &reply.base, err);
}
