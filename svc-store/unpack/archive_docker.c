/*
 * archive_docker.c - manifest.json of a docker archive.
 *
 * Room: worker.  Trusts nothing: a member whose name is a digest must have that digest, a config must
 * fit its layers.  Images that index.json has told already only get their names from here.
 */
#include <string.h>

#include "base/str.h"
#include "oci/types.h"
#include "unpack/archive.h"
#include "unpack/tree.h"

typedef Bulkhead__Worker__V1__PlanImage image_pb;

static int not_there(struct bh_err *err, const char *what, const char *name) {
    char shown[UNP_SHOWN];
    bh_str_escape(shown, sizeof shown, name, strlen(name), false);
    bh_err_set(err, BH_E_INVALID, "archive: manifest.json names %s '%s', which is not in the archive", what, shown);
    bh_err_hint(err, "the archive is incomplete: save the image again");
    return bh_err_reason(err, "incomplete-archive");
}

/* "<64 hex>.json", or a blob of an OCI layout. */
static bool name_digest(const char *name, struct bh_digest *out) {
    const char *slash = strrchr(name, '/');
    const char *base = slash == NULL ? name : slash + 1;
    if (bh_layout_blob_digest(name, out))
        return true;
    return strlen(base) == 69 && bh_str_ends(base, ".json") && bh_digest_from_hex(base, 64, out);
}

static int add_config(struct unp_plan *plan, image_pb *image, const char *name, struct bh_err *err) {
    const struct unp_member *m = unp_archive_find(plan->archive, name);
    const unsigned char *data;
    struct bh_digest digest;
    if (m == NULL)
        return not_there(err, "config", name);
    int rc = unp_archive_read(plan->archive, m, "config", &data, err);
    if (rc == 0 && name_digest(name, &digest))
        rc = bh_digest_verify(&digest, data, (size_t)m->size, "config", err);
    return rc != 0 ? rc : unp_plan_config(plan, image, data, (size_t)m->size, "config", err);
}

static int add_layer(struct unp_plan *plan, image_pb *image, size_t *cap, const char *name, struct bh_err *err) {
    const struct unp_member *m = unp_archive_find(plan->archive, name);
    struct bh_digest digest;
    char text[BH_DIGEST_TEXT_SIZE];
    if (m == NULL)
        return not_there(err, "layer", name);
    Bulkhead__Worker__V1__PlanLayer *pb = bh_oci_alloc(plan->arena, sizeof *pb, err);
    if (pb == NULL)
        return err->code;
    *pb = (Bulkhead__Worker__V1__PlanLayer)BULKHEAD__WORKER__V1__PLAN_LAYER__INIT;
    pb->offset = m->at;
    pb->size = m->size;
    if (bh_layout_blob_digest(name, &digest) && digest.alg == BH_DIGEST_SHA256) {
        bh_digest_format(&digest, text);
        pb->digest = unp_plan_text(plan, text, err);
        if (pb->digest == NULL)
            return err->code;
    }
    return unp_plan_push(plan, (void ***)&image->layers, &image->n_layers, cap, pb, err);
}

static image_pb *same_config(const struct unp_plan *plan, const char *digest) {
    for (size_t i = 0; i < plan->pb.n_images; i++)
        if (plan->pb.images[i]->missing[0] == '\0' && strcmp(plan->pb.images[i]->config_digest, digest) == 0)
            return plan->pb.images[i];
    return NULL;
}

static int add_image(struct unp_plan *plan, const struct bh_archive_image *from, struct bh_err *err) {
    size_t cap = 0;
    image_pb *image = bh_oci_alloc(plan->arena, sizeof *image, err);
    if (image == NULL)
        return err->code;
    *image = (image_pb)BULKHEAD__WORKER__V1__PLAN_IMAGE__INIT;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < from->layers.n; i++)
        rc = add_layer(plan, image, &cap, from->layers.v[i], err);
    if (rc == 0)
        rc = add_config(plan, image, from->config, err);
    if (rc != 0)
        return rc;
    image_pb *known = same_config(plan, image->config_digest);
    if (known == NULL) {
        known = image;
        rc = unp_plan_push(plan, (void ***)&plan->pb.images, &plan->pb.n_images, &plan->cap_images, image, err);
    }
    for (size_t i = 0; rc == 0 && i < from->repo_tags.n; i++)
        rc = unp_plan_name(plan, &known->n_names, &known->names, from->repo_tags.v[i], "RepoTags", err);
    return rc;
}

int unp_plan_docker(struct unp_plan *plan, const struct unp_member *manifest_json, struct bh_err *err) {
    const unsigned char *data;
    struct bh_archive archive;
    int rc = unp_archive_read(plan->archive, manifest_json, "manifest.json", &data, err);
    if (rc == 0)
        rc = bh_archive_parse(data, (size_t)manifest_json->size, &plan->limits, plan->arena, &archive, err);
    for (size_t i = 0; rc == 0 && i < archive.n_images; i++)
        rc = add_image(plan, &archive.images[i], err);
    return rc;
}
