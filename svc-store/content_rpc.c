/*
 * content_rpc.c - handlers for content that comes in pieces: hold, documents, layers, images.
 *
 * Room: store.  Only registry and build may call these (methods.c).  A hold is the caller's own, or one that a build
 * has lent to the registry: its number alone opens nothing.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "document.h"
#include "hold.h"
#include "methods.h"
#include "put.h"
#include "receive.h"
#include "store.pb-c.h"
#include "worker.pb-c.h"

#define MSG(name) Bulkhead__Store__V1__##name
#define REPLY_MAX (((size_t)1 << 20) - 4096)

static int use_hold(struct store *s, const struct bh_call *call, uint64_t id, struct store_hold **out,
                    struct bh_err *err) {
    const struct bh_peer *p = bh_call_peer(call);

    if (store_hold_use(s, id, p->uid, out, err) != BH_E_NOT_FOUND || (p->roles & BH_ROLE_REGISTRY) == 0)
        return err->code;
    bh_err_clear(err); /* layers of a cache come under the hold of the build that wants them */
    return store_hold_use_lent(s, id, out, err);
}

/* ---- hold ---------------------------------------------------------------------------------- */

static void keep_hold(struct bh_call *call) {
    struct pollfd p = {.fd = bh_call_cancel_fd(call), .events = POLLIN};

    while (!bh_call_cancelled(call))
        (void)poll(&p, 1, -1);
}

int store_rpc_hold(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(HoldRequest) *req = (const MSG(HoldRequest) *)request;
    const struct store_who who = {.owner = req->owner, .all = req->owner == 0}; /* rooms only: methods.c */
    MSG(HoldEvent) event = BULKHEAD__STORE__V1__HOLD_EVENT__INIT;
    struct store_hold *h;

    if (store_hold_open(room, bh_call_peer(call)->uid, &who, req->purpose, &h, err) != 0)
        return err->code;
    h->lent = (bh_call_peer(call)->roles & BH_ROLE_BUILD) != 0; /* nobody knows its number yet */
    event.hold = h->id;
    if (bh_call_send_msg(call, &event.base, err) == 0)
        keep_hold(call);
    store_hold_close(room, h);
    return err->code;
}

/* ---- documents ----------------------------------------------------------------------------- */

static void *arena_alloc(void *arena, size_t n) {
    return bh_arena_alloc(arena, n);
}
static void arena_free(void *arena, void *p) {
    (void)arena;
    (void)p;
}

/* The messages of a worker's Result are those of the reply; they were looked at in document.c. */
static int document_reply(const struct bh_buf *packed, struct bh_arena *arena, MSG(DocumentPutReply) * reply,
                          struct bh_err *err) {
    ProtobufCAllocator alloc = {.alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
    const Bulkhead__Worker__V1__Result *m;

    m = bulkhead__worker__v1__result__unpack(&alloc, packed->len, (const uint8_t *)packed->data);
    if (m == NULL)
        return bh_err_set(err, BH_E_LIMIT, "a document takes too much memory to be told");
    if (m->result_case == BULKHEAD__WORKER__V1__RESULT__RESULT_CONFIG) {
        reply->image_config = m->config->config;
        return 0;
    }
    const Bulkhead__Worker__V1__DocumentResult *d = m->document;

    reply->is_index = d->is_index;
    reply->media_type = d->media_type;
    reply->artifact_type = d->artifact_type;
    reply->config = d->config;
    reply->n_layer = d->n_layers;
    reply->layer = d->layers;
    reply->n_entry = d->n_entries;
    reply->entry = d->entries;
    reply->subject = d->subject;
    reply->n_annotation = d->n_annotations;
    reply->annotation = d->annotations;
    reply->not_an_image = d->not_an_image;
    return 0;
}

/* A config that a message cannot hold: what a pull must know of it. */
static void shorten(MSG(DocumentPutReply) * reply, Bulkhead__Image__V1__ImageConfig *to) {
    const Bulkhead__Image__V1__ImageConfig *from = reply->image_config;

    if (from == NULL || bulkhead__store__v1__document_put_reply__get_packed_size(reply) <= REPLY_MAX)
        return;
    bulkhead__image__v1__image_config__init(to);
    to->platform = from->platform;
    to->n_diff_ids = from->n_diff_ids;
    to->diff_ids = from->diff_ids;
    to->created_ns = from->created_ns;
    reply->image_config = to;
}

static int document(struct store *s, struct bh_call *call, struct store_hold *h, const MSG(DocumentPutRequest) * req,
                    const void *data, size_t n, struct bh_err *err) {
    const struct store_document_in in = {
        .digest = req->digest,
        .media = req->media_type,
        .data = data,
        .n = n,
        .config = req->config,
        .read_only = req->read_only,
        .cancel_fd = bh_call_cancel_fd(call),
    };
    MSG(DocumentPutReply) reply = BULKHEAD__STORE__V1__DOCUMENT_PUT_REPLY__INIT;
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT;
    Bulkhead__Image__V1__ImageConfig shortened;
    STORE_SCOPE_ARENA struct bh_arena arena;
    char digest[STORE_DIGEST_SIZE];

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (store_document_in(s, h, &in, &packed, digest, err) != 0 || document_reply(&packed, &arena, &reply, err) != 0)
        return err->code;
    reply.digest = digest;
    reply.size = n;
    shorten(&reply, &shortened);
    return bh_call_reply(call, &reply.base, err);
}

static int document_part(struct store *s, struct bh_call *call, struct store_hold *h,
                         const MSG(DocumentPutRequest) * req, struct bh_err *err) {
    MSG(DocumentPutReply) reply = BULKHEAD__STORE__V1__DOCUMENT_PUT_REPLY__INIT;
    struct bh_digest d;

    if (bh_digest_parse(req->digest, &d, err) != 0 ||
        store_hold_part(s, h, req->digest, req->data.data, req->data.len, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}

static int document_whole(struct store *s, struct bh_call *call, struct store_hold *h,
                          const MSG(DocumentPutRequest) * req, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf parts = BH_BUF_INIT;

    if (req->digest[0] != '\0')
        store_hold_parts(s, h, req->digest, &parts);
    if (parts.len == 0)
        return document(s, call, h, req, req->data.data, req->data.len, err);
    bh_buf_add(&parts, req->data.data, req->data.len);
    if (bh_buf_failed(&parts))
        return bh_err_set(err, BH_E_LIMIT, "a document of more than %zu bytes", parts.max);
    return document(s, call, h, req, parts.data, parts.len, err);
}

int store_rpc_document_put(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(DocumentPutRequest) *req = (const MSG(DocumentPutRequest) *)request;
    struct store_hold *h;

    if (use_hold(room, call, req->hold, &h, err) != 0)
        return err->code;
    if (req->more)
        document_part(room, call, h, req, err);
    else
        document_whole(room, call, h, req, err);
    store_hold_done(room, h);
    return err->code;
}

/* ---- layers -------------------------------------------------------------------------------- */

struct telling {
    struct bh_call *call;
    bool deaf; /* the caller takes no more: the layer goes on to its end or its cancel */
};

static void send_event(struct telling *t, const MSG(LayerPutEvent) * m) {
    struct bh_err ignored = BH_ERR_INIT;

    if (!t->deaf && bh_call_send_msg(t->call, &m->base, &ignored) != 0)
        t->deaf = true;
}

static void layer_event(void *arg, const struct store_receive_event *e) {
    MSG(LayerPutEvent) m = BULKHEAD__STORE__V1__LAYER_PUT_EVENT__INIT;

    m.waiting = e->waiting;
    m.have = e->have;
    m.done = e->done;
    m.unpacked = e->unpacked;
    send_event(arg, &m);
}

static int layer_pipe(void *arg, uint64_t offset, int *out_fd, struct bh_err *err) {
    MSG(LayerPutEvent) m = BULKHEAD__STORE__V1__LAYER_PUT_EVENT__INIT;
    struct telling *t = arg;

    m.send = true;
    m.offset = offset;
    send_event(t, &m);
    return bh_call_give_pipe(t->call, -1, out_fd, err);
}

static bool layer_cancelled(void *arg) {
    return bh_call_cancelled(((struct telling *)arg)->call);
}

int store_rpc_layer_put(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(LayerPutRequest) *req = (const MSG(LayerPutRequest) *)request;
    struct telling telling = {.call = call};
    const struct store_receive r = {
        .digest = req->digest,
        .size = req->size,
        .media = req->media_type,
        .diff_id = req->diff_id,
        .restart = req->restart,
        .source = req->source,
        .alone = req->alone,
        .cancel_fd = bh_call_cancel_fd(call),
        .cancelled = layer_cancelled,
        .pipe = layer_pipe,
        .event = layer_event,
        .arg = &telling,
    };
    struct store_hold *h;

    if (use_hold(room, call, req->hold, &h, err) != 0)
        return err->code;
    store_receive(room, h, &r, err);
    store_hold_done(room, h);
    return err->code;
}

static int have(struct store *s, struct store_hold *h, const MSG(LayerHaveRequest) * req, protobuf_c_boolean *out,
                struct bh_err *err) {
    for (size_t i = 0; i < req->n_layer; i++) {
        const MSG(LayerName) *l = req->layer[i];
        const struct store_receive r = {
            .digest = l->digest, .size = l->size, .media = l->media_type, .diff_id = l->diff_id, .source = ""};
        bool found = false;

        if (store_receive_have(s, h, &r, &found, err) != 0)
            return err->code;
        out[i] = found;
    }
    return 0;
}

int store_rpc_layer_have(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(LayerHaveRequest) *req = (const MSG(LayerHaveRequest) *)request;
    BH_SCOPE_FREE protobuf_c_boolean *list = bh_xcalloc(req->n_layer + 1, sizeof *list);
    MSG(LayerHaveReply) reply = BULKHEAD__STORE__V1__LAYER_HAVE_REPLY__INIT;
    struct store_hold *h;

    if (use_hold(room, call, req->hold, &h, err) != 0)
        return err->code;
    reply.have = list;
    reply.n_have = req->n_layer;
    if (have(room, h, req, list, err) == 0)
        bh_call_reply(call, &reply.base, err);
    store_hold_done(room, h);
    return err->code;
}

/* ---- images -------------------------------------------------------------------------------- */

int store_rpc_image_known(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(ImageKnownRequest) *req = (const MSG(ImageKnownRequest) *)request;
    const struct store_who who = {.owner = req->owner, .all = req->owner == 0};
    MSG(ImageKnownReply) reply = BULKHEAD__STORE__V1__IMAGE_KNOWN_REPLY__INIT;
    struct store_known known;

    if (req->name[0] != '\0')
        store_image_known_name(room, req->owner, req->name, req->platform, &known, err);
    else
        store_image_known(room, &who, req->digest, req->platform, &known, err);
    if (err->code != 0)
        return err->code;
    reply.known = known.known;
    reply.id = known.id;
    reply.manifest_digest = known.manifest;
    reply.index_digest = known.index;
    reply.repository = known.repository;
    return bh_call_reply(call, &reply.base, err);
}

static int put(struct store *s, struct bh_call *call, struct store_hold *h, const MSG(ImagePutRequest) * req,
               struct bh_err *err) {
    const struct store_put p = {
        .manifest = req->manifest_digest,
        .index = req->index_digest,
        .names = (const char *const *)req->name,
        .n_names = req->n_name,
        .source = req->source,
        .guard = req->guard,
    };
    MSG(ImagePutReply) reply = BULKHEAD__STORE__V1__IMAGE_PUT_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct store_put_result result;

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (store_image_bring(s, h, &p, &arena, &result, err) != 0)
        return err->code;
    reply.id = result.id;
    reply.is_new = result.is_new;
    reply.replaced = result.replaced;
    reply.n_replaced = result.n_replaced;
    return bh_call_reply(call, &reply.base, err);
}

int store_rpc_image_put(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(ImagePutRequest) *req = (const MSG(ImagePutRequest) *)request;
    struct store_hold *h;

    if (use_hold(room, call, req->hold, &h, err) != 0)
        return err->code;
    put(room, call, h, req, err);
    store_hold_done(room, h);
    return err->code;
}
