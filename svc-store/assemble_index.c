/*
 * assemble_index.c - see assemble_index.h.
 */
#include "assemble_index.h"

#include <string.h>

#include "assemble.h"
#include "base/str.h"
#include "compose.h"
#include "oci/manifest.h"
#include "publish.h"
#include "push.h"

struct indexing {
    struct store *s;
    const struct store_assemble_index *a;
    struct bh_arena *arena;
    struct store_publish_image *images;
    struct bh_index index;
    struct bh_ref *names;
    size_t chosen;
};

static int parse_names(struct indexing *x, struct bh_err *err) {
    x->names = bh_oci_alloc(x->arena, (x->a->n_names + 1) * sizeof *x->names, err);
    if (x->names == NULL)
        return err->code;
    for (size_t i = 0; i < x->a->n_names; i++)
        if (bh_ref_parse(x->a->names[i], &x->names[i], err) != 0 || bh_ref_check_target(&x->names[i], err) != 0)
            return err->code;
    return 0;
}

/* As a load chooses: what runs here, else the first. */
static void choose(struct indexing *x) {
    struct bh_platform host, have;
    int best = -1;

    bh_platform_host(&host);
    for (size_t i = 0; i < x->a->n; i++) {
        bh_image_config_platform(&x->a->configs[i], &have);
        int rank = bh_platform_rank(&host, &have);

        if (rank >= 0 && (best < 0 || rank < best)) {
            best = rank;
            x->chosen = i;
        }
    }
}

/* ---- one image ----------------------------------------------------------------------------- */

static int take_layers(struct indexing *x, const struct store_push_manifest *m, struct store_new_image *n,
                       struct bh_err *err) {
    struct store_desc *layers = bh_oci_alloc(x->arena, (m->n_layers + 1) * sizeof *layers, err);

    if (layers == NULL)
        return err->code;
    for (size_t i = 0; i < m->n_layers; i++)
        layers[i] = m->layers[i].desc;
    n->layers = layers;
    n->n_layers = m->n_layers;
    return 0;
}

/* The image's own documents, with the manifest of the compressed layers. */
static int describe(struct indexing *x, size_t i, const struct store_push_manifest *m, struct bh_err *err) {
    const struct bh_image_config *config = &x->a->configs[i];
    struct store_new_image *n = &x->images[i].image;
    uint64_t *sizes =
        bh_oci_alloc(x->arena, (config->n_diff_ids + 1) * sizeof *sizes, err); /* of a manifest that is not used */

    if (sizes == NULL || store_image_make(config, sizes, NULL, x->arena, n, err) != 0)
        return err->code;
    n->parent = "";
    n->manifest = m->desc.digest;
    n->manifest_media = m->desc.media;
    n->manifest_data = m->data;
    n->n_manifest = (size_t)m->desc.size;
    return take_layers(x, m, n, err);
}

static int add_entry(struct indexing *x, size_t i, const struct store_push_manifest *m, struct bh_err *err) {
    struct bh_desc *d = &x->index.entries[x->index.n_entries++];

    *d = (struct bh_desc){.media_type = m->desc.media,
                          .digest_text = m->desc.digest,
                          .size = m->desc.size,
                          .artifact_type = "",
                          .has_platform = true};
    bh_image_config_platform(&x->a->configs[i], &d->platform);
    return bh_digest_parse(d->digest_text, &d->digest, err);
}

static int make_one(struct indexing *x, size_t i, struct bh_err *err) {
    const struct store_assemble one = {.who = x->a->hold->who,
                                       .lease = x->a->hold->lease,
                                       .config = &x->a->configs[i],
                                       .parent = "",
                                       .annotations = x->a->annotations};
    struct store_push push = {
        .platform = "", .compression = "", .repository = "", .kept = true, .cancel_fd = x->a->cancel_fd};
    struct store_push_image out;
    struct store_assembled made;

    if (store_assemble(x->s, &one, x->arena, &made, err) != 0)
        return err->code;
    push.name = made.id;
    push.manifest = made.manifest;
    if (store_push_open(x->s, x->a->hold, &push, x->arena, &out, err) != 0)
        return err->code;
    if (out.n_manifests != 1)
        return bh_err_set(err, BH_E_INTERNAL, "image %.19s has %zu manifests", made.id, out.n_manifests);
    if (describe(x, i, &out.manifests[0], err) != 0)
        return err->code;
    return add_entry(x, i, &out.manifests[0], err);
}

/* ---- the index ----------------------------------------------------------------------------- */

static int put_index(struct indexing *x, struct store_assembled_index *out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX((size_t)4 << 20);
    struct store_document d = {.kind = STORE_BLOB_INDEX};
    struct bh_digest digest;

    x->index.annotations = *x->a->on_the_index;
    bh_index_write(&x->index, &text);
    if (bh_buf_failed(&text))
        return bh_err_set(err, BH_E_LIMIT, "an index of more than 4 MiB");
    if (bh_digest_of(BH_DIGEST_SHA256, text.data, text.len, &digest, err) != 0)
        return err->code;
    bh_digest_format(&digest, out->index);
    d.digest = out->index;
    d.data = text.data;
    d.n = text.len;
    return store_document_put(x->s, x->a->hold->who.owner, x->a->hold->lease, &d, err);
}

static void name_images(struct indexing *x, const char *index) {
    for (size_t i = 0; i < x->a->n; i++) {
        struct store_publish_image *im = &x->images[i];

        im->image.other = index;
        im->image.other_media = BH_MT_OCI_INDEX;
        im->image.part = i != x->chosen || (x->a->n_names == 0 && !x->a->keep);
    }
    x->images[x->chosen].names = x->names;
    x->images[x->chosen].n_names = x->a->n_names;
}

int store_assemble_index(struct store *s, const struct store_assemble_index *a, struct bh_arena *arena,
                         struct store_assembled_index *out, struct bh_err *err) {
    struct indexing x = {.s = s, .a = a, .arena = arena, .index = {.media_type = BH_MT_OCI_INDEX, .artifact_type = ""}};

    x.images = bh_oci_alloc(arena, (a->n + 1) * sizeof *x.images, err);
    x.index.entries = bh_oci_alloc(arena, (a->n + 1) * sizeof *x.index.entries, err);
    if (x.images == NULL || x.index.entries == NULL || parse_names(&x, err) != 0)
        return err->code;
    choose(&x);
    for (size_t i = 0; i < a->n; i++)
        if (make_one(&x, i, err) != 0)
            return err->code;
    if (put_index(&x, out, err) != 0)
        return err->code;
    name_images(&x, out->index);
    bh_str_copy(out->id, sizeof out->id, x.images[x.chosen].image.id);
    return store_publish_under(s, a->hold->who.owner, a->hold->lease, x.images, a->n, NULL, NULL, err);
}
