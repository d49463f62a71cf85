/*
 * push_rpc.c - handlers for what goes out to a registry: push, blobs by descriptor, where blobs are.
 *
 * Room: store.  Only registry and build may call these (methods.c); what they get is what the owner of
 * the hold may have.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "hold.h"
#include "methods.h"
#include "push.h"
#include "put.h"
#include "store.pb-c.h"

#define MSG(name) Bulkhead__Store__V1__##name

/* Documents beside one image; with more, the rest is left to BlobOpen.  A message has 1 MiB. */
#define DATA_MAX    ((size_t)512 << 10)
#define PROGRESS_NS (BH_NSEC / 10)

/* ---- messages ------------------------------------------------------------------------------ */

static Bulkhead__Image__V1__Descriptor *desc_msg(const struct store_desc *d, struct bh_arena *arena,
                                                 struct bh_err *err) {
    Bulkhead__Image__V1__Descriptor *m = bh_oci_alloc(arena, sizeof *m, err);

    if (m == NULL)
        return NULL;
    bulkhead__image__v1__descriptor__init(m);
    m->media_type = (char *)d->media;
    m->digest = (char *)d->digest;
    m->size = d->size;
    return m;
}

static void data_msg(ProtobufCBinaryData *out, const void *data, uint64_t n, size_t *budget) {
    if (n > *budget)
        return;
    *budget -= (size_t)n;
    out->data = (uint8_t *)data; /* not written to */
    out->len = (size_t)n;
}

static int layer_msg(const struct store_push_layer *l, struct bh_arena *arena, MSG(PushLayer) * *out,
                     struct bh_err *err) {
    MSG(PushLayer) *m = bh_oci_alloc(arena, sizeof *m, err);

    if (m == NULL)
        return err->code;
    bulkhead__store__v1__push_layer__init(m);
    m->desc = desc_msg(&l->desc, arena, err);
    m->diff_id = (char *)l->diff_id;
    m->source = l->sources;
    m->n_source = l->n_sources;
    *out = m;
    return err->code;
}

static int manifest_msg(const struct store_push_manifest *p, struct bh_arena *arena, size_t *budget,
                        MSG(PushManifest) * *out, struct bh_err *err) {
    MSG(PushManifest) *m = bh_oci_alloc(arena, sizeof *m, err);

    if (m == NULL)
        return err->code;
    bulkhead__store__v1__push_manifest__init(m);
    m->desc = desc_msg(&p->desc, arena, err);
    m->config = desc_msg(&p->config, arena, err);
    m->layer = bh_oci_alloc(arena, (p->n_layers + 1) * sizeof *m->layer, err);
    if (m->desc == NULL || m->config == NULL || m->layer == NULL)
        return err->code;
    data_msg(&m->data, p->data, p->desc.size, budget);
    data_msg(&m->config_data, p->config_data, p->config.size, budget);
    for (size_t i = 0; i < p->n_layers; i++)
        if (layer_msg(&p->layers[i], arena, &m->layer[m->n_layer++], err) != 0)
            return err->code;
    *out = m;
    return 0;
}

static int image_msg(const struct store_push_image *p, struct bh_arena *arena, MSG(PushOpenImage) * m,
                     struct bh_err *err) {
    size_t budget = DATA_MAX;

    m->reference = (char *)p->reference;
    m->manifest = bh_oci_alloc(arena, (p->n_manifests + 1) * sizeof *m->manifest, err);
    if (m->manifest == NULL)
        return err->code;
    if (p->index.digest != NULL) {
        m->index = desc_msg(&p->index, arena, err);
        if (m->index == NULL)
            return err->code;
        data_msg(&m->index_data, p->index_data, p->index.size, &budget);
    }
    for (size_t i = 0; i < p->n_manifests; i++)
        if (manifest_msg(&p->manifests[i], arena, &budget, &m->manifest[m->n_manifest++], err) != 0)
            return err->code;
    return 0;
}

/* ---- push ---------------------------------------------------------------------------------- */

struct telling {
    struct bh_call *call;
    int64_t last;
    bool deaf;
};

static void progress(void *arg, const char *diff_id, uint64_t current, uint64_t total) {
    MSG(PushOpenEvent) m = BULKHEAD__STORE__V1__PUSH_OPEN_EVENT__INIT;
    struct bh_err ignored = BH_ERR_INIT;
    struct telling *t = arg;
    int64_t now = bh_mono_ns();

    if (t->deaf || (current != 0 && current != total && now - t->last < PROGRESS_NS))
        return;
    t->last = now;
    m.layer = (char *)diff_id;
    m.current = current;
    m.total = total;
    t->deaf = bh_call_send_msg(t->call, &m.base, &ignored) != 0;
}

static int push(struct store *s, struct bh_call *call, struct store_hold *h, const MSG(PushOpenRequest) * req,
                struct bh_err *err) {
    struct telling telling = {.call = call};
    const struct store_push p = {
        .name = req->name,
        .platform = req->platform,
        .compression = req->compression,
        .level = req->level,
        .force = req->force_compression,
        .repository = req->repository,
        .kept = req->kept,
        .cancel_fd = bh_call_cancel_fd(call),
        .progress = progress,
        .arg = &telling,
    };
    MSG(PushOpenImage) image = BULKHEAD__STORE__V1__PUSH_OPEN_IMAGE__INIT;
    MSG(PushOpenEvent) last = BULKHEAD__STORE__V1__PUSH_OPEN_EVENT__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct store_push_image out;

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (store_push_open(s, h, &p, &arena, &out, err) != 0 || image_msg(&out, &arena, &image, err) != 0)
        return err->code;
    last.image = &image;
    return bh_call_send_msg(call, &last.base, err);
}

int store_rpc_push_open(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(PushOpenRequest) *req = (const MSG(PushOpenRequest) *)request;
    struct store_hold *h;

    if (store_hold_use(room, req->hold, bh_call_peer(call)->uid, &h, err) != 0)
        return err->code;
    push(room, call, h, req, err);
    store_hold_done(room, h);
    return err->code;
}

/* ---- blobs --------------------------------------------------------------------------------- */

static int open_blob(struct store *s, struct bh_call *call, struct store_hold *h, const char *digest,
                     struct bh_err *err) {
    MSG(BlobOpenReply) reply = BULKHEAD__STORE__V1__BLOB_OPEN_REPLY__INIT;
    int fd;

    if (store_hold_blob(s, h, digest, &fd, &reply.offset, &reply.size, err) != 0)
        return err->code;
    bh_call_give_fds(call, &fd, 1, err);
    close(fd);
    return err->code != 0 ? err->code : bh_call_reply(call, &reply.base, err);
}

int store_rpc_blob_open(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(BlobOpenRequest) *req = (const MSG(BlobOpenRequest) *)request;
    struct store_hold *h;

    if (store_hold_use(room, req->hold, bh_call_peer(call)->uid, &h, err) != 0)
        return err->code;
    open_blob(room, call, h, req->digest, err);
    store_hold_done(room, h);
    return err->code;
}

int store_rpc_blob_source_note(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(BlobSourceNoteRequest) *req = (const MSG(BlobSourceNoteRequest) *)request;
    MSG(BlobSourceNoteReply) reply = BULKHEAD__STORE__V1__BLOB_SOURCE_NOTE_REPLY__INIT;
    struct store_hold *h;

    if (store_hold_use(room, req->hold, bh_call_peer(call)->uid, &h, err) != 0)
        return err->code;
    store_sources_note(room, h->who.owner, req->repository, (const char *const *)req->digest, req->n_digest,
                       req->pushed, err);
    store_hold_done(room, h);
    return err->code != 0 ? err->code : bh_call_reply(call, &reply.base, err);
}
