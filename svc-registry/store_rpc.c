/*
 * store_rpc.c - calls to the store, see store.h.
 *
 * Room: registry.  One connection, shared by all threads.  The store had a worker read the documents; what comes back
 * is measured again here: digests are parsed, lists were capped by the size of the message.
 */
#include "svc-registry/store.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/mem.h"
#include "base/str.h"
#include "imageconf/imageconf.h"
#include "oci/digest.h"
#include "rpc/client.h"
#include "store.pb-c.h"

#define SERVICE       "bulkhead.store.v1.Store/"
#define CALL_MS       60000
#define DOCUMENT_PART ((size_t)512 << 10)
#define ST(name)      Bulkhead__Store__V1__##name
#define DESC          Bulkhead__Image__V1__Descriptor
#define TYPE(name)    &bulkhead__store__v1__##name##__descriptor

struct reg_store {
    struct bh_conn *conn;
};

int reg_store_open(const char *dir, struct reg_store **out, struct bh_err *err) {
    struct reg_store *s = bh_xcalloc(1, sizeof *s);

    if (bh_conn_open(dir, &s->conn, err) != 0) {
        free(s);
        return err->code;
    }
    *out = s;
    return 0;
}

void reg_store_close(struct reg_store *s) {
    if (s)
        bh_conn_close(s->conn);
    free(s);
}

/* The next chunk as a message; *out NULL at the end. */
static int next_message(struct bh_stream *stream, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out,
                        struct bh_err *err) {
    const void *data;
    size_t n;

    *out = NULL;
    if (bh_stream_recv(stream, &data, &n, err) != 0)
        return err->code;
    if (!data)
        return 0;
    *out = protobuf_c_message_unpack(type, NULL, n, data);
    return *out ? 0 : bh_err_set(err, BH_E_INTERNAL, "the store sent a message that cannot be read");
}

/* ---- copies into an arena ------------------------------------------------------------------------ */

static int keep_text(const char *text, struct bh_arena *arena, const char **out, struct bh_err *err) {
    *out = bh_oci_strdup(arena, text, strlen(text), err);
    return *out ? 0 : err->code;
}

static int keep_bytes(const ProtobufCBinaryData *b, struct bh_arena *arena, const void **out, size_t *out_n,
                      struct bh_err *err) {
    const char *copy = bh_oci_strdup(arena, b->data ? (const char *)b->data : "", b->len, err);

    *out = copy;
    *out_n = b->len;
    return copy ? 0 : err->code;
}

static int keep_list(char **v, size_t n, struct bh_arena *arena, struct bh_strlist *out, struct bh_err *err) {
    *out = (struct bh_strlist){.present = true};
    for (size_t i = 0; i < n; i++) {
        if (bh_strlist_add(out, arena, v[i], err) != 0)
            return err->code;
    }
    return 0;
}

static int keep_pairs(Bulkhead__Common__V1__Pair **v, size_t n, struct bh_arena *arena, struct bh_pairs *out,
                      struct bh_err *err) {
    *out = (struct bh_pairs){.present = n > 0};
    for (size_t i = 0; i < n; i++) {
        if (bh_pairs_set(out, arena, v[i]->key, v[i]->value, err) != 0)
            return err->code;
    }
    return 0;
}

static int keep_platform(const Bulkhead__Image__V1__Platform *m, struct bh_platform *out, struct bh_err *err) {
    memset(out, 0, sizeof *out);
    if (!bh_str_copy(out->os, sizeof out->os, m->os) || !bh_str_copy(out->arch, sizeof out->arch, m->architecture) ||
        !bh_str_copy(out->variant, sizeof out->variant, m->variant) ||
        !bh_str_copy(out->os_version, sizeof out->os_version, m->os_version))
        return bh_err_set(err, BH_E_INVALID, "a platform's name is too long");
    return 0;
}

static int keep_desc(const DESC *m, struct bh_arena *arena, struct bh_desc *out, struct bh_err *err) {
    struct bh_err unknown = BH_ERR_INIT;

    memset(out, 0, sizeof *out);
    if (!m) {
        out->media_type = out->digest_text = out->artifact_type = "";
        return 0;
    }
    if (!bh_digest_grammar(m->digest, strlen(m->digest)))
        return bh_err_set(err, BH_E_INVALID, "the store named a digest that is none");
    (void)bh_digest_parse(m->digest, &out->digest, &unknown); /* alg NONE: it cannot be verified */
    out->size = m->size;
    out->has_platform = m->platform != NULL;
    if ((m->platform && keep_platform(m->platform, &out->platform, err) != 0) ||
        keep_text(m->digest, arena, &out->digest_text, err) != 0 ||
        keep_text(m->media_type, arena, &out->media_type, err) != 0 ||
        keep_text(m->artifact_type, arena, &out->artifact_type, err) != 0 ||
        keep_list(m->urls, m->n_urls, arena, &out->urls, err) != 0 ||
        keep_pairs(m->annotations, m->n_annotations, arena, &out->annotations, err) != 0)
        return err->code;
    return 0;
}

static int keep_descs(DESC **v, size_t n, struct bh_arena *arena, struct bh_desc **out, size_t *out_n,
                      struct bh_err *err) {
    *out = bh_oci_alloc(arena, (n + 1) * sizeof **out, err);
    for (*out_n = 0; *out && *out_n < n; ++*out_n) {
        if (keep_desc(v[*out_n], arena, *out + *out_n, err) != 0)
            return err->code;
    }
    return *out ? 0 : err->code;
}

/* ---- holds --------------------------------------------------------------------------------------- */

struct reg_hold {
    struct reg_store *store;
    struct bh_stream *stream; /* NULL: somebody else keeps it */
    uint64_t id;
};

int reg_hold_begin(struct reg_store *s, uid_t owner, const char *purpose, struct reg_hold **out, struct bh_err *err) {
    static const struct bh_stream_options options = {0};
    BH_SCOPE_STREAM struct bh_stream *stream = NULL;
    BH_SCOPE_MSG ProtobufCMessage *msg = NULL;
    ST(HoldRequest) req = BULKHEAD__STORE__V1__HOLD_REQUEST__INIT;

    req.owner = owner;
    req.purpose = (char *)purpose;
    if (bh_stream_open(s->conn, SERVICE "Hold", &req.base, &options, &stream, err) != 0 ||
        next_message(stream, TYPE(hold_event), &msg, err) != 0)
        return err->code;
    if (!msg) {
        if (bh_stream_finish(stream, NULL, NULL, err) == 0)
            bh_err_set(err, BH_E_INTERNAL, "the store gave no hold");
        return err->code;
    }
    struct reg_hold *h = bh_xcalloc(1, sizeof *h);
    *h = (struct reg_hold){s, bh_take_ptr(stream), ((const ST(HoldEvent) *)msg)->hold};
    *out = h;
    return 0;
}

struct reg_hold *reg_hold_of(struct reg_store *s, uint64_t id) {
    struct reg_hold *h = bh_xcalloc(1, sizeof *h);

    *h = (struct reg_hold){s, NULL, id};
    return h;
}

void reg_hold_end(struct reg_hold *h) {
    if (h && h->stream)
        bh_stream_free(h->stream);
    free(h);
}

uint64_t reg_hold_id(const struct reg_hold *h) {
    return h->id;
}

/* ---- documents ----------------------------------------------------------------------------------- */

static int keep_config(const Bulkhead__Image__V1__ImageConfig *m, struct bh_arena *arena, struct reg_document_info *out,
                       struct bh_err *err) {
    size_t n;
    char *packed;

    if (!m)
        return 0;
    n = protobuf_c_message_get_packed_size(&m->base);
    packed = bh_oci_alloc(arena, n + 1, err);
    if (!packed || (m->platform && keep_platform(m->platform, &out->platform, err) != 0) ||
        keep_list(m->diff_ids, m->n_diff_ids, arena, &out->diff_ids, err) != 0)
        return err->code;
    out->image_config_size = protobuf_c_message_pack(&m->base, (uint8_t *)packed);
    out->image_config = packed;
    return 0;
}

static int keep_document(const ST(DocumentPutReply) * m, struct bh_arena *arena, struct reg_document_info *out,
                         struct bh_err *err) {
    memset(out, 0, sizeof *out);
    out->size = m->size;
    out->is_index = m->is_index;
    out->has_subject = m->subject != NULL;
    if (keep_text(m->digest, arena, &out->digest, err) != 0 ||
        keep_text(m->media_type, arena, &out->media_type, err) != 0 ||
        keep_text(m->artifact_type, arena, &out->artifact_type, err) != 0 ||
        keep_text(m->not_an_image, arena, &out->not_an_image, err) != 0 ||
        keep_desc(m->config, arena, &out->config, err) != 0 ||
        keep_descs(m->layer, m->n_layer, arena, &out->layers, &out->n_layers, err) != 0 ||
        keep_descs(m->entry, m->n_entry, arena, &out->entries, &out->n_entries, err) != 0 ||
        keep_desc(m->subject, arena, &out->subject, err) != 0 ||
        keep_pairs(m->annotation, m->n_annotation, arena, &out->annotations, err) != 0)
        return err->code;
    return keep_config(m->image_config, arena, out, err);
}

/* What a request cannot hold goes ahead in parts, under the digest. */
static int put_parts(struct reg_hold *h, ST(DocumentPutRequest) * req, char digest[BH_DIGEST_TEXT_SIZE],
                     struct bh_err *err) {
    ProtobufCBinaryData all = req->data;
    struct bh_digest d;

    if (all.len <= DOCUMENT_PART)
        return 0;
    if (req->digest[0] == '\0') {
        if (bh_digest_of(BH_DIGEST_SHA256, all.data, all.len, &d, err) != 0)
            return err->code;
        bh_digest_format(&d, digest);
        req->digest = digest;
    }
    req->more = true;
    for (; all.len > DOCUMENT_PART; all.data += DOCUMENT_PART, all.len -= DOCUMENT_PART) {
        BH_SCOPE_MSG ProtobufCMessage *reply = NULL;

        req->data = (ProtobufCBinaryData){DOCUMENT_PART, all.data};
        if (bh_conn_call(h->store->conn, SERVICE "DocumentPut", &req->base, TYPE(document_put_reply), CALL_MS, 0,
                         &reply, err) != 0)
            return err->code;
    }
    req->more = false;
    req->data = all;
    return 0;
}

int reg_hold_document(struct reg_hold *h, const struct reg_document *doc, struct bh_arena *arena,
                      struct reg_document_info *out, struct bh_err *err) {
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    ST(DocumentPutRequest) req = BULKHEAD__STORE__V1__DOCUMENT_PUT_REQUEST__INIT;
    char digest[BH_DIGEST_TEXT_SIZE];

    req.hold = h->id;
    req.digest = (char *)(doc->digest ? doc->digest : "");
    req.media_type = (char *)(doc->media_type ? doc->media_type : "");
    req.data = (ProtobufCBinaryData){doc->size, (uint8_t *)doc->data};
    req.config = doc->config;
    req.read_only = doc->read_only;
    if (put_parts(h, &req, digest, err) != 0 || bh_conn_call(h->store->conn, SERVICE "DocumentPut", &req.base,
                                                             TYPE(document_put_reply), CALL_MS, 0, &reply, err) != 0)
        return err->code;
    return keep_document((const ST(DocumentPutReply) *)reply, arena, out, err);
}

/* ---- layers -------------------------------------------------------------------------------------- */

struct reg_layer {
    struct bh_stream *stream;
    int pipe;
    bool ended;
};

int reg_hold_have(struct reg_hold *h, const struct reg_layer_ask *asks, size_t n, bool *out, struct bh_err *err) {
    BH_SCOPE_FREE ST(LayerName) *names = bh_xcalloc(n + 1, sizeof *names);
    BH_SCOPE_FREE ST(LayerName) **list = bh_xcalloc(n + 1, sizeof(void *));
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    ST(LayerHaveRequest) req = BULKHEAD__STORE__V1__LAYER_HAVE_REQUEST__INIT;
    const ST(LayerHaveReply) * r;

    for (size_t i = 0; i < n; i++) {
        bulkhead__store__v1__layer_name__init(&names[i]);
        names[i].digest = (char *)asks[i].digest;
        names[i].size = asks[i].size;
        names[i].media_type = (char *)asks[i].media_type;
        names[i].diff_id = (char *)asks[i].diff_id;
        list[i] = &names[i];
    }
    req.hold = h->id;
    req.layer = list;
    req.n_layer = n;
    if (bh_conn_call(h->store->conn, SERVICE "LayerHave", &req.base, TYPE(layer_have_reply), CALL_MS,
                     BH_CALL_IDEMPOTENT, &reply, err) != 0)
        return err->code;
    r = (const ST(LayerHaveReply) *)reply;
    for (size_t i = 0; i < n; i++)
        out[i] = i < r->n_have && r->have[i];
    return 0;
}

int reg_layer_begin(struct reg_hold *h, const struct reg_layer_ask *ask, struct reg_layer **out, struct bh_err *err) {
    static const struct bh_stream_options options = {.expect_fds = true, .window = 4};
    ST(LayerPutRequest) req = BULKHEAD__STORE__V1__LAYER_PUT_REQUEST__INIT;
    struct bh_stream *stream;

    req.hold = h->id;
    req.digest = (char *)ask->digest;
    req.size = ask->size;
    req.media_type = (char *)ask->media_type;
    req.diff_id = (char *)ask->diff_id;
    req.restart = ask->restart;
    req.alone = ask->alone;
    if (bh_stream_open(h->store->conn, SERVICE "LayerPut", &req.base, &options, &stream, err) != 0)
        return err->code;
    struct reg_layer *l = bh_xcalloc(1, sizeof *l);
    *l = (struct reg_layer){.stream = stream, .pipe = -1};
    *out = l;
    return 0;
}

static int take_pipe(struct reg_layer *l, struct bh_err *err) {
    unsigned n = 0;

    if (l->pipe >= 0)
        return bh_err_set(err, BH_E_INTERNAL, "the store asked twice for one layer");
    if (bh_stream_recv_fds(l->stream, &l->pipe, 1, &n, err) != 0)
        return err->code;
    return n == 1 ? 0 : bh_err_set(err, BH_E_INTERNAL, "the store gave no pipe for the layer");
}

int reg_layer_next(struct reg_layer *l, struct reg_layer_event *out, struct bh_err *err) {
    BH_SCOPE_MSG ProtobufCMessage *msg = NULL;

    memset(out, 0, sizeof *out);
    if (next_message(l->stream, TYPE(layer_put_event), &msg, err) != 0)
        return err->code;
    if (!msg) { /* the call's own status says whether the layer is durable */
        l->ended = true;
        if (bh_stream_finish(l->stream, NULL, NULL, err) != 0)
            return err->code;
        out->done = true;
        return 0;
    }
    const ST(LayerPutEvent) *e = (const ST(LayerPutEvent) *)msg;
    *out = (struct reg_layer_event){e->waiting, e->have, e->send, e->done, e->offset, e->unpacked};
    return e->send ? take_pipe(l, err) : 0;
}

int reg_layer_pipe(const struct reg_layer *l) {
    return l->pipe;
}

void reg_layer_close_pipe(struct reg_layer *l) {
    if (l->pipe >= 0)
        close(l->pipe);
    l->pipe = -1;
}

void reg_layer_cancel(struct reg_layer *l) {
    bh_stream_cancel(l->stream);
}

void reg_layer_free(struct reg_layer *l) {
    if (!l)
        return;
    reg_layer_close_pipe(l);
    bh_stream_free(l->stream);
    free(l);
}

/* ---- images -------------------------------------------------------------------------------------- */

int reg_store_known(struct reg_store *s, const struct reg_known_ask *ask, struct bh_arena *arena, struct reg_known *out,
                    struct bh_err *err) {
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    ST(ImageKnownRequest) req = BULKHEAD__STORE__V1__IMAGE_KNOWN_REQUEST__INIT;
    const ST(ImageKnownReply) * r;

    req.owner = ask->owner;
    req.digest = (char *)(ask->digest ? ask->digest : "");
    req.name = (char *)(ask->name ? ask->name : "");
    req.platform = (char *)(ask->platform ? ask->platform : "");
    if (bh_conn_call(s->conn, SERVICE "ImageKnown", &req.base, TYPE(image_known_reply), CALL_MS, BH_CALL_IDEMPOTENT,
                     &reply, err) != 0)
        return err->code;
    r = (const ST(ImageKnownReply) *)reply;
    out->known = r->known;
    out->repository = r->repository;
    if (keep_text(r->id, arena, &out->id, err) != 0 ||
        keep_text(r->manifest_digest, arena, &out->manifest_digest, err) != 0 ||
        keep_text(r->index_digest, arena, &out->index_digest, err) != 0)
        return err->code;
    return 0;
}

int reg_hold_image(struct reg_hold *h, const struct reg_image_put *put, struct bh_arena *arena,
                   struct reg_image_done *out, struct bh_err *err) {
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    ST(ImagePutRequest) req = BULKHEAD__STORE__V1__IMAGE_PUT_REQUEST__INIT;
    const ST(ImagePutReply) * r;

    req.hold = h->id;
    req.manifest_digest = (char *)put->manifest_digest;
    req.index_digest = (char *)(put->index_digest ? put->index_digest : "");
    req.name = (char **)put->names.v;
    req.n_name = put->names.n;
    req.source = (char *)(put->source ? put->source : "");
    req.guard = put->guard;
    if (bh_conn_call(h->store->conn, SERVICE "ImagePut", &req.base, TYPE(image_put_reply), CALL_MS, 0, &reply, err) !=
        0)
        return err->code;
    r = (const ST(ImagePutReply) *)reply;
    out->is_new = r->is_new;
    return keep_text(r->id, arena, &out->id, err);
}

/* ---- pushing ------------------------------------------------------------------------------------- */

static int keep_push_layers(ST(PushLayer) * *v, size_t n, struct bh_arena *arena, struct reg_push_manifest *out,
                            struct bh_err *err) {
    out->layers = bh_oci_alloc(arena, (n + 1) * sizeof *out->layers, err);
    for (; out->layers && out->n_layers < n; out->n_layers++) {
        struct reg_push_layer *l = &out->layers[out->n_layers];
        const ST(PushLayer) *m = v[out->n_layers];
        if (keep_desc(m->desc, arena, &l->desc, err) != 0 || keep_text(m->diff_id, arena, &l->diff_id, err) != 0 ||
            keep_list(m->source, m->n_source, arena, &l->sources, err) != 0)
            return err->code;
    }
    return out->layers ? 0 : err->code;
}

static int keep_push_manifest(const ST(PushManifest) * m, struct bh_arena *arena, struct reg_push_manifest *out,
                              struct bh_err *err) {
    if (keep_desc(m->desc, arena, &out->desc, err) != 0 || keep_desc(m->config, arena, &out->config, err) != 0 ||
        keep_bytes(&m->data, arena, &out->data, &out->size, err) != 0 ||
        keep_bytes(&m->config_data, arena, &out->config_data, &out->config_size, err) != 0)
        return err->code;
    return keep_push_layers(m->layer, m->n_layer, arena, out, err);
}

static int keep_push_image(const ST(PushOpenImage) * m, struct bh_arena *arena, struct reg_push_image *out,
                           struct bh_err *err) {
    memset(out, 0, sizeof *out);
    out->has_index = m->index != NULL;
    out->manifests = bh_oci_alloc(arena, (m->n_manifest + 1) * sizeof *out->manifests, err);
    if (!out->manifests || keep_text(m->reference, arena, &out->reference, err) != 0 ||
        keep_desc(m->index, arena, &out->index, err) != 0 ||
        keep_bytes(&m->index_data, arena, &out->index_data, &out->index_size, err) != 0)
        return err->code;
    for (; out->n_manifests < m->n_manifest; out->n_manifests++) {
        if (keep_push_manifest(m->manifest[out->n_manifests], arena, &out->manifests[out->n_manifests], err) != 0)
            return err->code;
    }
    return 0;
}

int reg_hold_push(struct reg_hold *h, const struct reg_push_ask *ask,
                  int (*told)(void *arg, const char *diff_id, uint64_t current, uint64_t total, struct bh_err *err),
                  void *arg, struct bh_arena *arena, struct reg_push_image *out, struct bh_err *err) {
    static const struct bh_stream_options options = {0};
    BH_SCOPE_STREAM struct bh_stream *stream = NULL;
    ST(PushOpenRequest) req = BULKHEAD__STORE__V1__PUSH_OPEN_REQUEST__INIT;
    bool came = false;

    req.hold = h->id;
    req.name = (char *)ask->name;
    req.platform = (char *)ask->platform;
    req.compression = (char *)ask->compression;
    req.level = ask->level;
    req.force_compression = ask->force_compression;
    req.kept = ask->kept;
    req.repository = (char *)ask->repository;
    if (bh_stream_open(h->store->conn, SERVICE "PushOpen", &req.base, &options, &stream, err) != 0)
        return err->code;
    for (;;) {
        BH_SCOPE_MSG ProtobufCMessage *msg = NULL;
        if (next_message(stream, TYPE(push_open_event), &msg, err) != 0)
            return err->code;
        if (!msg)
            break;
        const ST(PushOpenEvent) *e = (const ST(PushOpenEvent) *)msg;
        if (e->image && keep_push_image(e->image, arena, out, err) != 0)
            return err->code;
        came |= e->image != NULL;
        if (!e->image && told && told(arg, e->layer, e->current, e->total, err) != 0)
            return err->code;
    }
    if (bh_stream_finish(stream, NULL, NULL, err) != 0)
        return err->code;
    return came ? 0 : bh_err_set(err, BH_E_INTERNAL, "the store told nothing of the image");
}

int reg_hold_blob(struct reg_hold *h, const char *digest, int *out_fd, uint64_t *out_offset, uint64_t *out_size,
                  struct bh_err *err) {
    static const struct bh_stream_options options = {.timeout_ms = CALL_MS, .expect_fds = true};
    BH_SCOPE_STREAM struct bh_stream *stream = NULL;
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    BH_SCOPE_CLOSE int fd = -1;
    ST(BlobOpenRequest) req = BULKHEAD__STORE__V1__BLOB_OPEN_REQUEST__INIT;
    struct bh_err no_fd = BH_ERR_INIT;
    unsigned n = 0;

    req.hold = h->id;
    req.digest = (char *)digest;
    if (bh_stream_open(h->store->conn, SERVICE "BlobOpen", &req.base, &options, &stream, err) != 0)
        return err->code;
    (void)bh_stream_recv_fds(stream, &fd, 1, &n, &no_fd);
    if (bh_stream_finish(stream, TYPE(blob_open_reply), &reply, err) != 0)
        return err->code;
    if (!reply || n != 1)
        return bh_err_set(err, BH_E_INTERNAL, "the store gave no descriptor of blob %s", digest);
    *out_offset = ((const ST(BlobOpenReply) *)reply)->offset;
    *out_size = ((const ST(BlobOpenReply) *)reply)->size;
    *out_fd = bh_take_fd(&fd);
    return 0;
}

int reg_hold_note_source(struct reg_hold *h, const char *repository, const struct bh_strlist *digests,
                         const char *pushed, struct bh_err *err) {
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    ST(BlobSourceNoteRequest) req = BULKHEAD__STORE__V1__BLOB_SOURCE_NOTE_REQUEST__INIT;

    req.hold = h->id;
    req.repository = (char *)repository;
    req.digest = (char **)digests->v;
    req.n_digest = digests->n;
    req.pushed = (char *)pushed;
    return bh_conn_call(h->store->conn, SERVICE "BlobSourceNote", &req.base, TYPE(blob_source_note_reply), CALL_MS, 0,
                        &reply, err);
}
