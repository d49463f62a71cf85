/*
 * store_rpc.c - calls to the store, see store.h.
 *
 * Room: build.  One connection, shared by all threads.  What the store answers is measured: digests are read
 * again, counts are those that were asked for.
 */
#include "store.h"

#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "cancel.h"
#include "imageconf/imageconf.h"
#include "rpc/client.h"
#include "store.pb-c.h"

#define SERVICE "bulkhead.store.v1.Store/"
#define CALL_MS 30000

#define ST_MSG(name) Bulkhead__Store__V1__##name

struct build_store {
    struct bh_conn *conn;
};

struct build_hold {
    struct bh_stream *stream;
    uint64_t number;
};

int build_store_open(const char *dir, struct build_store **out, struct bh_err *err) {
    struct build_store *s = bh_xcalloc(1, sizeof *s);

    if (bh_conn_open(dir, &s->conn, err) != 0) {
        free(s);
        return err->code;
    }
    *out = s;
    return 0;
}

static int no_answer(const char *what, struct bh_err *err) {
    return bh_err_set(err, BH_E_INTERNAL, "the store gave no answer about %s", what);
}

/* A call that may take long and can be ended from outside. */
static int long_call(struct build_store *s, const char *method, const ProtobufCMessage *req,
                     const ProtobufCMessageDescriptor *type, struct build_cancel *cancel, ProtobufCMessage **out,
                     struct bh_err *err) {
    const struct bh_stream_options options = {0};
    struct bh_stream *stream = NULL;
    struct build_wait wait;
    int r;

    if (bh_stream_open(s->conn, method, req, &options, &stream, err) != 0)
        return err->code;
    build_wait_begin(cancel, &wait, stream);
    r = bh_stream_finish(stream, type, out, err);
    build_wait_end(cancel, &wait);
    bh_stream_free(stream);
    return r;
}

/* ---- hold -------------------------------------------------------------------------------------- */

static int first_event(struct bh_stream *stream, uint64_t *out, struct bh_err *err) {
    ST_MSG(HoldEvent) * event;
    const void *data = NULL;
    size_t n = 0;

    if (bh_stream_recv(stream, &data, &n, err) != 0)
        return err->code;
    if (data == NULL)
        return bh_stream_finish(stream, NULL, NULL, err) != 0 ? err->code : no_answer("the build's hold", err);
    event = bulkhead__store__v1__hold_event__unpack(NULL, n, data);
    *out = event != NULL ? event->hold : 0;
    if (event != NULL)
        bulkhead__store__v1__hold_event__free_unpacked(event, NULL);
    return *out != 0 ? 0 : no_answer("the build's hold", err);
}

int build_hold_begin(struct build_store *s, uid_t owner, struct build_hold **out, struct bh_err *err) {
    ST_MSG(HoldRequest) req = BULKHEAD__STORE__V1__HOLD_REQUEST__INIT;
    const struct bh_stream_options options = {0};
    struct build_hold *h = bh_xcalloc(1, sizeof *h);

    req.owner = owner;
    req.purpose = (char *)"build";
    if (bh_stream_open(s->conn, SERVICE "Hold", &req.base, &options, &h->stream, err) != 0 ||
        first_event(h->stream, &h->number, err) != 0) {
        build_hold_end(h);
        return err->code;
    }
    *out = h;
    return 0;
}

void build_hold_end(struct build_hold *h) {
    if (h == NULL)
        return;
    if (h->stream != NULL)
        bh_stream_free(h->stream);
    free(h);
}

uint64_t build_hold_number(const struct build_hold *h) {
    return h->number;
}

/* ---- images ------------------------------------------------------------------------------------ */

/* The reply goes when the call ends; what is kept is copied into the arena. */
static int keep_image(const ST_MSG(ImageOpenReply) * reply, struct bh_arena *arena, struct build_image *out,
                      struct bh_err *err) {
    struct bh_image_config shared;

    if (reply->config == NULL)
        return no_answer("the config of an image", err);
    out->id = bh_oci_strdup(arena, reply->id, strlen(reply->id), err);
    out->reference = bh_oci_strdup(arena, reply->reference, strlen(reply->reference), err);
    if (out->id == NULL || out->reference == NULL || bh_imageconf_from_msg(reply->config, arena, &shared, err) != 0)
        return err->code;
    return bh_image_config_copy(&shared, arena, &out->config, err);
}

int build_image_open(struct build_store *s, uid_t owner, const char *name, const char *platform, struct bh_arena *arena,
                     struct build_image *out, struct bh_err *err) {
    ST_MSG(ImageOpenRequest) req = BULKHEAD__STORE__V1__IMAGE_OPEN_REQUEST__INIT;
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;

    req.name = (char *)name;
    req.owner = owner;
    req.no_layers = true;
    req.platform = (char *)platform;
    if (bh_conn_call(s->conn, SERVICE "ImageOpen", &req.base, &bulkhead__store__v1__image_open_reply__descriptor,
                     CALL_MS, BH_CALL_IDEMPOTENT, &reply, err) != 0)
        return err->code;
    return keep_image((const ST_MSG(ImageOpenReply) *)reply, arena, out, err);
}

static int take_digest(const char *text, char out[BH_DIGEST_TEXT_SIZE], struct bh_err *err) {
    struct bh_digest d;

    if (bh_digest_parse(text, &d, err) != 0)
        return err->code;
    bh_digest_format(&d, out);
    return 0;
}

int build_image_make(struct build_store *s, uint64_t hold, const struct build_make *m, struct bh_arena *arena,
                     struct build_made *out, struct bh_err *err) {
    ST_MSG(ImageMakeRequest) req = BULKHEAD__STORE__V1__IMAGE_MAKE_REQUEST__INIT;
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    const ST_MSG(ImageMakeReply) * r;

    req.hold = hold;
    req.name = (char **)m->names.v;
    req.n_name = m->names.n;
    req.parent_id = (char *)m->parent;
    req.keep = m->keep;
    if (bh_imageconf_pairs_to_msg(&m->annotations, arena, &req.n_annotation, &req.annotation, err) != 0 ||
        bh_imageconf_to_msg(m->config, arena, &req.config, err) != 0 ||
        bh_conn_call(s->conn, SERVICE "ImageMake", &req.base, &bulkhead__store__v1__image_make_reply__descriptor,
                     CALL_MS, 0, &reply, err) != 0)
        return err->code;
    r = (const ST_MSG(ImageMakeReply) *)reply;
    return take_digest(r->id, out->id, err) != 0 ? err->code : take_digest(r->manifest_digest, out->manifest, err);
}

static int index_msg(const struct build_make_index *m, struct bh_arena *arena, ST_MSG(IndexMakeRequest) * req,
                     struct bh_err *err) {
    req->name = (char **)m->names.v;
    req->n_name = m->names.n;
    req->keep = m->keep;
    req->config = bh_oci_alloc(arena, (m->n + 1) * sizeof *req->config, err);
    if (req->config == NULL)
        return err->code;
    for (; req->n_config < m->n; req->n_config++)
        if (bh_imageconf_to_msg(m->configs[req->n_config], arena, &req->config[req->n_config], err) != 0)
            return err->code;
    if (bh_imageconf_pairs_to_msg(&m->on_the_index, arena, &req->n_index_annotation, &req->index_annotation, err) != 0)
        return err->code;
    return bh_imageconf_pairs_to_msg(&m->annotations, arena, &req->n_annotation, &req->annotation, err);
}

static int take_index(const ST_MSG(IndexMakeReply) * r, struct build_made *out, struct bh_err *err) {
    return take_digest(r->id, out->id, err) != 0 ? err->code : take_digest(r->index_digest, out->manifest, err);
}

int build_index_make(struct build_store *s, uint64_t hold, const struct build_make_index *m,
                     struct build_cancel *cancel, struct bh_arena *arena, struct build_made *out, struct bh_err *err) {
    ST_MSG(IndexMakeRequest) req = BULKHEAD__STORE__V1__INDEX_MAKE_REQUEST__INIT;
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;

    req.hold = hold;
    if (index_msg(m, arena, &req, err) != 0 ||
        long_call(s, SERVICE "IndexMake", &req.base, &bulkhead__store__v1__index_make_reply__descriptor, cancel, &reply,
                  err) != 0)
        return err->code;
    if (reply == NULL)
        return no_answer("an index", err);
    return take_index((const ST_MSG(IndexMakeReply) *)reply, out, err);
}

int build_image_layer(struct build_store *s, uid_t owner, const char *id, int *out_fd, struct bh_err *err) {
    const struct bh_stream_options options = {.timeout_ms = CALL_MS, .expect_fds = true};
    ST_MSG(ImageOpenRequest) req = BULKHEAD__STORE__V1__IMAGE_OPEN_REQUEST__INIT;
    struct bh_stream *stream = NULL;
    BH_SCOPE_CLOSE int fd = -1;
    unsigned n = 0;
    int r;

    req.name = (char *)id;
    req.owner = owner;
    if (bh_stream_open(s->conn, SERVICE "ImageOpen", &req.base, &options, &stream, err) != 0)
        return err->code;
    r = bh_stream_recv_fds(stream, &fd, 1, &n, err);
    if (r == 0)
        r = bh_stream_finish(stream, NULL, NULL, err);
    bh_stream_free(stream);
    if (r == 0)
        *out_fd = bh_take_fd(&fd);
    return r;
}

static int give_and_wait(struct bh_stream *stream, int fd, struct bh_err *err) {
    if (bh_stream_send_fds(stream, &fd, 1, err) != 0)
        return err->code;
    return bh_stream_finish(stream, NULL, NULL, err);
}

int build_save(struct build_store *s, const struct build_save_ask *ask, int fd, struct build_cancel *cancel,
               struct bh_err *err) {
    const struct bh_stream_options options = {.announce_fds = true};
    ST_MSG(SaveRequest) req = BULKHEAD__STORE__V1__SAVE_REQUEST__INIT;
    struct bh_stream *stream = NULL;
    char *ids[] = {(char *)ask->id};
    struct build_wait wait;
    int r;

    req.name = ids;
    req.n_name = 1;
    req.owner = ask->owner;
    req.tag = (char **)ask->names->v;
    req.n_tag = ask->names->n;
    req.index = (char *)ask->index;
    if (bh_stream_open(s->conn, SERVICE "Save", &req.base, &options, &stream, err) != 0)
        return err->code;
    build_wait_begin(cancel, &wait, stream);
    r = give_and_wait(stream, fd, err);
    build_wait_end(cancel, &wait);
    bh_stream_free(stream);
    return r;
}

static int take_loaded(const void *data, size_t n, char out_id[BH_DIGEST_TEXT_SIZE], struct bh_err *err) {
    ST_MSG(LoadEvent) *e = bulkhead__store__v1__load_event__unpack(NULL, n, data);
    int r = 0;

    if (e == NULL)
        return no_answer("an archive", err);
    if (e->is_id && out_id[0] == '\0')
        r = take_digest(e->loaded, out_id, err);
    bulkhead__store__v1__load_event__free_unpacked(e, NULL);
    return r;
}

static int follow_load(struct bh_stream *stream, int fd, char out_id[BH_DIGEST_TEXT_SIZE], struct bh_err *err) {
    const void *data = NULL;
    size_t n = 0;

    if (bh_stream_send_fds(stream, &fd, 1, err) != 0 || bh_stream_close_send(stream, err) != 0)
        return err->code;
    while (bh_stream_recv(stream, &data, &n, err) == 0 && data != NULL)
        if (take_loaded(data, n, out_id, err) != 0)
            return err->code;
    return err->code != 0 ? err->code : bh_stream_finish(stream, NULL, NULL, err);
}

int build_load(struct build_store *s, const struct build_load_ask *ask, struct build_cancel *cancel,
               char out_id[BH_DIGEST_TEXT_SIZE], struct bh_err *err) {
    const struct bh_stream_options options = {.announce_fds = true};
    ST_MSG(LoadRequest) req = BULKHEAD__STORE__V1__LOAD_REQUEST__INIT;
    struct bh_stream *stream = NULL;
    struct build_wait wait;
    int r;

    out_id[0] = '\0';
    req.quiet = true;
    req.hold = ask->hold;
    req.platform = (char *)ask->platform;
    if (bh_stream_open(s->conn, SERVICE "Load", &req.base, &options, &stream, err) != 0)
        return err->code;
    build_wait_begin(cancel, &wait, stream);
    r = follow_load(stream, ask->fd, out_id, err);
    build_wait_end(cancel, &wait);
    bh_stream_free(stream);
    return r == 0 && out_id[0] == '\0' ? bh_err_set(err, BH_E_NOT_FOUND, "the archive holds no image") : r;
}

/* ---- layers ------------------------------------------------------------------------------------ */

static char **digest_texts(const struct bh_digest *v, size_t n, struct bh_arena *arena, struct bh_err *err) {
    char **texts = bh_oci_alloc(arena, (n + 1) * sizeof *texts, err);
    char *room = texts != NULL ? bh_oci_alloc(arena, (n + 1) * BH_DIGEST_TEXT_SIZE, err) : NULL;

    if (room == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        texts[i] = room + i * BH_DIGEST_TEXT_SIZE;
        bh_digest_format(&v[i], texts[i]);
    }
    return texts;
}

static ST_MSG(LayerStack) * stack_msg(const struct build_stack *stack, struct bh_arena *arena, struct bh_err *err) {
    ST_MSG(LayerStack) *m = bh_oci_alloc(arena, sizeof *m, err);

    if (m == NULL)
        return NULL;
    bulkhead__store__v1__layer_stack__init(m);
    m->diff_id = digest_texts(stack->layers, stack->n, arena, err);
    m->n_diff_id = stack->n;
    m->context = (char *)(stack->context != NULL ? stack->context : "");
    return m->diff_id != NULL ? m : NULL;
}

static ProtobufCBinaryData bytes_of(const void *data, size_t n) {
    return (ProtobufCBinaryData){.len = n, .data = (uint8_t *)data};
}

static int item_msg(const struct build_item *item, ST_MSG(ComposeItem) * m, struct bh_arena *arena,
                    struct bh_err *err) {
    bulkhead__store__v1__compose_item__init(m);
    if (item->has_from && (m->from = stack_msg(&item->from, arena, err)) == NULL)
        return err->code;
    m->source = bh_oci_alloc(arena, (item->sources.n + 1) * sizeof *m->source, err);
    if (m->source == NULL)
        return err->code;
    m->n_source = item->sources.n;
    for (size_t i = 0; i < item->sources.n; i++)
        m->source[i] = bytes_of(item->sources.v[i], strlen(item->sources.v[i]));
    m->wildcard = item->wildcard;
    m->target = bytes_of(item->target, strlen(item->target));
    m->uid = item->uid;
    m->gid = item->gid;
    m->chmod = (char *)(item->chmod != NULL ? item->chmod : "");
    m->exclude = (char **)item->exclude.v;
    m->n_exclude = item->exclude.n;
    m->parents = item->parents;
    m->unpack = item->unpack;
    m->mkdir = item->mkdir;
    m->data = bytes_of(item->data, item->n_data);
    m->mode = item->mode;
    m->ignore = (char **)item->ignore.v;
    m->n_ignore = item->ignore.n;
    m->mtime_ns = item->mtime_ns;
    m->link = item->link;
    m->contents = item->contents;
    m->opaque = item->opaque;
    m->whiteouts = item->whiteouts;
    return 0;
}

static int compose_msg(const struct build_compose *c, ST_MSG(LayerComposeRequest) * req, struct bh_arena *arena,
                       struct bh_err *err) {
    ST_MSG(ComposeItem) *items = bh_oci_alloc(arena, (c->n_items + 1) * sizeof *items, err);

    bulkhead__store__v1__layer_compose_request__init(req);
    req->item = bh_oci_alloc(arena, (c->n_items + 1) * sizeof *req->item, err);
    if (items == NULL || req->item == NULL || (req->onto = stack_msg(&c->onto, arena, err)) == NULL)
        return err->code;
    req->hold = c->hold;
    req->n_item = c->n_items;
    for (size_t i = 0; i < c->n_items; i++) {
        if (item_msg(&c->items[i], &items[i], arena, err) != 0)
            return err->code;
        req->item[i] = &items[i];
    }
    req->only_digest = c->only_digest;
    req->with_place = c->with_place;
    req->clamp_mtime_ns = c->clamp ? c->clamp_ns : 0;
    return 0;
}

static int keep_composed(const ST_MSG(LayerComposeReply) * r, bool only_digest, struct bh_arena *arena,
                         struct build_composed *out, struct bh_err *err) {
    *out = (struct build_composed){.empty = r->empty, .size = r->tar_size, .files = r->files};
    for (size_t i = 0; i < r->n_target; i++)
        if (bh_strlist_add(&out->targets, arena, r->target[i], err) != 0)
            return err->code;
    if (bh_digest_parse(r->content, &out->content, err) != 0 ||
        (r->place[0] != '\0' && bh_digest_parse(r->place, &out->place, err) != 0))
        return err->code;
    return only_digest || r->empty ? 0 : bh_digest_parse(r->diff_id, &out->layer, err);
}

int build_compose(struct build_store *s, const struct build_compose *c, struct build_cancel *cancel,
                  struct bh_arena *arena, struct build_composed *out, struct bh_err *err) {
    const ProtobufCMessageDescriptor *type = &bulkhead__store__v1__layer_compose_reply__descriptor;
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    ST_MSG(LayerComposeRequest) req;
    int r;

    if (compose_msg(c, &req, arena, err) != 0)
        return err->code;
    if (c->only_digest)
        r = bh_conn_call(s->conn, SERVICE "LayerCompose", &req.base, type, 0, BH_CALL_IDEMPOTENT, &reply, err);
    else
        r = long_call(s, SERVICE "LayerCompose", &req.base, type, cancel, &reply, err);
    if (r != 0)
        return r;
    if (reply == NULL)
        return no_answer("a new layer", err);
    return keep_composed((const ST_MSG(LayerComposeReply) *)reply, c->only_digest, arena, out, err);
}

int build_layer_file(struct build_store *s, uint64_t hold, const struct build_stack *from, const char *path,
                     struct bh_arena *arena, const char **out, size_t *out_n, struct bh_err *err) {
    ST_MSG(LayerFileRequest) req = BULKHEAD__STORE__V1__LAYER_FILE_REQUEST__INIT;
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    const ST_MSG(LayerFileReply) * r;
    char *text;

    req.hold = hold;
    req.path = bytes_of(path, strlen(path));
    if ((req.from = stack_msg(from, arena, err)) == NULL ||
        bh_conn_call(s->conn, SERVICE "LayerFile", &req.base, &bulkhead__store__v1__layer_file_reply__descriptor,
                     CALL_MS, BH_CALL_IDEMPOTENT, &reply, err) != 0)
        return err->code;
    r = (const ST_MSG(LayerFileReply) *)reply;
    text = bh_oci_alloc(arena, r->data.len + 1, err);
    if (text == NULL)
        return err->code;
    if (r->data.len > 0)
        memcpy(text, r->data.data, r->data.len);
    *out = text;
    *out_n = r->data.len;
    return 0;
}

struct build_tar {
    struct bh_stream *stream;
    int fd[2]; /* the pipe; the file, -1 without one */
};

static int begin_tar(struct build_store *s, uint64_t hold, bool spool, struct build_tar **out, struct bh_err *err) {
    ST_MSG(LayerTarRequest) req = BULKHEAD__STORE__V1__LAYER_TAR_REQUEST__INIT;
    const struct bh_stream_options options = {.expect_fds = true};
    struct build_tar *t = bh_xcalloc(1, sizeof *t);
    unsigned n = 0;

    t->fd[0] = t->fd[1] = -1;
    req.hold = hold;
    req.spool = spool;
    if (bh_stream_open(s->conn, SERVICE "LayerTar", &req.base, &options, &t->stream, err) != 0 ||
        bh_stream_recv_fds(t->stream, t->fd, spool ? 2 : 1, &n, err) != 0) {
        build_tar_drop(t);
        return err->code;
    }
    *out = t;
    return 0;
}

int build_tar_begin(struct build_store *s, uint64_t hold, struct build_tar **out, int *out_fd, struct bh_err *err) {
    if (begin_tar(s, hold, false, out, err) != 0)
        return err->code;
    *out_fd = (*out)->fd[0];
    return 0;
}

int build_tar_begin_spooled(struct build_store *s, uint64_t hold, struct build_tar **out, int out_fds[2],
                            struct bh_err *err) {
    if (begin_tar(s, hold, true, out, err) != 0)
        return err->code;
    memcpy(out_fds, (*out)->fd, sizeof(*out)->fd);
    return 0;
}

void build_tar_drop(struct build_tar *t) {
    if (t == NULL)
        return;
    bh_fdpass_close(t->fd, 2);
    if (t->stream != NULL)
        bh_stream_free(t->stream);
    free(t);
}

int build_tar_end(struct build_tar *t, struct bh_digest *out, struct bh_err *err) {
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    int r;

    bh_fdpass_close(t->fd, 2);
    r = bh_stream_finish(t->stream, &bulkhead__store__v1__layer_tar_reply__descriptor, &reply, err);
    if (r == 0 && reply == NULL)
        r = no_answer("a new layer", err);
    if (r == 0)
        r = bh_digest_parse(((const ST_MSG(LayerTarReply) *)reply)->diff_id, out, err);
    build_tar_drop(t);
    return r;
}

int build_layer_nothing(struct build_store *s, uint64_t hold, struct bh_digest *out, struct bh_err *err) {
    static const char end_mark[1024];
    struct build_tar *t = NULL;
    int fd;

    if (build_tar_begin(s, hold, &t, &fd, err) != 0)
        return err->code;
    if (bh_write_all(fd, end_mark, sizeof end_mark) != 0) {
        build_tar_drop(t);
        return bh_err_set(err, BH_E_UNAVAILABLE, "the store does not take a layer");
    }
    return build_tar_end(t, out, err);
}

/* ---- cache ------------------------------------------------------------------------------------- */

static int keep_cached(const ST_MSG(CacheGetReply) * r, struct bh_arena *arena, struct build_cached *out,
                       struct bh_err *err) {
    char *note = bh_oci_alloc(arena, r->note.len + 1, err);
    struct bh_digest *layers = bh_oci_alloc(arena, (r->n_diff_id + 1) * sizeof *layers, err);

    if (note == NULL || layers == NULL)
        return err->code;
    for (size_t i = 0; i < r->n_diff_id; i++)
        if (bh_digest_parse(r->diff_id[i], &layers[i], err) != 0)
            return err->code;
    if (r->note.len > 0)
        memcpy(note, r->note.data, r->note.len);
    *out = (struct build_cached){
        .found = r->found, .layers = layers, .n = r->n_diff_id, .note = note, .n_note = r->note.len};
    return 0;
}

int build_cache_get(struct build_store *s, uint64_t hold, const struct bh_digest *key, struct bh_arena *arena,
                    struct build_cached *out, struct bh_err *err) {
    ST_MSG(CacheGetRequest) req = BULKHEAD__STORE__V1__CACHE_GET_REQUEST__INIT;
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    char text[BH_DIGEST_TEXT_SIZE];

    bh_digest_format(key, text);
    req.hold = hold;
    req.key = text;
    if (bh_conn_call(s->conn, SERVICE "CacheGet", &req.base, &bulkhead__store__v1__cache_get_reply__descriptor, CALL_MS,
                     BH_CALL_IDEMPOTENT, &reply, err) != 0)
        return err->code;
    return keep_cached((const ST_MSG(CacheGetReply) *)reply, arena, out, err);
}

int build_cache_put(struct build_store *s, uint64_t hold, const struct bh_digest *key, const struct build_cache_put *p,
                    bool *out_stays, struct bh_err *err) {
    ST_MSG(CachePutRequest) req = BULKHEAD__STORE__V1__CACHE_PUT_REQUEST__INIT;
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    char text[BH_DIGEST_TEXT_SIZE];
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, (size_t)1 << 20);
    bh_digest_format(key, text);
    req.hold = hold;
    req.key = text;
    req.diff_id = digest_texts(p->layers, p->n, &arena, err);
    req.n_diff_id = p->n;
    req.note = bytes_of(p->note, p->n_note);
    req.kind = (char *)p->kind;
    req.description = (char *)p->description;
    req.replace = p->replace;
    r = req.diff_id == NULL
            ? err->code
            : bh_conn_call(s->conn, SERVICE "CachePut", &req.base, &bulkhead__store__v1__cache_put_reply__descriptor,
                           CALL_MS, BH_CALL_IDEMPOTENT, &reply, err);
    if (out_stays != NULL)
        *out_stays = r == 0 && reply != NULL && ((const ST_MSG(CachePutReply) *)reply)->stays;
    bh_arena_fini(&arena);
    return r;
}
