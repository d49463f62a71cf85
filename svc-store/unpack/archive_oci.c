/*
 * archive_oci.c - index.json, the indexes and manifests below it, and their blobs.
 *
 * Room: worker.  Trusts nothing: every document is checked against the digest and size of the descriptor
 * that led to it, each is read once however often it is named, and depth and number are limited, so that no index
 * can loop or double.
 */
#include <string.h>

#include "imageconf/imageconf.h"
#include "oci/types.h"
#include "unpack/archive.h"
#include "unpack/limit.h"

#define DEPTH_MAX 4

typedef Bulkhead__Worker__V1__PlanImage image_pb;
typedef Bulkhead__Worker__V1__PlanIndex index_pb;

struct place { /* how a document was reached */
    const struct bh_desc *desc;
    const index_pb *index; /* NULL: from index.json */
    unsigned depth;
};

static int count_document(struct unp_plan *plan, struct bh_err *err) {
    if (++plan->documents <= plan->limits.max_entries)
        return 0;
    bh_err_set(err, BH_E_LIMIT, "archive: too many manifests, limits.images is %zu", plan->limits.max_entries);
    return unp_limit(err, "limits.images");
}

static int add_names(struct unp_plan *plan, const struct bh_desc *d, size_t *n, Bulkhead__Worker__V1__PlanName ***names,
                     struct bh_err *err) {
    static const char *const keys[] = {BH_ANNOTATION_IMAGE_NAME, BH_ANNOTATION_REF_NAME};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < 2; i++)
        rc = unp_plan_name(plan, n, names, bh_pairs_get(&d->annotations, keys[i]), keys[i], err);
    return rc;
}

static const char *missing_text(struct unp_plan *plan, const char *what, const char *digest, struct bh_err *err) {
    char text[400];
    __builtin_snprintf(text, sizeof text, "%s %.200s is not in the archive", what, digest);
    return unp_plan_text(plan, text, err);
}

/* ---- other content ------------------------------------------------------------------------- */

static bool has_blob(const struct unp_plan *plan, const char *digest) {
    for (size_t i = 0; i < plan->pb.n_blobs; i++)
        if (strcmp(plan->pb.blobs[i]->digest, digest) == 0)
            return true;
    return false;
}

static int add_blob(struct unp_plan *plan, const struct bh_desc *d, const char *referrer, struct bh_err *err) {
    char path[BH_LAYOUT_PATH_SIZE];
    const struct unp_member *m = NULL;
    if (d->digest.alg != BH_DIGEST_NONE) {
        bh_layout_blob_path(&d->digest, path);
        m = unp_archive_find(plan->archive, path);
    }
    if (m == NULL || m->size != d->size || has_blob(plan, d->digest_text))
        return 0;
    if (plan->pb.n_blobs >= plan->limits.max_entries * 4)
        return bh_err_set(err, BH_E_LIMIT, "archive: too many blobs beside its images");
    Bulkhead__Worker__V1__PlanBlob *pb = bh_oci_alloc(plan->arena, sizeof *pb, err);
    if (pb == NULL)
        return err->code;
    *pb = (Bulkhead__Worker__V1__PlanBlob)BULKHEAD__WORKER__V1__PLAN_BLOB__INIT;
    pb->digest = (char *)d->digest_text;
    pb->media_type = (char *)d->media_type;
    pb->offset = m->at;
    pb->size = m->size;
    pb->referrer = (char *)referrer;
    return unp_plan_push(plan, (void ***)&plan->pb.blobs, &plan->pb.n_blobs, &plan->cap_blobs, pb, err);
}

static int add_manifest_blobs(struct unp_plan *plan, const struct bh_desc *d, const struct bh_manifest *m,
                              const char *referrer, struct bh_err *err) {
    int rc = add_blob(plan, d, referrer, err);
    if (rc == 0)
        rc = add_blob(plan, &m->config, d->digest_text, err);
    for (size_t i = 0; rc == 0 && i < m->n_layers; i++)
        rc = add_blob(plan, &m->layers[i], d->digest_text, err);
    return rc;
}

/* ---- images -------------------------------------------------------------------------------- */

static int add_layer(struct unp_plan *plan, image_pb *image, size_t *cap, const struct bh_desc *d, struct bh_err *err) {
    char path[BH_LAYOUT_PATH_SIZE];
    const struct unp_member *m = NULL;
    Bulkhead__Worker__V1__PlanLayer *pb = bh_oci_alloc(plan->arena, sizeof *pb, err);
    if (pb == NULL)
        return err->code;
    *pb = (Bulkhead__Worker__V1__PlanLayer)BULKHEAD__WORKER__V1__PLAN_LAYER__INIT;
    pb->media_type = (char *)d->media_type;
    pb->digest = (char *)d->digest_text;
    pb->size = d->size;
    if (d->digest.alg == BH_DIGEST_SHA256) {
        bh_layout_blob_path(&d->digest, path);
        m = unp_archive_find(plan->archive, path);
    }
    if (m != NULL && m->size != d->size) {
        bh_err_set(err, BH_E_INVALID, "archive: layer %s has %llu bytes, its descriptor says %llu", d->digest_text,
                   (unsigned long long)m->size, (unsigned long long)d->size);
        return bh_err_reason(err, "size-mismatch");
    }
    if (m != NULL)
        pb->offset = m->at;
    else if (image->missing[0] == '\0')
        image->missing = (char *)missing_text(plan, "layer", d->digest_text, err);
    return unp_plan_push(plan, (void ***)&image->layers, &image->n_layers, cap, pb, err);
}

static int add_config(struct unp_plan *plan, image_pb *image, const struct bh_manifest *m, struct bh_err *err) {
    const struct unp_member *member;
    const unsigned char *data;
    int rc = unp_archive_blob(plan->archive, &m->config, "config", &member, &data, err);
    if (rc != 0)
        return rc;
    image->config_media_type = (char *)m->config.media_type;
    if (member == NULL) {
        image->config_digest = (char *)m->config.digest_text;
        image->missing = (char *)missing_text(plan, "config", m->config.digest_text, err);
        return image->missing == NULL ? err->code : 0;
    }
    return unp_plan_config(plan, image, data, (size_t)member->size, "config", err);
}

static image_pb *new_image(struct unp_plan *plan, const struct place *at, struct bh_err *err) {
    image_pb *image = bh_oci_alloc(plan->arena, sizeof *image, err);
    if (image == NULL)
        return NULL;
    *image = (image_pb)BULKHEAD__WORKER__V1__PLAN_IMAGE__INIT;
    image->manifest_digest = (char *)at->desc->digest_text;
    image->manifest_media_type = (char *)at->desc->media_type;
    if (at->index != NULL)
        image->index_digest = at->index->digest;
    return image;
}

static int place_image(struct unp_plan *plan, const struct place *at, image_pb *image, struct bh_err *err) {
    Bulkhead__Image__V1__Descriptor *d;
    int rc = at->index == NULL ? add_names(plan, at->desc, &image->n_names, &image->names, err) : 0;
    if (rc == 0 && at->desc->has_platform) {
        rc = bh_imageconf_desc_to_msg(at->desc, plan->arena, &d, err);
        if (rc == 0)
            image->platform = d->platform;
    }
    if (rc != 0)
        return rc;
    return unp_plan_push(plan, (void ***)&plan->pb.images, &plan->pb.n_images, &plan->cap_images, image, err);
}

static int add_image(struct unp_plan *plan, const struct place *at, const struct bh_manifest *m,
                     const unsigned char *data, size_t n, struct bh_err *err) {
    struct bh_err why = BH_ERR_INIT;
    image_pb *image = new_image(plan, at, err);
    size_t cap = 0;
    int rc = image == NULL ? err->code : place_image(plan, at, image, err);
    if (rc != 0)
        return rc;
    image->manifest.data = (uint8_t *)data;
    image->manifest.len = n;
    if (bh_manifest_check_image(m, at->desc->digest_text, &why) != 0) {
        image->missing = unp_plan_text(plan, why.msg, err);
        return image->missing == NULL ? err->code : add_manifest_blobs(plan, at->desc, m, image->index_digest, err);
    }
    for (size_t i = 0; rc == 0 && i < m->n_layers; i++)
        rc = add_layer(plan, image, &cap, &m->layers[i], err);
    return rc != 0 ? rc : add_config(plan, image, m, err);
}

/* A document that an index names but the archive leaves out: other platforms of a partial save. */
static int absent(struct unp_plan *plan, const struct place *at, struct bh_err *err) {
    if (bh_desc_is_attestation(at->desc))
        return 0;
    if (at->index == NULL) {
        bh_err_set(err, BH_E_INVALID, "archive: index.json names manifest %s, which is not in the archive",
                   at->desc->digest_text);
        bh_err_hint(err, "the archive is incomplete: save the image again");
        return bh_err_reason(err, "incomplete-archive");
    }
    image_pb *image = new_image(plan, at, err);
    if (image == NULL)
        return err->code;
    image->missing = (char *)missing_text(plan, "manifest", at->desc->digest_text, err);
    return image->missing == NULL ? err->code : place_image(plan, at, image, err);
}

/* ---- walking ------------------------------------------------------------------------------- */

static image_pb *image_of(const struct unp_plan *plan, const char *digest) {
    for (size_t i = 0; i < plan->pb.n_images; i++)
        if (strcmp(plan->pb.images[i]->manifest_digest, digest) == 0)
            return plan->pb.images[i];
    return NULL;
}

static index_pb *index_of(const struct unp_plan *plan, const char *digest) {
    for (size_t i = 0; i < plan->pb.n_indexes; i++)
        if (strcmp(plan->pb.indexes[i]->digest, digest) == 0)
            return plan->pb.indexes[i];
    return NULL;
}

/* Named once more: only the names count. */
static bool seen(struct unp_plan *plan, const struct place *at, struct bh_err *err) {
    image_pb *image = image_of(plan, at->desc->digest_text);
    index_pb *index = index_of(plan, at->desc->digest_text);
    if (image != NULL && at->index == NULL)
        add_names(plan, at->desc, &image->n_names, &image->names, err);
    if (index != NULL && at->index == NULL)
        add_names(plan, at->desc, &index->n_names, &index->names, err);
    return image != NULL || index != NULL;
}

static int walk(struct unp_plan *plan, const struct place *at, struct bh_err *err);

static int add_index(struct unp_plan *plan, const struct place *at, const struct bh_index *x, const unsigned char *data,
                     size_t n, struct bh_err *err) {
    index_pb *pb = bh_oci_alloc(plan->arena, sizeof *pb, err);
    size_t cap = 0;
    if (pb == NULL)
        return err->code;
    *pb = (index_pb)BULKHEAD__WORKER__V1__PLAN_INDEX__INIT;
    pb->digest = (char *)at->desc->digest_text;
    pb->media_type = (char *)x->media_type;
    pb->data.data = (uint8_t *)data;
    pb->data.len = n;
    int rc = at->index == NULL ? add_names(plan, at->desc, &pb->n_names, &pb->names, err) : 0;
    if (rc == 0)
        rc = unp_plan_push(plan, (void ***)&plan->pb.indexes, &plan->pb.n_indexes, &plan->cap_indexes, pb, err);
    for (size_t i = 0; rc == 0 && i < x->n_entries; i++) {
        Bulkhead__Image__V1__Descriptor *d;
        rc = bh_imageconf_desc_to_msg(&x->entries[i], plan->arena, &d, err);
        if (rc == 0)
            rc = unp_plan_push(plan, (void ***)&pb->entries, &pb->n_entries, &cap, d, err);
    }
    for (size_t i = 0; rc == 0 && i < x->n_entries; i++) {
        const struct place below = {&x->entries[i], pb, at->depth + 1};
        rc = walk(plan, &below, err);
    }
    return rc;
}

static int other_algorithm(const struct bh_desc *d, struct bh_err *err) {
    bh_err_set(err, BH_E_UNIMPLEMENTED, "archive: manifest %.100s: images are kept by sha256 digests only",
               d->digest_text);
    return bh_err_reason(err, "digest-algorithm");
}

/* Schema 1 is one, so that the reader can say what is wrong with it. */
static bool is_document(const char *media_type) {
    return media_type[0] == '\0' || bh_media_is_manifest(media_type) || bh_media_is_index(media_type) ||
           strcmp(media_type, BH_MT_DOCKER_SCHEMA1) == 0 || strcmp(media_type, BH_MT_DOCKER_SCHEMA1_SIGNED) == 0;
}

static int walk(struct unp_plan *plan, const struct place *at, struct bh_err *err) {
    const struct bh_desc *d = at->desc;
    const struct unp_member *member;
    const unsigned char *data;
    struct bh_doc doc;
    if (seen(plan, at, err))
        return err->code;
    if (at->depth > DEPTH_MAX) {
        bh_err_set(err, BH_E_LIMIT, "archive: indexes inside indexes, more than %d deep", DEPTH_MAX);
        return unp_limit(err, NULL);
    }
    if (!is_document(d->media_type))
        return add_blob(plan, d, at->index == NULL ? "" : at->index->digest, err);
    if (d->digest.alg != BH_DIGEST_SHA256)
        return other_algorithm(d, err);
    int rc = count_document(plan, err);
    if (rc == 0)
        rc = unp_archive_blob(plan->archive, d, "manifest", &member, &data, err);
    if (rc != 0)
        return rc;
    if (member == NULL)
        return absent(plan, at, err);
    rc = bh_doc_parse(data, (size_t)member->size, d->media_type, d->digest_text, &plan->limits, plan->arena, &doc, err);
    if (rc != 0)
        return rc;
    if (doc.kind == BH_DOC_INDEX)
        return add_index(plan, at, &doc.index, data, (size_t)member->size, err);
    if (bh_desc_is_attestation(d))
        return add_manifest_blobs(plan, d, &doc.manifest, at->index == NULL ? "" : at->index->digest, err);
    return add_image(plan, at, &doc.manifest, data, (size_t)member->size, err);
}

int unp_plan_oci(struct unp_plan *plan, const struct unp_member *index_json, struct bh_err *err) {
    const unsigned char *data;
    struct bh_doc doc;
    int rc = unp_archive_read(plan->archive, index_json, "index.json", &data, err);
    if (rc == 0)
        rc = bh_doc_parse(data, (size_t)index_json->size, NULL, "index.json", &plan->limits, plan->arena, &doc, err);
    if (rc != 0)
        return rc;
    if (doc.kind != BH_DOC_INDEX) {
        bh_err_set(err, BH_E_INVALID, "archive: index.json is not an index");
        return bh_err_reason(err, "invalid-manifest");
    }
    for (size_t i = 0; rc == 0 && i < doc.index.n_entries; i++) {
        const struct place top = {&doc.index.entries[i], NULL, 0};
        rc = walk(plan, &top, err);
    }
    return rc;
}
