/*
 * media.c - media types: what a label says that a document or a layer is.
 * Room: every room that sees images.  Pure.  A label is only a claim; content is checked elsewhere,
 * so everything here serves to refuse early and to word the refusal.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/manifest.h"

#define OCI_FOREIGN    "application/vnd.oci.image.layer.nondistributable.v1.tar"
#define DOCKER_FOREIGN "application/vnd.docker.image.rootfs.foreign.diff.tar"

static const struct {
    const char *type;
    enum bh_layer_form form;
    bool foreign;
} layers[] = {
    {BH_MT_OCI_LAYER, BH_LAYER_TAR, false},
    {BH_MT_OCI_LAYER_GZIP, BH_LAYER_GZIP, false},
    {BH_MT_OCI_LAYER_ZSTD, BH_LAYER_ZSTD, false},
    {BH_MT_DOCKER_LAYER, BH_LAYER_TAR, false},
    {BH_MT_DOCKER_LAYER_GZIP, BH_LAYER_GZIP, false},
    {BH_MT_DOCKER_LAYER ".zstd", BH_LAYER_ZSTD, false},
    {OCI_FOREIGN, BH_LAYER_TAR, true},
    {OCI_FOREIGN "+gzip", BH_LAYER_GZIP, true},
    {OCI_FOREIGN "+zstd", BH_LAYER_ZSTD, true},
    {DOCKER_FOREIGN, BH_LAYER_TAR, true},
    {DOCKER_FOREIGN ".gzip", BH_LAYER_GZIP, true},
};

enum bh_layer_form bh_media_layer(const char *media_type, bool *out_foreign) {
    if (out_foreign != NULL)
        *out_foreign = false;
    if (bh_str_ends(media_type, "+encrypted"))
        return BH_LAYER_ENCRYPTED;
    for (size_t i = 0; i < BH_ARRAY_LEN(layers); i++) {
        if (strcmp(media_type, layers[i].type) != 0)
            continue;
        if (out_foreign != NULL)
            *out_foreign = layers[i].foreign;
        return layers[i].form;
    }
    return BH_LAYER_UNKNOWN;
}

bool bh_media_is_manifest(const char *media_type) {
    return strcmp(media_type, BH_MT_OCI_MANIFEST) == 0 || strcmp(media_type, BH_MT_DOCKER_MANIFEST) == 0;
}

bool bh_media_is_index(const char *media_type) {
    return strcmp(media_type, BH_MT_OCI_INDEX) == 0 || strcmp(media_type, BH_MT_DOCKER_LIST) == 0;
}

bool bh_media_is_config(const char *media_type) {
    return strcmp(media_type, BH_MT_OCI_CONFIG) == 0 || strcmp(media_type, BH_MT_DOCKER_CONFIG) == 0;
}

static int not_image(struct bh_err *err) {
    bh_err_hint(err, "it can be stored, saved and copied, but no container can run from it");
    return bh_err_reason(err, "not-an-image");
}

int bh_manifest_check_image(const struct bh_manifest *m, const char *what, struct bh_err *err) {
    const char *type = m->artifact_type[0] != '\0' ? m->artifact_type : m->config.media_type;

    if (!bh_media_is_config(m->config.media_type)) {
        bh_err_set(err, BH_E_INVALID, "%s is not a container image, its type is %s", what,
                   type[0] != '\0' ? type : "not given");
        return not_image(err);
    }
    for (size_t i = 0; i < m->n_layers; i++) {
        enum bh_layer_form form = bh_media_layer(m->layers[i].media_type, NULL);

        if (form != BH_LAYER_UNKNOWN && form != BH_LAYER_ENCRYPTED)
            continue;
        bh_err_set(err, BH_E_INVALID, "%s: layer %zu has type %s, %s", what, i + 1, m->layers[i].media_type,
                   form == BH_LAYER_ENCRYPTED ? "encrypted layers are not supported"
                                              : "which is no layer of a file system");
        return not_image(err);
    }
    return 0;
}
