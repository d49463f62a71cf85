/*
 * image_rpc.c - handlers about images: list, inspect, history, names, removal.
 *
 * Room: store.  One conversion each way; the work is done in the files of the nouns.
 */
#include <string.h>

#include "diff.h"
#include "filter.h"
#include "history.h"
#include "image.h"
#include "image_rpc.h"
#include "imageconf/imageconf.h"
#include "methods.h"
#include "name.h"
#include "partial.h"
#include "remove.h"
#include "result.h"
#include "unpack/entries.h"

#define MSG(name)  Bulkhead__Store__V1__##name
#define LIST_BYTES ((size_t)1000 << 10) /* below what one message can carry */

static char *str(const char *s) {
    return (char *)s; /* protobuf-c has char * where it only reads */
}

/* ---- summaries ----------------------------------------------------------------------------- */

static int summary_names(const struct store_image *im, struct bh_arena *arena, MSG(ImageSummary) * m,
                         struct bh_err *err) {
    m->repo_tags = bh_oci_alloc(arena, (im->n_names + 1) * sizeof(char *), err);
    m->repo_digests = bh_oci_alloc(arena, (im->n_names + 1) * sizeof(char *), err);
    if (m->repo_tags == NULL || m->repo_digests == NULL)
        return err->code;
    for (size_t i = 0; i < im->n_names; i++) {
        const struct store_name *n = &im->names[i];
        const char *text = store_name_familiar(n, arena, err);

        if (text == NULL)
            return err->code;
        if (n->tag[0] == '\0') {
            m->repo_digests[m->n_repo_digests++] = str(text);
            continue;
        }
        m->repo_tags[m->n_repo_tags++] = str(text);
        /* the digest that this repository's content is known by, once for each repository */
        if (im->made || (i > 0 && strcmp(im->names[i - 1].repo, n->repo) == 0))
            continue;
        text = store_name_with_digest(n, im->manifest, arena, err);
        if (text == NULL)
            return err->code;
        m->repo_digests[m->n_repo_digests++] = str(text);
    }
    return 0;
}

static int summary_labels(const struct store_image *im, struct bh_arena *arena, MSG(ImageSummary) * m,
                          struct bh_err *err) {
    m->label = bh_oci_alloc(arena, (im->labels.n + 1) * sizeof *m->label, err);
    if (m->label == NULL)
        return err->code;
    for (size_t i = 0; i < im->labels.n; i++) {
        m->label[i] = bh_oci_alloc(arena, sizeof *m->label[i], err);
        if (m->label[i] == NULL)
            return err->code;
        bulkhead__common__v1__pair__init(m->label[i]);
        m->label[i]->key = str(im->labels.v[i].key);
        m->label[i]->value = str(im->labels.v[i].value);
    }
    m->n_label = im->labels.n;
    return 0;
}

static int summary_platforms(const struct store_image *im, struct bh_arena *arena, MSG(ImageSummary) * m,
                             struct bh_err *err) {
    m->platform = bh_oci_alloc(arena, (im->n_platforms + 1) * sizeof *m->platform, err);
    for (size_t i = 0; m->platform != NULL && i < im->n_platforms; i++) {
        const struct store_image_platform *p = &im->platforms[i];
        MSG(ImagePlatform) *out = bh_oci_alloc(arena, sizeof *out, err);

        if (out == NULL)
            return err->code;
        bulkhead__store__v1__image_platform__init(out);
        out->manifest_digest = str(p->manifest);
        out->os = str(p->os);
        out->architecture = str(p->arch);
        out->variant = str(p->variant);
        out->size = p->size;
        out->content = p->content;
        out->containers = p->containers;
        m->platform[m->n_platform++] = out;
    }
    return m->platform != NULL ? 0 : err->code;
}

MSG(ImageSummary) * store_summary_msg(const struct store_image *im, struct bh_arena *arena, struct bh_err *err) {
    MSG(ImageSummary) *m = bh_oci_alloc(arena, sizeof *m, err);

    if (m == NULL)
        return NULL;
    bulkhead__store__v1__image_summary__init(m);
    m->id = str(im->id);
    m->created_ns = im->created_ns;
    m->size = im->size;
    m->containers = im->containers;
    m->shared_size = im->shared;
    m->unique_size = im->unique;
    m->owner = im->owner;
    m->last_used_ns = im->last_used_ns;
    m->manifest_digest = str(im->manifest);
    m->parent_id = str(im->parent);
    m->os = str(im->os);
    m->architecture = str(im->arch);
    m->artifact_type = str(im->artifact);
    if (summary_names(im, arena, m, err) != 0 || summary_labels(im, arena, m, err) != 0 ||
        summary_platforms(im, arena, m, err) != 0)
        return NULL;
    return m;
}

int store_filters_of(size_t n, Bulkhead__Common__V1__Filter **v, struct bh_arena *arena, struct store_filters *out,
                     struct bh_err *err) {
    struct store_filter *f = bh_oci_alloc(arena, (n + 1) * sizeof *f, err);

    if (f == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++)
        f[i] = (struct store_filter){v[i]->key, v[i]->value};
    *out = (struct store_filters){f, n};
    return 0;
}

/* ---- list ---------------------------------------------------------------------------------- */

static int list(struct store *s, const struct store_who *who, const MSG(ImageListRequest) * req, struct bh_arena *arena,
                struct store_image **out, size_t *out_n, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct store_filters f;

    if (store_filters_of(req->n_filter, req->filter, arena, &f, err) != 0 ||
        store_filter_check(&f, store_filter_images, err) != 0 || store_read_begin(s->index, &db, err) != 0)
        return err->code;
    if (store_image_list(db, who, arena, out, out_n, err) != 0 ||
        store_filter_apply(db, who, &f, req->match, req->all, arena, *out, out_n, err) != 0)
        return err->code;
    if (req->platforms && store_image_platforms(db, *out, *out_n, arena, err) != 0)
        return err->code;
    return req->sizes ? store_image_sizes(db, *out, *out_n, err) : 0;
}

int store_summaries_msg(const struct store_image *images, size_t n, struct bh_arena *arena, MSG(ImageSummary) * **out,
                        struct bh_err *err) {
    *out = bh_oci_alloc(arena, (n + 1) * sizeof **out, err);
    if (*out == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++) {
        (*out)[i] = store_summary_msg(&images[i], arena, err);
        if ((*out)[i] == NULL)
            return err->code;
    }
    return 0;
}

/* Images behind the one with id `after`; all when it has gone meanwhile. */
static void skip_to(const char *after, struct store_image **images, size_t *n) {
    for (size_t i = 0; i < *n && after[0] != '\0'; i++)
        if (strcmp((*images)[i].id, after) == 0) {
            *images += i + 1;
            *n -= i + 1;
            return;
        }
}

/* A message has a limit: a part for who asked for parts, else a list without labels, which few look at. */
static void fit(const MSG(ImageListRequest) * req, MSG(ImageListReply) * reply) {
    size_t size = 0;

    for (size_t i = 0; i < reply->n_image; i++) {
        size += protobuf_c_message_get_packed_size(&reply->image[i]->base) + 8;
        if (size <= LIST_BYTES)
            continue;
        if (req->paged && i > 0) {
            reply->n_image = i;
            reply->more = true;
            return;
        }
        break;
    }
    for (size_t i = 0; i < reply->n_image && size > LIST_BYTES; i++)
        reply->image[i]->n_label = 0;
}

int store_rpc_image_list(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const struct store_who who = store_who_of(call);
    const MSG(ImageListRequest) *req = (const MSG(ImageListRequest) *)request;
    MSG(ImageListReply) reply = BULKHEAD__STORE__V1__IMAGE_LIST_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct store_image *images;
    size_t n;

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (list(room, &who, req, &arena, &images, &n, err) != 0)
        return err->code;
    skip_to(req->after, &images, &n);
    if (store_summaries_msg(images, n, &arena, &reply.image, err) != 0)
        return err->code;
    reply.n_image = n;
    fit(req, &reply);
    return bh_call_reply(call, &reply.base, err);
}

/* ---- inspect ------------------------------------------------------------------------------- */

struct inspected {
    struct store_image image;
    struct store_manifest manifest;
    struct bh_image_config config;
    const char *codec;
};

static int kept_codec(struct store_db *db, const struct store_manifest *m, struct bh_arena *arena, const char **out,
                      struct bh_err *err) {
    sqlite3_stmt *st;
    int r;

    *out = "";
    for (size_t i = 0; i < m->n_layers && (*out)[0] == '\0'; i++) {
        if (store_query(db, &st, err, "SELECT codec FROM blob WHERE digest=? AND kind=4 AND state=0", "t",
                        m->layers[i].digest) != 0)
            return err->code;
        r = store_step(db, st, err);
        if (r < 0)
            return r;
        if (r == 1) {
            *out = bh_oci_strdup(arena, store_text(st, 0), strlen(store_text(st, 0)), err);
            sqlite3_reset(st);
            if (*out == NULL)
                return err->code;
        }
    }
    return 0;
}

static int inspect(struct store *s, const struct store_who *who, const char *name, struct bh_arena *arena,
                   struct inspected *out, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct store_found found;
    const void *packed;
    size_t n;

    if (store_read_begin(s->index, &db, err) != 0 || store_find(db, who, name, &found, err) != 0 ||
        store_image_get(db, found.k, arena, &out->image, err) != 0 ||
        store_manifest_get(db, found.k, found.manifest, arena, &out->manifest, err) != 0 ||
        store_image_reduced(db, found.k, arena, &packed, &n, err) != 0 ||
        store_config_unpack(packed, n, arena, &out->config, err) != 0)
        return err->code;
    return kept_codec(db, &out->manifest, arena, &out->codec, err);
}

static int layers_msg(const struct store_manifest *m, struct bh_arena *arena, MSG(ImageInspectReply) * reply,
                      struct bh_err *err) {
    reply->layer = bh_oci_alloc(arena, (m->n_layers + 1) * sizeof *reply->layer, err);
    if (reply->layer == NULL)
        return err->code;
    for (size_t i = 0; i < m->n_layers; i++) {
        Bulkhead__Image__V1__Descriptor *d = bh_oci_alloc(arena, sizeof *d, err);

        if (d == NULL)
            return err->code;
        bulkhead__image__v1__descriptor__init(d);
        d->digest = str(m->layers[i].digest);
        d->size = m->layers[i].size;
        d->media_type = str(m->layers[i].media);
        reply->layer[i] = d;
    }
    reply->n_layer = m->n_layers;
    return 0;
}

int store_rpc_image_inspect(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const struct store_who who = store_who_of(call);
    const MSG(ImageInspectRequest) *req = (const MSG(ImageInspectRequest) *)request;
    MSG(ImageInspectReply) reply = BULKHEAD__STORE__V1__IMAGE_INSPECT_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct inspected x = {0};

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (inspect(room, &who, req->name, &arena, &x, err) != 0)
        return err->code;
    reply.summary = store_summary_msg(&x.image, &arena, err);
    if (reply.summary == NULL || bh_imageconf_to_msg(&x.config, &arena, &reply.config, err) != 0 ||
        layers_msg(&x.manifest, &arena, &reply, err) != 0)
        return err->code;
    reply.manifest_media_type = str(x.manifest.media);
    reply.last_tag_ns = x.image.last_tag_ns;
    reply.codec = str(x.codec);
    return bh_call_reply(call, &reply.base, err);
}

/* ---- history ------------------------------------------------------------------------------- */

static int history_msg(const struct store_history_row *rows, size_t n, struct bh_arena *arena,
                       MSG(ImageHistoryReply) * reply, struct bh_err *err) {
    reply->row = bh_oci_alloc(arena, (n + 1) * sizeof *reply->row, err);
    if (reply->row == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++) {
        MSG(HistoryRow) *m = bh_oci_alloc(arena, sizeof *m, err);

        if (m == NULL)
            return err->code;
        bulkhead__store__v1__history_row__init(m);
        m->id = str(rows[i].id);
        m->created_ns = rows[i].created_ns;
        m->created_by = str(rows[i].created_by);
        m->size = rows[i].size;
        m->comment = str(rows[i].comment);
        m->n_tag = rows[i].n_tags;
        m->tag = (char **)rows[i].tags;
        reply->row[i] = m;
    }
    reply->n_row = n;
    return 0;
}

int store_rpc_image_history(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const struct store_who who = store_who_of(call);
    const MSG(ImageHistoryRequest) *req = (const MSG(ImageHistoryRequest) *)request;
    MSG(ImageHistoryReply) reply = BULKHEAD__STORE__V1__IMAGE_HISTORY_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct store_history_row *rows;
    size_t n;

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (store_history(room, &who, req->name, &arena, &rows, &n, err) != 0 ||
        history_msg(rows, n, &arena, &reply, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}

/* ---- diff ---------------------------------------------------------------------------------- */

static int send_difference(void *arg, char kind, const char *path, size_t n, struct bh_err *err) {
    MSG(ImageDiffEntry) m = BULKHEAD__STORE__V1__IMAGE_DIFF_ENTRY__INIT;
    char text[BH_ENTRY_PATH_MAX + 1] = "/";

    if (n > sizeof text - 1)
        return bh_err_set(err, BH_E_INTERNAL, "a path is too long");
    memcpy(text + 1, path, n);
    m.kind = (char[]){kind, '\0'};
    m.path.data = (uint8_t *)text;
    m.path.len = n + 1;
    return bh_call_send_msg(arg, &m.base, err);
}

int store_rpc_image_diff(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const struct store_who who = store_who_of(call);
    const MSG(ImageDiffRequest) *req = (const MSG(ImageDiffRequest) *)request;

    return store_diff(room, &who, req->a, req->b, bh_call_cancel_fd(call), send_difference, call, err);
}

/* ---- names and removal --------------------------------------------------------------------- */

int store_rpc_image_tag(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const struct store_who who = store_who_of(call);
    const MSG(ImageTagRequest) *req = (const MSG(ImageTagRequest) *)request;
    MSG(ImageTagReply) reply = BULKHEAD__STORE__V1__IMAGE_TAG_REPLY__INIT;
    char previous[STORE_DIGEST_SIZE];

    if (store_tag(room, &who, req->source, req->target, previous, err) != 0)
        return err->code;
    reply.replaced_id = previous;
    return bh_call_reply(call, &reply.base, err);
}

static int items_msg(const struct store_removal *r, struct bh_arena *arena, MSG(RemovedItem) * **out,
                     struct bh_err *err) {
    *out = bh_oci_alloc(arena, (r->n_items + 1) * sizeof **out, err);
    if (*out == NULL)
        return err->code;
    for (size_t i = 0; i < r->n_items; i++) {
        MSG(RemovedItem) *m = bh_oci_alloc(arena, sizeof *m, err);

        if (m == NULL)
            return err->code;
        bulkhead__store__v1__removed_item__init(m);
        if (r->items[i].untagged != NULL)
            m->untagged = str(r->items[i].untagged);
        if (r->items[i].deleted != NULL)
            m->deleted = str(r->items[i].deleted);
        (*out)[i] = m;
    }
    return 0;
}

int store_rpc_image_untag(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const struct store_who who = store_who_of(call);
    const MSG(ImageUntagRequest) *req = (const MSG(ImageUntagRequest) *)request;
    MSG(ImageUntagReply) reply = BULKHEAD__STORE__V1__IMAGE_UNTAG_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct store_removal removal = {0};

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (store_untag(room, &who, req->name, &arena, &removal, err) != 0 ||
        items_msg(&removal, &arena, &reply.item, err) != 0)
        return err->code;
    reply.n_item = removal.n_items;
    return bh_call_reply(call, &reply.base, err);
}

int store_rpc_image_remove(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const struct store_who who = store_who_of(call);
    const MSG(ImageRemoveRequest) *req = (const MSG(ImageRemoveRequest) *)request;
    MSG(ImageRemoveReply) reply = BULKHEAD__STORE__V1__IMAGE_REMOVE_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct store_removal removal = {0};

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (store_remove(room, &who, req->name, req->force, req->no_prune, &arena, &removal, err) != 0 ||
        items_msg(&removal, &arena, &reply.item, err) != 0)
        return err->code;
    reply.n_item = removal.n_items;
    reply.reclaimed = removal.reclaimed;
    return bh_call_reply(call, &reply.base, err);
}

static int prune_partials(struct store *s, const struct store_who *who, const MSG(ImagePruneRequest) * req,
                          uint64_t *reclaimed, struct bh_err *err) {
    struct store_partials gone = {0};

    if (req->dry_run ? req->partials && store_partial_count(s, who, &gone, err) != 0
                     : store_partial_sweep(s, who, req->partials, &gone, err) != 0)
        return err->code;
    *reclaimed += gone.bytes;
    return 0;
}

int store_rpc_image_prune(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const struct store_who who = store_who_of(call);
    const MSG(ImagePruneRequest) *req = (const MSG(ImagePruneRequest) *)request;
    MSG(ImagePruneReply) reply = BULKHEAD__STORE__V1__IMAGE_PRUNE_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct store_removal removal = {0};
    struct store_filters f;

    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (store_filters_of(req->n_filter, req->filter, &arena, &f, err) != 0 ||
        store_prune(room, &who, req->all, &f, req->dry_run, &arena, &removal, err) != 0 ||
        items_msg(&removal, &arena, &reply.item, err) != 0)
        return err->code;
    reply.n_item = removal.n_items;
    reply.reclaimed = removal.reclaimed;
    if (prune_partials(room, &who, req, &reply.reclaimed, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}
