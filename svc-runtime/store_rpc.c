/*
 * store_rpc.c - calls to the store, see store.h.
 *
 * Room: runtime.  One connection, shared by all threads.  The store is another room: its answers are
 * measured (counts, digests) before they go on to launch.
 */
#include "svc-runtime/store.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/mem.h"
#include "base/str.h"
#include "imageconf/imageconf.h"
#include "rpc/client.h"
#include "store.pb-c.h"
#include "svc-runtime/convert_rpc.h"

#define SERVICE   "bulkhead.store.v1.Store/"
#define CALL_MS   30000
#define COMMIT_MS 0 /* as long as it takes: the size of a layer has no limit of ours */

#define ST_MSG(name) Bulkhead__Store__V1__##name

struct rt_store {
    struct bh_conn *conn;
};

struct bh_conn *rt_store_conn(struct rt_store *s) {
    return s->conn;
}

int rt_store_open(const char *dir, struct rt_store **out, struct bh_err *err) {
    struct rt_store *s = bh_xcalloc(1, sizeof *s);

    if (bh_conn_open(dir, &s->conn, err) != 0) {
        free(s);
        return err->code;
    }
    *out = s;
    return 0;
}

static void open_request(const struct rt_image_ask *ask, bool layers, ST_MSG(ImageOpenRequest) * req) {
    bulkhead__store__v1__image_open_request__init(req);
    req->name = (char *)ask->name;
    req->owner = ask->owner;
    req->container_id = (char *)ask->container_id;
    req->container_name = (char *)ask->container_name;
    req->no_layers = !layers;
}

static int copy_text(const char *text, struct bh_arena *arena, const char **out, struct bh_err *err) {
    *out = bh_oci_strdup(arena, text, strlen(text), err);
    return *out == NULL ? err->code : 0;
}

/* The reply goes when the call ends; what is kept is copied into the arena. */
static int keep_image(const ST_MSG(ImageOpenReply) * reply, struct bh_arena *arena, struct rt_image *out,
                      struct bh_err *err) {
    struct bh_image_config shared;

    if (copy_text(reply->id, arena, &out->id, err) != 0 ||
        copy_text(reply->reference, arena, &out->reference, err) != 0 ||
        copy_text(reply->parent_id, arena, &out->parent_id, err) != 0)
        return err->code;
    if (reply->config == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "the store gave no config of the image");
    out->size = reply->size;
    if (bh_imageconf_from_msg(reply->config, arena, &shared, err) != 0)
        return err->code;
    return bh_image_config_copy(&shared, arena, &out->config, err);
}

int rt_store_image(struct rt_store *s, const struct rt_image_ask *ask, struct bh_arena *arena, struct rt_image *out,
                   struct bh_err *err) {
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    ST_MSG(ImageOpenRequest) req;

    *out = (struct rt_image){0};
    open_request(ask, false, &req);
    if (bh_conn_call(s->conn, SERVICE "ImageOpen", &req.base, &bulkhead__store__v1__image_open_reply__descriptor,
                     CALL_MS, BH_CALL_IDEMPOTENT, &reply, err) != 0)
        return err->code;
    return keep_image((const ST_MSG(ImageOpenReply) *)reply, arena, out, err);
}

static int check_layers(char *const *diff_ids, size_t n, struct rt_image *out, struct bh_err *err) {
    if (n != out->n_layers)
        return bh_err_set(err, BH_E_INTERNAL, "%zu layers were named and the store gave %u", n, out->n_layers);
    for (unsigned i = 0; i < out->n_layers; i++) {
        struct bh_digest d;

        if (bh_digest_parse(diff_ids[i], &d, err) != 0)
            return err->code;
        if (d.alg != BH_DIGEST_SHA256)
            return bh_err_set(err, BH_E_UNIMPLEMENTED, "layer %s: only sha256 can be mounted", diff_ids[i]);
        memcpy(out->diff_ids[i], d.bytes, sizeof out->diff_ids[i]);
    }
    return 0;
}

/* overlay refuses a layer that it has already, and all that the lower one of two says the upper one says again. */
static void drop_repeats(struct rt_image *image) {
    unsigned n = 0;

    for (unsigned i = 0; i < image->n_layers; i++) {
        unsigned k = i + 1;

        while (k < image->n_layers && memcmp(image->diff_ids[i], image->diff_ids[k], sizeof image->diff_ids[i]) != 0)
            k++;
        if (k < image->n_layers) {
            close(image->fds[i]);
            continue;
        }
        image->fds[n] = image->fds[i];
        memmove(image->diff_ids[n++], image->diff_ids[i], sizeof image->diff_ids[i]);
    }
    image->n_layers = n;
}

/* An image without a layer comes without descriptors: then, as after a failure, the call's own status
 * tells more than "no descriptors came". */
static int receive_layers(struct bh_stream *stream, struct bh_arena *arena, struct rt_image *out, struct bh_err *err) {
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    struct bh_err no_fds = BH_ERR_INIT;
    const ST_MSG(ImageOpenReply) * r;

    if (bh_stream_recv_fds(stream, out->fds, RT_MAX_LAYERS, &out->n_layers, &no_fds) != 0)
        out->n_layers = 0;
    if (bh_stream_finish(stream, &bulkhead__store__v1__image_open_reply__descriptor, &reply, err) != 0)
        return err->code;
    r = (const ST_MSG(ImageOpenReply) *)reply;
    if (r == NULL || (no_fds.code != 0 && r->n_diff_id > 0)) {
        if (no_fds.code == 0)
            return bh_err_set(err, BH_E_INTERNAL, "the store gave no answer about the image");
        *err = no_fds;
        return err->code;
    }
    return keep_image(r, arena, out, err) != 0 ? err->code : check_layers(r->diff_id, r->n_diff_id, out, err);
}

int rt_store_layers(struct rt_store *s, const struct rt_image_ask *ask, struct bh_arena *arena, struct rt_image *out,
                    struct bh_err *err) {
    const struct bh_stream_options options = {.timeout_ms = CALL_MS, .expect_fds = true};
    struct bh_stream *stream = NULL;
    ST_MSG(ImageOpenRequest) req;
    int r;

    *out = (struct rt_image){0};
    open_request(ask, true, &req);
    if (bh_stream_open(s->conn, SERVICE "ImageOpen", &req.base, &options, &stream, err) != 0)
        return err->code;
    r = receive_layers(stream, arena, out, err);
    bh_stream_free(stream);
    if (r != 0) {
        bh_fdpass_close(out->fds, out->n_layers);
        out->n_layers = 0;
    }
    drop_repeats(out);
    return r;
}

static int receive_stack(struct bh_stream *stream, struct rt_image *out, struct bh_err *err) {
    struct bh_err no_fds = BH_ERR_INIT;

    if (bh_stream_recv_fds(stream, out->fds, RT_MAX_LAYERS, &out->n_layers, &no_fds) != 0)
        out->n_layers = 0;
    if (bh_stream_finish(stream, NULL, NULL, err) != 0)
        return err->code; /* it tells more than that no descriptors came */
    if (no_fds.code != 0)
        *err = no_fds;
    return no_fds.code;
}

static int ask_stack(struct rt_store *s, const ST_MSG(LayersOpenRequest) * req, struct rt_image *out,
                     struct bh_err *err) {
    const struct bh_stream_options options = {.timeout_ms = CALL_MS, .expect_fds = true};
    struct bh_stream *stream = NULL;

    if (bh_stream_open(s->conn, SERVICE "LayersOpen", &req->base, &options, &stream, err) != 0)
        return err->code;
    if (receive_stack(stream, out, err) == 0)
        check_layers(req->diff_id, req->n_diff_id, out, err);
    bh_stream_free(stream);
    return err->code;
}

int rt_store_stack(struct rt_store *s, uint64_t hold, const struct bh_digest *layers, size_t n, struct rt_image *out,
                   struct bh_err *err) {
    char text[RT_MAX_LAYERS][BH_DIGEST_TEXT_SIZE], *diff_ids[RT_MAX_LAYERS];
    ST_MSG(LayersOpenRequest) req = BULKHEAD__STORE__V1__LAYERS_OPEN_REQUEST__INIT;

    *out = (struct rt_image){0};
    if (n > RT_MAX_LAYERS) {
        bh_err_set(err, BH_E_LIMIT, "a step on %zu layers; a container can have %d", n, RT_MAX_LAYERS);
        return bh_err_hint(err, "an image of so many layers can be made one with `bulkhead build --squash`");
    }
    for (; req.n_diff_id < n; req.n_diff_id++) {
        bh_digest_format(&layers[req.n_diff_id], text[req.n_diff_id]);
        diff_ids[req.n_diff_id] = text[req.n_diff_id];
    }
    req.hold = hold;
    req.diff_id = diff_ids;
    if (ask_stack(s, &req, out, err) != 0) {
        bh_fdpass_close(out->fds, out->n_layers);
        out->n_layers = 0;
    }
    drop_repeats(out);
    return err->code;
}

static int simple_call(struct rt_store *s, const char *method, const ProtobufCMessage *req,
                       const ProtobufCMessageDescriptor *type, struct bh_err *err) {
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;

    return bh_conn_call(s->conn, method, req, type, CALL_MS, BH_CALL_IDEMPOTENT, &reply, err);
}

static void note_message(const struct rt_note *note, ST_MSG(ContainerNoteRequest) * req) {
    bulkhead__store__v1__container_note_request__init(req);
    req->id = (char *)note->id;
    req->name = (char *)note->name;
    req->image_id = (char *)note->image_id;
    req->owner = note->owner;
    req->running = note->running;
}

int rt_store_note(struct rt_store *s, const struct rt_note *note, struct bh_err *err) {
    ST_MSG(ContainerNoteRequest) req;

    note_message(note, &req);
    return simple_call(s, SERVICE "ContainerNote", &req.base, &bulkhead__store__v1__container_note_reply__descriptor,
                       err);
}

int rt_store_forget(struct rt_store *s, const char *id, struct bh_err *err) {
    ST_MSG(ContainerForgetRequest) req = BULKHEAD__STORE__V1__CONTAINER_FORGET_REQUEST__INIT;

    req.id = (char *)id;
    return simple_call(s, SERVICE "ContainerForget", &req.base,
                       &bulkhead__store__v1__container_forget_reply__descriptor, err);
}

int rt_store_sync(struct rt_store *s, const struct rt_note *notes, size_t n, struct bh_err *err) {
    ST_MSG(ContainerSyncRequest) req = BULKHEAD__STORE__V1__CONTAINER_SYNC_REQUEST__INIT;
    ST_MSG(ContainerNoteRequest) *all = bh_xcalloc(n + 1, sizeof *all);
    int r;

    req.container = bh_xcalloc(n + 1, sizeof *req.container);
    req.n_container = n;
    for (size_t i = 0; i < n; i++) {
        note_message(&notes[i], &all[i]);
        req.container[i] = &all[i];
    }
    r = simple_call(s, SERVICE "ContainerSync", &req.base, &bulkhead__store__v1__container_sync_reply__descriptor, err);
    free(req.container);
    free(all);
    return r;
}

/* ---- commit ------------------------------------------------------------------------------------ */

/* The pipe's write end comes beside the call; it is closed before the status is asked for, because
 * the store reads to its end. */
static int fill_layer(struct bh_stream *stream, int (*write_layer)(void *arg, int fd, struct bh_err *err), void *arg,
                      struct bh_err *err) {
    struct bh_err status = BH_ERR_INIT;
    unsigned n = 0;
    int fd = -1, r;

    r = bh_stream_recv_fds(stream, &fd, 1, &n, err);
    if (r == 0 && n != 1)
        r = bh_err_set(err, BH_E_INTERNAL, "the store gave no pipe for the layer");
    if (r == 0)
        r = write_layer(arg, fd, err);
    if (fd >= 0)
        close(fd);
    /* A store that gave up closes the pipe; its reason (a full disk, a limit) is the one to tell.  A
     * walker that failed by itself makes the store miss the end of the tar, which tells nothing. */
    if (r != 0 && bh_stream_finish(stream, NULL, NULL, &status) != 0 && strcmp(status.reason, "cut-off") != 0) {
        *err = status;
        r = status.code;
    }
    return r;
}

static int commit_message(const struct rt_store_commit *c, struct bh_arena *arena, ST_MSG(CommitRequest) * req,
                          struct bh_err *err) {
    ProtobufCAllocator alloc = rt_arena_allocator(arena);

    bulkhead__store__v1__commit_request__init(req);
    req->parent_id = (char *)c->parent_id;
    req->owner = c->owner;
    req->config = bulkhead__image__v1__image_config__unpack(&alloc, c->config.n, c->config.data);
    if (req->config == NULL)
        return bh_err_set(err, BH_E_DATA_LOSS, "the stored config of the container cannot be read");
    req->author = (char *)c->author;
    req->comment = (char *)c->comment;
    req->change = (char **)c->changes.v;
    req->n_change = c->changes.n;
    req->reference = (char *)c->reference;
    req->created_by = (char *)c->created_by;
    req->empty_layer = c->empty_layer;
    return 0;
}

static int finish_commit(struct bh_stream *stream, struct bh_arena *arena, char **out_id, struct bh_err *err) {
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    const char *id = NULL;

    if (bh_stream_finish(stream, &bulkhead__store__v1__commit_reply__descriptor, &reply, err) != 0)
        return err->code;
    if (reply == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "the store gave no id of the new image");
    if (copy_text(((const ST_MSG(CommitReply) *)reply)->id, arena, &id, err) != 0)
        return err->code;
    *out_id = (char *)id;
    return 0;
}

int rt_store_commit(struct rt_store *s, const struct rt_store_commit *c,
                    int (*write_layer)(void *arg, int fd, struct bh_err *err), void *arg, struct bh_arena *arena,
                    char **out_id, struct bh_err *err) {
    const struct bh_stream_options options = {.timeout_ms = COMMIT_MS, .expect_fds = !c->empty_layer};
    struct bh_stream *stream = NULL;
    ST_MSG(CommitRequest) req;
    int r;

    if (commit_message(c, arena, &req, err) != 0 ||
        bh_stream_open(s->conn, SERVICE "Commit", &req.base, &options, &stream, err) != 0)
        return err->code;
    r = c->empty_layer ? 0 : fill_layer(stream, write_layer, arg, err);
    if (r == 0)
        r = finish_commit(stream, arena, out_id, err);
    bh_stream_free(stream);
    return r;
}

/* ---- layers of a build --------------------------------------------------------------------------- */

static int finish_layer(struct bh_stream *stream, char out_diff_id[RT_DIFF_ID_SIZE], uint64_t *out_size,
                        struct bh_err *err) {
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;
    const ST_MSG(LayerTarReply) * r;
    struct bh_digest d;

    if (bh_stream_finish(stream, &bulkhead__store__v1__layer_tar_reply__descriptor, &reply, err) != 0)
        return err->code;
    r = (const ST_MSG(LayerTarReply) *)reply;
    if (r == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "the store gave no digest of the new layer");
    if (bh_digest_parse(r->diff_id, &d, err) != 0 || !bh_str_copy(out_diff_id, RT_DIFF_ID_SIZE, r->diff_id))
        return bh_err_set(err, BH_E_INTERNAL, "the store gave a layer whose digest cannot be used");
    *out_size = r->tar_size;
    return 0;
}

int rt_store_layer_tar(struct rt_store *s, uint64_t hold, int (*write_layer)(void *arg, int fd, struct bh_err *err),
                       void *arg, char out_diff_id[RT_DIFF_ID_SIZE], uint64_t *out_size, struct bh_err *err) {
    const struct bh_stream_options options = {.timeout_ms = COMMIT_MS, .expect_fds = true};
    ST_MSG(LayerTarRequest) req = BULKHEAD__STORE__V1__LAYER_TAR_REQUEST__INIT;
    struct bh_stream *stream = NULL;
    int r;

    req.hold = hold;
    if (bh_stream_open(s->conn, SERVICE "LayerTar", &req.base, &options, &stream, err) != 0)
        return err->code;
    r = fill_layer(stream, write_layer, arg, err);
    if (r == 0)
        r = finish_layer(stream, out_diff_id, out_size, err);
    bh_stream_free(stream);
    return r;
}
