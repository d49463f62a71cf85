/*
 * make.c - documents of images that are made here: config and manifest, the same bytes every time.
 *
 * Room: store.  The writers of lib/oci depend on their struct alone.  Layers of such an image are bare
 * tars, whose digest is their diffID; a push makes a further manifest with compressed ones.
 */
#include <string.h>

#include "base/buf.h"
#include "publish.h"
#include "result.h"

static const void *keep(struct bh_arena *arena, const struct bh_buf *b, struct bh_err *err) {
    if (bh_buf_failed(b)) {
        bh_err_set(err, BH_E_LIMIT, "a document of the image is over %zu bytes", b->max);
        return NULL;
    }
    return bh_oci_strdup(arena, bh_buf_str(b), b->len, err);
}

static const char *digest_text(struct bh_arena *arena, const struct bh_digest *d, struct bh_err *err) {
    char text[BH_DIGEST_TEXT_SIZE];

    bh_digest_format(d, text);
    return bh_oci_strdup(arena, text, strlen(text), err);
}

static int desc_of(struct bh_desc *d, const char *media, const char *digest, uint64_t size, struct bh_err *err) {
    *d = (struct bh_desc){.media_type = media, .digest_text = digest, .size = size, .artifact_type = ""};
    return bh_digest_parse(digest, &d->digest, err);
}

int store_manifest_of(const char *config_digest, size_t config_size, const struct store_desc *layers, size_t n,
                      const struct bh_pairs *annotations, struct bh_arena *arena, struct store_new_image *out,
                      struct bh_err *err) {
    struct bh_manifest m = {.media_type = BH_MT_OCI_MANIFEST, .artifact_type = "", .n_layers = n};
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_digest digest;

    m.layers = bh_oci_alloc(arena, (n + 1) * sizeof *m.layers, err);
    if (m.layers == NULL || desc_of(&m.config, BH_MT_OCI_CONFIG, config_digest, config_size, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (desc_of(&m.layers[i], layers[i].media, layers[i].digest, layers[i].size, err) != 0)
            return err->code;
    if (annotations != NULL)
        m.annotations = *annotations;
    bh_manifest_write(&m, &text);
    out->manifest_data = keep(arena, &text, err);
    if (out->manifest_data == NULL || bh_digest_of(BH_DIGEST_SHA256, text.data, text.len, &digest, err) != 0)
        return err->code;
    out->n_manifest = text.len;
    out->manifest = digest_text(arena, &digest, err);
    if (out->manifest == NULL)
        return err->code;
    out->manifest_media = BH_MT_OCI_MANIFEST;
    out->config_media = BH_MT_OCI_CONFIG;
    out->layers = layers;
    out->n_layers = n;
    out->made = true;
    return 0;
}

int store_manifest_make(const struct bh_image_config *config, const char *config_digest, size_t config_size,
                        const uint64_t *tar_sizes, const struct bh_pairs *annotations, struct bh_arena *arena,
                        struct store_new_image *out, struct bh_err *err) {
    struct store_desc *layers = bh_oci_alloc(arena, (config->n_diff_ids + 1) * sizeof *layers, err);

    if (layers == NULL)
        return err->code;
    for (size_t i = 0; i < config->n_diff_ids; i++) {
        const char *digest = digest_text(arena, &config->diff_ids[i], err);

        if (digest == NULL)
            return err->code;
        layers[i] = (struct store_desc){digest, tar_sizes[i], BH_MT_OCI_LAYER};
    }
    return store_manifest_of(config_digest, config_size, layers, config->n_diff_ids, annotations, arena, out, err);
}

int store_image_make(const struct bh_image_config *config, const uint64_t *tar_sizes,
                     const struct bh_pairs *annotations, struct bh_arena *arena, struct store_new_image *out,
                     struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct store_new_image n = {.config = config, .parent = "", .other = ""};
    struct bh_digest digest;

    bh_image_config_write(config, &text);
    n.config_data = keep(arena, &text, err);
    if (n.config_data == NULL || bh_digest_of(BH_DIGEST_SHA256, text.data, text.len, &digest, err) != 0)
        return err->code;
    n.n_config = text.len;
    n.id = digest_text(arena, &digest, err);
    if (n.id == NULL || store_config_pack(config, arena, &n.reduced, &n.n_reduced, err) != 0 ||
        store_manifest_make(config, n.id, n.n_config, tar_sizes, annotations, arena, &n, err) != 0)
        return err->code;
    *out = n;
    return 0;
}
