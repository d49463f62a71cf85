/*
 * result_rpc.c - from a worker's message to the values of result.h, and image configs to and from it.
 *
 * Room: store.  The worker may have been taken over by what it read: memory is capped, every digest is
 * parsed, every range is checked, numbers that cannot be are refused.
 */
#include "result.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "compose.h"
#include "imageconf/imageconf.h"
#include "unpack/jobs.h"
#include "worker.pb-c.h"

typedef Bulkhead__Worker__V1__Result result_msg;
typedef Bulkhead__Worker__V1__PlanImage image_msg;

#define LAYER_ARENA ((size_t)1 << 20)
#define CONTENT_MAX ((uint64_t)1 << 52) /* nothing checks it again: its sums must not overflow */

static void *arena_alloc(void *arena, size_t n) {
    return bh_arena_alloc(arena, n);
}
static void arena_free(void *arena, void *p) {
    (void)arena;
    (void)p;
}

static int broken(const char *what, struct bh_err *err) {
    bh_err_set(err, BH_E_INTERNAL, "a worker handed back a result that cannot be: %s", what);
    return bh_err_reason(err, "worker-result");
}

static int worker_error(const Bulkhead__Worker__V1__WorkerError *e, struct bh_err *err) {
    bh_err_set(err, bh_err_from_wire((unsigned)e->code), "%s", e->message);
    if (e->reason[0] != '\0')
        bh_err_reason(err, e->reason);
    if (e->hint[0] != '\0')
        bh_err_hint(err, "%s", e->hint);
    return err->code != 0 ? err->code : broken("an error without code", err);
}

static int unpack(const struct bh_buf *packed, struct bh_arena *arena, int want, result_msg **out, struct bh_err *err) {
    ProtobufCAllocator alloc = {.alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
    result_msg *m = bulkhead__worker__v1__result__unpack(&alloc, packed->len, (const uint8_t *)packed->data);

    if (m == NULL)
        return broken("not a message, or one that needs too much memory", err);
    if (m->result_case == BULKHEAD__WORKER__V1__RESULT__RESULT_ERROR)
        return worker_error(m->error, err);
    if ((int)m->result_case != want)
        return broken("the answer of another job", err);
    *out = m;
    return 0;
}

/* sha256 only: nothing else names files here. */
static bool digest_ok(const char *text) {
    struct bh_digest d;
    struct bh_err ignored = BH_ERR_INIT;

    return bh_digest_parse(text, &d, &ignored) == 0 && d.alg == BH_DIGEST_SHA256;
}

static const char *codec_name(Bulkhead__Worker__V1__Codec codec) {
    switch (codec) {
    case BULKHEAD__WORKER__V1__CODEC__CODEC_GZIP:
        return "gzip";
    case BULKHEAD__WORKER__V1__CODEC__CODEC_ZSTD:
        return "zstd";
    case BULKHEAD__WORKER__V1__CODEC__CODEC_BZIP2:
        return "bzip2";
    case BULKHEAD__WORKER__V1__CODEC__CODEC_XZ:
        return "xz";
    default:
        return "none";
    }
}

static int layer_of(const Bulkhead__Worker__V1__LayerResult *l, struct store_layer_result *out, struct bh_err *err) {
    *out = (struct store_layer_result){
        .codec = codec_name(l->codec),
        .size = l->size,
        .tar_size = l->tar_size,
        .content = l->content,
        .file_size = l->file_size,
        .index_offset = l->index_offset,
        .index_size = l->index_size,
        .entries = l->entries,
        .blob_written = l->blob_written,
    };
    if (!digest_ok(l->digest) || !digest_ok(l->diff_id) || l->index_sha256.len != sizeof out->index_sha256)
        return broken("a digest of a layer", err);
    if (l->content > CONTENT_MAX)
        return broken("the size of a layer's files", err);
    bh_str_copy(out->digest, sizeof out->digest, l->digest);
    bh_str_copy(out->diff_id, sizeof out->diff_id, l->diff_id);
    memcpy(out->index_sha256, l->index_sha256.data, sizeof out->index_sha256);
    return 0;
}

int store_result_layer(const struct bh_buf *packed, struct store_layer_result *out, struct bh_err *err) {
    struct bh_arena arena;
    result_msg *m;

    bh_arena_init(&arena, LAYER_ARENA);
    if (unpack(packed, &arena, BULKHEAD__WORKER__V1__RESULT__RESULT_LAYER, &m, err) == 0)
        layer_of(m->layer, out, err);
    bh_arena_fini(&arena);
    return err->code;
}

/* ---- builds -------------------------------------------------------------------------------- */

int store_result_context(const struct bh_buf *packed, struct store_context_found *out, struct bh_err *err) {
    struct bh_arena arena;
    result_msg *m;

    bh_arena_init(&arena, LAYER_ARENA);
    if (unpack(packed, &arena, BULKHEAD__WORKER__V1__RESULT__RESULT_CONTEXT, &m, err) == 0) {
        const Bulkhead__Worker__V1__ContextResult *c = m->context;

        *out = (struct store_context_found){.entries = c->entries, .received = c->received, .kept = c->kept};
        memcpy(out->in_use, c->in_use.data, c->in_use.len < sizeof out->in_use ? c->in_use.len : sizeof out->in_use);
    }
    bh_arena_fini(&arena);
    return err->code;
}

/* Paths, which are shown to nobody and go back into requests. */
static int targets_of(const Bulkhead__Worker__V1__ComposeResult *c, struct store_composed *out, struct bh_err *err) {
    for (size_t i = 0; i < c->n_target; i++)
        if (c->target[i][0] != '/')
            return broken("a target of files", err);
    out->targets = bh_xcalloc(c->n_target + 1, sizeof *out->targets);
    for (; out->n_targets < c->n_target; out->n_targets++)
        out->targets[out->n_targets] = bh_xstrdup(c->target[out->n_targets]);
    return 0;
}

void store_composed_fini(struct store_composed *c) {
    for (size_t i = 0; i < c->n_targets; i++)
        free(c->targets[i]);
    free(c->targets);
    c->targets = NULL;
    c->n_targets = 0;
}

static int composed_of(const Bulkhead__Worker__V1__ComposeResult *c, struct store_composed *out, struct bh_err *err) {
    if ((c->content[0] != '\0' && !digest_ok(c->content)) || (c->place[0] != '\0' && !digest_ok(c->place)))
        return broken("a digest of files", err);
    *out = (struct store_composed){.files = c->files, .empty = c->empty, .layer = {.codec = "none"}};
    bh_str_copy(out->content, sizeof out->content, c->content);
    bh_str_copy(out->place, sizeof out->place, c->place);
    if (c->layer != NULL && layer_of(c->layer, &out->layer, err) != 0)
        return err->code;
    return targets_of(c, out, err);
}

int store_result_composed(const struct bh_buf *packed, struct store_composed *out, bool *out_made, struct bh_err *err) {
    struct bh_arena arena;
    result_msg *m;

    bh_arena_init(&arena, LAYER_ARENA);
    if (unpack(packed, &arena, BULKHEAD__WORKER__V1__RESULT__RESULT_COMPOSE, &m, err) == 0) {
        *out_made = m->compose->layer != NULL;
        composed_of(m->compose, out, err);
    }
    bh_arena_fini(&arena);
    return err->code;
}

int store_result_file(const struct bh_buf *packed, struct bh_arena *arena, const void **out, size_t *out_n,
                      uint32_t *out_mode, struct bh_err *err) {
    result_msg *m;

    if (unpack(packed, arena, BULKHEAD__WORKER__V1__RESULT__RESULT_FILE, &m, err) != 0)
        return err->code;
    *out = m->file->data.data;
    *out_n = m->file->data.len;
    *out_mode = m->file->mode;
    return 0;
}

int store_result_compress(const struct bh_buf *packed, char out_digest[STORE_DIGEST_SIZE], uint64_t *out_size,
                          struct bh_err *err) {
    struct bh_arena arena;
    result_msg *m;

    bh_arena_init(&arena, LAYER_ARENA);
    if (unpack(packed, &arena, BULKHEAD__WORKER__V1__RESULT__RESULT_COMPRESS, &m, err) == 0) {
        if (digest_ok(m->compress->digest))
            bh_str_copy(out_digest, STORE_DIGEST_SIZE, m->compress->digest);
        else
            broken("a digest of a compressed layer", err);
        *out_size = m->compress->size;
    }
    bh_arena_fini(&arena);
    return err->code;
}

int store_result_profile(const struct bh_buf *packed, struct bh_arena *arena,
                         struct Bulkhead__Store__V1__SeccompProfile **out, struct bh_err *err) {
    result_msg *m;

    if (unpack(packed, arena, BULKHEAD__WORKER__V1__RESULT__RESULT_PROFILE, &m, err) != 0)
        return err->code;
    *out = m->profile;
    return 0;
}

int store_result_entries(const struct bh_buf *packed, uint64_t *out_count, uint64_t *out_size, struct bh_err *err) {
    struct bh_arena arena;
    result_msg *m;

    bh_arena_init(&arena, LAYER_ARENA);
    if (unpack(packed, &arena, BULKHEAD__WORKER__V1__RESULT__RESULT_ENTRIES, &m, err) == 0) {
        *out_count = m->entries->entries;
        *out_size = m->entries->size;
    }
    bh_arena_fini(&arena);
    return err->code;
}

/* ---- documents ----------------------------------------------------------------------------- */

static int desc_of(const Bulkhead__Image__V1__Descriptor *d, struct store_desc *out, struct bh_err *err) {
    if (d == NULL || !bh_digest_grammar(d->digest, strlen(d->digest)) || strlen(d->digest) > BH_DIGEST_TEXT_MAX ||
        d->size > ((uint64_t)1 << 62))
        return broken("a descriptor of a document", err);
    *out = (struct store_desc){d->digest, d->size, d->media_type};
    return 0;
}

static int descs_of(Bulkhead__Image__V1__Descriptor **v, size_t n, struct bh_arena *arena, struct store_desc **out,
                    struct bh_err *err) {
    *out = bh_oci_alloc(arena, (n + 1) * sizeof **out, err);
    for (size_t i = 0; *out != NULL && i < n && err->code == 0; i++)
        desc_of(v[i], &(*out)[i], err);
    return err->code;
}

int store_result_document(const struct bh_buf *packed, struct bh_arena *arena, struct store_document_result *out,
                          struct bh_err *err) {
    const Bulkhead__Worker__V1__DocumentResult *d;
    struct store_document_result r;
    result_msg *m;

    if (unpack(packed, arena, BULKHEAD__WORKER__V1__RESULT__RESULT_DOCUMENT, &m, err) != 0)
        return err->code;
    d = m->document;
    if (!digest_ok(d->digest))
        return broken("a digest of a document", err);
    r = (struct store_document_result){.digest = d->digest,
                                       .size = d->size,
                                       .is_index = d->is_index,
                                       .media = d->media_type,
                                       .artifact_type = d->artifact_type,
                                       .not_an_image = d->not_an_image};
    r.n_entries = d->is_index ? d->n_entries : d->n_layers;
    if ((!d->is_index && desc_of(d->config, &r.config, err) != 0) ||
        descs_of(d->is_index ? d->entries : d->layers, r.n_entries, arena, &r.entries, err) != 0)
        return err->code;
    for (size_t i = 0; i < d->n_annotations; i++)
        if (bh_pairs_set(&r.annotations, arena, d->annotations[i]->key, d->annotations[i]->value, err) != 0)
            return err->code;
    *out = r;
    return 0;
}

int store_result_config(const struct bh_buf *packed, struct bh_arena *arena, struct bh_image_config *out,
                        const void **out_reduced, size_t *out_n, struct bh_err *err) {
    result_msg *m;

    if (unpack(packed, arena, BULKHEAD__WORKER__V1__RESULT__RESULT_CONFIG, &m, err) != 0)
        return err->code;
    if (!digest_ok(m->config->digest) || m->config->config == NULL)
        return broken("a config that is not there", err);
    if (bh_imageconf_from_msg(m->config->config, arena, out, err) != 0)
        return err->code;
    return store_config_pack(out, arena, out_reduced, out_n, err);
}

/* ---- plan ---------------------------------------------------------------------------------- */

static int plan_names(Bulkhead__Worker__V1__PlanName **v, size_t n, struct bh_arena *arena,
                      struct store_plan_name **out, size_t *out_n, struct bh_err *err) {
    *out = bh_oci_alloc(arena, (n + 1) * sizeof **out, err);
    if (*out == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++)
        (*out)[i] = (struct store_plan_name){v[i]->name, v[i]->source};
    *out_n = n;
    return 0;
}

static int plan_layers(const image_msg *m, uint64_t archive_size, struct bh_arena *arena, struct store_plan_image *im,
                       struct bh_err *err) {
    im->layers = bh_oci_alloc(arena, (m->n_layers + 1) * sizeof *im->layers, err);
    if (im->layers == NULL)
        return err->code;
    for (size_t i = 0; i < m->n_layers; i++) {
        const Bulkhead__Worker__V1__PlanLayer *l = m->layers[i];

        if (!digest_ok(l->diff_id) || (l->digest[0] != '\0' && !digest_ok(l->digest)))
            return broken("a digest of a layer", err);
        if (l->offset > archive_size || l->size > archive_size - l->offset)
            return broken("a layer outside of the archive", err);
        im->layers[i] = (struct store_plan_layer){l->offset, l->size, l->media_type, l->digest, l->diff_id};
    }
    im->n_layers = m->n_layers;
    return 0;
}

static int plan_config(const image_msg *m, struct bh_arena *arena, struct store_plan_image *im, struct bh_err *err) {
    if (m->reduced == NULL)
        return broken("an image without config", err);
    if (bh_imageconf_from_msg(m->reduced, arena, &im->config, err) != 0)
        return err->code;
    if (im->config.n_diff_ids != m->n_layers)
        return broken("other layers than diff ids", err);
    for (size_t i = 0; i < m->n_layers; i++)
        if (strcmp(m->reduced->diff_ids[i], m->layers[i]->diff_id) != 0)
            return broken("other layers than diff ids", err);
    return store_config_pack(&im->config, arena, &im->reduced, &im->n_reduced, err);
}

static int plan_image(const image_msg *m, uint64_t archive_size, struct bh_arena *arena, struct store_plan_image *im,
                      struct bh_err *err) {
    *im = (struct store_plan_image){
        .index_digest = m->index_digest,
        .manifest_digest = m->manifest_digest,
        .manifest_media = m->manifest_media_type,
        .manifest = m->manifest.data,
        .n_manifest = m->manifest.len,
        .config_digest = m->config_digest,
        .config_media = m->config_media_type,
        .config_data = m->config.data,
        .n_config = m->config.len,
        .missing = m->missing,
    };
    if (plan_names(m->names, m->n_names, arena, &im->names, &im->n_names, err) != 0)
        return err->code;
    if (m->missing[0] != '\0')
        return 0;
    if (!digest_ok(m->config_digest) || (m->manifest_digest[0] != '\0' && !digest_ok(m->manifest_digest)))
        return broken("a digest of an image", err);
    if (plan_layers(m, archive_size, arena, im, err) != 0)
        return err->code;
    return plan_config(m, arena, im, err);
}

static int plan_indexes(const Bulkhead__Worker__V1__Plan *p, struct bh_arena *arena, struct store_plan *out,
                        struct bh_err *err) {
    out->indexes = bh_oci_alloc(arena, (p->n_indexes + 1) * sizeof *out->indexes, err);
    if (out->indexes == NULL)
        return err->code;
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct store_plan_index *x = &out->indexes[i];

        if (!digest_ok(p->indexes[i]->digest))
            return broken("a digest of an index", err);
        x->digest = p->indexes[i]->digest;
        x->media = p->indexes[i]->media_type;
        x->data = p->indexes[i]->data.data;
        x->n = p->indexes[i]->data.len;
        if (plan_names(p->indexes[i]->names, p->indexes[i]->n_names, arena, &x->names, &x->n_names, err) != 0)
            return err->code;
    }
    out->n_indexes = p->n_indexes;
    return 0;
}

int store_result_plan(const struct bh_buf *packed, struct bh_arena *arena, struct store_plan *out, struct bh_err *err) {
    const Bulkhead__Worker__V1__Plan *p;
    struct store_plan plan = {0};
    result_msg *m;

    if (unpack(packed, arena, BULKHEAD__WORKER__V1__RESULT__RESULT_PLAN, &m, err) != 0)
        return err->code;
    p = m->plan;
    plan.spooled = p->spooled;
    plan.archive_size = p->archive_size;
    plan.images = bh_oci_alloc(arena, (p->n_images + 1) * sizeof *plan.images, err);
    if (plan.images == NULL)
        return err->code;
    for (size_t i = 0; i < p->n_images; i++)
        if (plan_image(p->images[i], p->archive_size, arena, &plan.images[i], err) != 0)
            return err->code;
    plan.n_images = p->n_images;
    if (plan_indexes(p, arena, &plan, err) != 0)
        return err->code;
    *out = plan;
    return 0;
}

/* ---- configs ------------------------------------------------------------------------------- */

int store_config_pack(const struct bh_image_config *c, struct bh_arena *arena, const void **out, size_t *out_n,
                      struct bh_err *err) {
    Bulkhead__Image__V1__ImageConfig *m;
    uint8_t *data;
    size_t n;

    if (bh_imageconf_to_msg(c, arena, &m, err) != 0)
        return err->code;
    n = bulkhead__image__v1__image_config__get_packed_size(m);
    data = bh_oci_alloc(arena, n + 1, err);
    if (data == NULL)
        return err->code;
    bulkhead__image__v1__image_config__pack(m, data);
    *out = data;
    *out_n = n;
    return 0;
}

int store_config_unpack(const void *data, size_t n, struct bh_arena *arena, struct bh_image_config *out,
                        struct bh_err *err) {
    ProtobufCAllocator alloc = {.alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
    Bulkhead__Image__V1__ImageConfig *m = bulkhead__image__v1__image_config__unpack(&alloc, n, data);

    if (m == NULL)
        return bh_err_set(err, BH_E_DATA_LOSS, "the index holds a config that cannot be read");
    return bh_imageconf_from_msg(m, arena, out, err);
}
