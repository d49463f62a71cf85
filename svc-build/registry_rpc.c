/*
 * registry_rpc.c - calls to the registry room, see registry.h.
 *
 * Room: build.
 */
#include "registry.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "imageconf/imageconf.h"
#include "oci/ref.h"
#include "registry.pb-c.h"
#include "rpc/client.h"

#define SERVICE     "bulkhead.registry.v1.Registry/"
#define INSPECT_MS  120000
#define EVENT_ARENA ((size_t)64 << 10)

/* Of the documents that BuildKit leaves its caches in. */
#define BUILDKIT_CACHE  "application/vnd.buildkit.cacheconfig."
#define BUILDKIT_INLINE "\"moby.buildkit.cache."

#define RG_MSG(name) Bulkhead__Registry__V1__##name

struct build_registry {
    struct bh_conn *conn;
};

int build_registry_open(const char *dir, struct build_registry **out, struct bh_err *err) {
    struct build_registry *r = bh_xcalloc(1, sizeof *r);

    if (bh_conn_open(dir, &r->conn, err) != 0) {
        free(r);
        return err->code;
    }
    *out = r;
    return 0;
}

/* The caller's own options, with his name in them. */
static RG_MSG(RemoteOptions) remote_of(const struct build_ask *ask) {
    RG_MSG(RemoteOptions) remote = BULKHEAD__REGISTRY__V1__REMOTE_OPTIONS__INIT;

    if (ask->remote != NULL)
        remote = *(const RG_MSG(RemoteOptions) *)ask->remote;
    remote.owner = ask->owner;
    remote.admin = ask->admin;
    return remote;
}

/* ---- pull and push ----------------------------------------------------------------------------- */

struct follow {
    struct build_vertex_ref v;
    char last[64];                    /* of the words that were told last */
    char digest[BH_DIGEST_TEXT_SIZE]; /* of a push */
    struct bh_arena *arena;
    const char *id; /* of what was pulled, in the arena */
};

/* Bytes of a layer often, its words once. */
static void layer_told(struct follow *f, const char *layer, unsigned state, uint64_t current, uint64_t total) {
    static const char *const words[] = {"",           "waiting", "waiting", "downloading", "verifying", "downloaded",
                                        "extracting", "done",    "exists",  "retrying",    "preparing", "compressing",
                                        "pushing",    "pushed",  "exists",  "mounted"};
    char text[64];

    if (state >= BH_ARRAY_LEN(words) || words[state][0] == '\0')
        return;
    snprintf(text, sizeof text, "%.12s %s", layer, words[state]);
    if (total == 0 && strcmp(text, f->last) == 0)
        return;
    bh_str_copy(f->last, sizeof f->last, text);
    build_vertex_status(f->v, text, current, total);
}

static int pull_event(struct follow *f, const void *data, size_t n, struct bh_err *err) {
    RG_MSG(PullEvent) *e = bulkhead__registry__v1__pull_event__unpack(NULL, n, data);

    if (e == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "the registry room tells of a pull what cannot be read");
    if (e->layer[0] != '\0')
        layer_told(f, e->layer, (unsigned)e->state, e->current, e->total);
    else if (e->status[0] != '\0')
        build_vertex_status(f->v, e->status, 0, 0);
    int r = 0;
    if (e->id[0] != '\0') {
        f->id = bh_oci_strdup(f->arena, e->id, strlen(e->id), err);
        r = f->id == NULL ? err->code : 0;
    }
    bulkhead__registry__v1__pull_event__free_unpacked(e, NULL);
    return r;
}

static int push_event(struct follow *f, const void *data, size_t n, struct bh_err *err) {
    RG_MSG(PushEvent) *e = bulkhead__registry__v1__push_event__unpack(NULL, n, data);

    if (e == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "the registry room tells of a push what cannot be read");
    if (e->layer[0] != '\0')
        layer_told(f, e->layer, (unsigned)e->state, e->current, e->total);
    else if (e->status[0] != '\0')
        build_vertex_status(f->v, e->status, 0, 0);
    if (e->digest[0] != '\0')
        bh_str_copy(f->digest, sizeof f->digest, e->digest);
    bulkhead__registry__v1__push_event__free_unpacked(e, NULL);
    return 0;
}

static int follow(struct bh_stream *stream, struct follow *f,
                  int (*event)(struct follow *f, const void *data, size_t n, struct bh_err *err), struct bh_err *err) {
    for (;;) {
        const void *data = NULL;
        size_t n = 0;

        if (bh_stream_recv(stream, &data, &n, err) != 0)
            return err->code;
        if (data == NULL)
            return bh_stream_finish(stream, NULL, NULL, err);
        if (event(f, data, n, err) != 0)
            return err->code;
    }
}

static int stream_call(struct build_registry *r, const char *method, const ProtobufCMessage *req,
                       int (*event)(struct follow *f, const void *data, size_t n, struct bh_err *err),
                       struct build_cancel *cancel, struct follow *f, struct bh_err *err) {
    const struct bh_stream_options options = {0};
    struct bh_stream *stream = NULL;
    struct build_wait wait;
    int code;

    if (bh_stream_open(r->conn, method, req, &options, &stream, err) != 0)
        return err->code;
    build_wait_begin(cancel, &wait, stream);
    code = follow(stream, f, event, err);
    build_wait_end(cancel, &wait);
    bh_stream_free(stream);
    return code;
}

int build_pull(struct build_registry *r, const struct build_ask *ask, const struct build_pull *what,
               struct build_cancel *cancel, struct build_vertex_ref v, const char **out_id, struct bh_err *err) {
    struct follow f = {.v = v, .arena = what->arena};
    RG_MSG(PullRequest) req = BULKHEAD__REGISTRY__V1__PULL_REQUEST__INIT;
    RG_MSG(RemoteOptions) remote = remote_of(ask);
    char *names[] = {(char *)what->reference};

    req.reference = names;
    req.n_reference = 1;
    req.platform = (char *)what->platform;
    req.policy = what->missing ? "missing" : "";
    req.hold = what->hold;
    req.remote = &remote;
    if (stream_call(r, SERVICE "Pull", &req.base, pull_event, cancel, &f, err) != 0)
        return err->code;
    if (f.id == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "the registry room told nothing of %s", what->reference);
    *out_id = f.id;
    return 0;
}

int build_push(struct build_registry *r, const struct build_ask *ask, const struct bh_strlist *names,
               struct build_cancel *cancel, struct build_vertex_ref v, char digest[BH_DIGEST_TEXT_SIZE],
               struct bh_err *err) {
    RG_MSG(PushRequest) req = BULKHEAD__REGISTRY__V1__PUSH_REQUEST__INIT;
    RG_MSG(RemoteOptions) remote = remote_of(ask);
    struct follow f = {.v = v};

    req.reference = (char **)names->v;
    req.n_reference = names->n;
    req.remote = &remote;
    if (stream_call(r, SERVICE "Push", &req.base, push_event, cancel, &f, err) != 0)
        return err->code;
    if (f.digest[0] != '\0')
        memcpy(digest, f.digest, sizeof f.digest);
    return 0;
}

/* ---- caches ------------------------------------------------------------------------------------ */

static bool holds(const RG_MSG(RemoteDocument) * doc, const char *text) {
    return doc != NULL && doc->data.len > 0 && memmem(doc->data.data, doc->data.len, text, strlen(text)) != NULL;
}

static const RG_MSG(RemoteDocument) * manifest_of(const RG_MSG(RemoteInspectReply) * reply) {
    return reply->n_manifest > 0 ? reply->manifest[0] : reply->top;
}

static int pin(const RG_MSG(RemoteInspectReply) * reply, struct bh_arena *arena, struct build_remote *out,
               struct bh_err *err) {
    const RG_MSG(RemoteDocument) *m = manifest_of(reply);
    char text[BH_REF_TEXT_SIZE];
    struct bh_ref ref;

    if (m == NULL || m->desc == NULL || bh_ref_parse(reply->reference, &ref, err) != 0)
        return err->code != 0 ? err->code : bh_err_set(err, BH_E_INTERNAL, "the registry room told no manifest");
    ref.tag[0] = '\0';
    if (!bh_str_copy(ref.digest, sizeof ref.digest, m->desc->digest))
        return bh_err_set(err, BH_E_INTERNAL, "the registry room told a digest that is none");
    bh_ref_format(&ref, text);
    out->pinned = bh_oci_strdup(arena, text, strlen(text), err);
    return out->pinned == NULL ? err->code : 0;
}

static int keep_remote(const RG_MSG(RemoteInspectReply) * reply, struct bh_arena *arena, struct build_remote *out,
                       struct bh_err *err) {
    struct bh_image_config shared;

    out->foreign = holds(reply->top, BUILDKIT_CACHE) || holds(manifest_of(reply), BUILDKIT_CACHE) ||
                   holds(reply->config, BUILDKIT_INLINE);
    out->is_image = reply->image_config != NULL;
    if (!out->is_image)
        return 0;
    if (bh_imageconf_from_msg(reply->image_config, arena, &shared, err) != 0 ||
        bh_image_config_copy(&shared, arena, &out->config, err) != 0)
        return err->code;
    return pin(reply, arena, out, err);
}

static int inspect(struct build_registry *r, const RG_MSG(RemoteInspectRequest) * req, struct bh_arena *arena,
                   struct build_remote *out, struct bh_err *err) {
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;

    if (bh_conn_call(r->conn, SERVICE "RemoteInspect", &req->base,
                     &bulkhead__registry__v1__remote_inspect_reply__descriptor, INSPECT_MS, BH_CALL_IDEMPOTENT, &reply,
                     err) != 0)
        return err->code;
    return keep_remote((const RG_MSG(RemoteInspectReply) *)reply, arena, out, err);
}

/* BuildKit has written caches as an index whose entries are layers: nothing can be chosen from it. */
int build_remote_look(struct build_registry *r, const struct build_ask *ask, const char *reference,
                      const char *platform, struct bh_arena *arena, struct build_remote *out, struct bh_err *err) {
    RG_MSG(RemoteInspectRequest) req = BULKHEAD__REGISTRY__V1__REMOTE_INSPECT_REQUEST__INIT;
    RG_MSG(RemoteOptions) remote = remote_of(ask);
    struct bh_err ignored = BH_ERR_INIT;

    *out = (struct build_remote){.pinned = ""};
    req.reference = (char *)reference;
    req.platform = (char *)platform;
    req.config = true;
    req.remote = &remote;
    if (inspect(r, &req, arena, out, err) == 0)
        return 0;
    req.platform = (char *)"";
    req.config = false;
    if (err->code == BH_E_UNAVAILABLE || inspect(r, &req, arena, out, &ignored) != 0 || !out->foreign)
        return err->code;
    bh_err_clear(err);
    return 0;
}

int build_layer_pull(struct build_registry *r, const struct build_ask *ask, const struct build_layer_pull *what,
                     struct build_cancel *cancel, struct build_vertex_ref v, struct bh_err *err) {
    RG_MSG(PullRequest) req = BULKHEAD__REGISTRY__V1__PULL_REQUEST__INIT;
    char diff_id[BH_DIGEST_TEXT_SIZE];
    RG_MSG(RemoteOptions) remote = remote_of(ask);
    char *names[] = {(char *)what->pinned}, *layers[] = {diff_id};
    struct bh_arena arena;
    struct follow f = {.v = v, .arena = &arena};
    int code;

    bh_digest_format(what->layer, diff_id);
    req.reference = names;
    req.n_reference = 1;
    req.remote = &remote;
    req.hold = what->hold;
    req.diff_id = layers;
    req.n_diff_id = 1;
    bh_arena_init(&arena, EVENT_ARENA);
    code = stream_call(r, SERVICE "Pull", &req.base, pull_event, cancel, &f, err);
    bh_arena_fini(&arena);
    return code;
}

int build_push_cache(struct build_registry *r, const struct build_ask *ask, const struct build_cache_push *what,
                     struct build_cancel *cancel, struct build_vertex_ref v, struct bh_err *err) {
    RG_MSG(PushRequest) req = BULKHEAD__REGISTRY__V1__PUSH_REQUEST__INIT;
    RG_MSG(RemoteOptions) remote = remote_of(ask);
    struct follow f = {.v = v};
    char *ids[] = {(char *)what->id};

    req.reference = ids;
    req.n_reference = 1;
    req.destination = (char *)what->destination;
    req.compression = (char *)what->compression;
    req.level = what->level;
    req.force_compression = what->force_compression;
    req.kept = true;
    req.remote = &remote;
    return stream_call(r, SERVICE "Push", &req.base, push_event, cancel, &f, err);
}

/* ---- files ------------------------------------------------------------------------------------- */

static int keep_fetched(const RG_MSG(FetchReply) * reply, struct bh_arena *arena, struct build_fetched *out,
                        struct bh_err *err) {
    out->digest = bh_oci_strdup(arena, reply->digest, strlen(reply->digest), err);
    out->filename = bh_oci_strdup(arena, reply->filename, strlen(reply->filename), err);
    out->mtime_ns = reply->mtime_ns;
    return out->digest == NULL || out->filename == NULL ? err->code : 0;
}

static int finish_fetch(struct bh_stream *stream, const int fds[2], struct bh_arena *arena, struct build_fetched *out,
                        struct bh_err *err) {
    ProtobufCMessage *reply = NULL;
    int code = bh_stream_send_fds(stream, fds, 2, err);

    if (code == 0)
        code = bh_stream_finish(stream, &bulkhead__registry__v1__fetch_reply__descriptor, &reply, err);
    if (code == 0 && reply == NULL)
        code = bh_err_set(err, BH_E_INTERNAL, "the registry room gave no answer");
    if (code == 0)
        code = keep_fetched((const RG_MSG(FetchReply) *)reply, arena, out, err);
    if (reply != NULL)
        protobuf_c_message_free_unpacked(reply, NULL);
    return code;
}

int build_fetch(struct build_registry *r, const struct build_ask *ask, const char *url, const char *checksum,
                const int fds[2], struct build_cancel *cancel, struct bh_arena *arena, struct build_fetched *out,
                struct bh_err *err) {
    const struct bh_stream_options options = {.announce_fds = true};
    RG_MSG(FetchRequest) req = BULKHEAD__REGISTRY__V1__FETCH_REQUEST__INIT;
    RG_MSG(RemoteOptions) remote = remote_of(ask);
    struct bh_stream *stream = NULL;
    struct build_wait wait;
    int code;

    req.url = (char *)url;
    req.checksum = (char *)checksum;
    req.remote = &remote;
    if (bh_stream_open(r->conn, SERVICE "Fetch", &req.base, &options, &stream, err) != 0)
        return err->code;
    build_wait_begin(cancel, &wait, stream);
    code = finish_fetch(stream, fds, arena, out, err);
    build_wait_end(cancel, &wait);
    bh_stream_free(stream);
    return code;
}
