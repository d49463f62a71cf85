/*
 * archive_plan.c - lists of the plan, and what every image needs: its config, read and checked.
 *
 * Room: worker.  All memory is the job's arena.
 */
#include <string.h>

#include "imageconf/imageconf.h"
#include "oci/config.h"
#include "oci/types.h"
#include "unpack/archive.h"

int unp_plan_push(struct unp_plan *plan, void ***list, size_t *n, size_t *cap, void *item, struct bh_err *err) {
    if (*n == *cap) {
        size_t more = *cap == 0 ? 8 : *cap * 2;
        void **v = bh_oci_alloc(plan->arena, more * sizeof *v, err);
        if (v == NULL)
            return err->code;
        if (*n > 0)
            memcpy(v, *list, *n * sizeof *v);
        *list = v;
        *cap = more;
    }
    (*list)[(*n)++] = item;
    return 0;
}

char *unp_plan_text(struct unp_plan *plan, const char *s, struct bh_err *err) {
    return (char *)bh_oci_strdup(plan->arena, s, strlen(s), err);
}

static bool has_name(size_t n, Bulkhead__Worker__V1__PlanName *const *names, const char *name, const char *source) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i]->name, name) == 0 && strcmp(names[i]->source, source) == 0)
            return true;
    return false;
}

int unp_plan_name(struct unp_plan *plan, size_t *n, Bulkhead__Worker__V1__PlanName ***names, const char *name,
                  const char *source, struct bh_err *err) {
    if (name == NULL || name[0] == '\0' || has_name(*n, *names, name, source))
        return 0;
    /* It would be taken for the image's id wherever it is typed. */
    if (bh_digest_grammar(name, strlen(name)))
        return bh_err_set(err, BH_E_INVALID, "archive: an image is named '%.80s', which is a digest and no name", name);
    Bulkhead__Worker__V1__PlanName *pb = bh_oci_alloc(plan->arena, sizeof *pb, err);
    if (pb == NULL)
        return err->code;
    *pb = (Bulkhead__Worker__V1__PlanName)BULKHEAD__WORKER__V1__PLAN_NAME__INIT;
    pb->name = unp_plan_text(plan, name, err);
    pb->source = (char *)source;
    if (pb->name == NULL)
        return err->code;
    /* How much room it has is not kept anywhere: powers of two, as unp_plan_push makes them. */
    size_t cap = *n == 0 ? 0 : 8;
    while (cap < *n)
        cap *= 2;
    void **list = (void **)*names;
    int rc = unp_plan_push(plan, &list, n, &cap, pb, err);
    *names = (Bulkhead__Worker__V1__PlanName **)list;
    return rc;
}

static int set_layers(Bulkhead__Worker__V1__PlanImage *image, const struct bh_image_config *c, const char *what,
                      struct bh_err *err) {
    int rc = bh_image_config_check_layers(c, image->n_layers, what, err);
    for (size_t i = 0; rc == 0 && i < image->n_layers; i++)
        image->layers[i]->diff_id = image->reduced->diff_ids[i];
    return rc;
}

int unp_plan_config(struct unp_plan *plan, Bulkhead__Worker__V1__PlanImage *image, const unsigned char *data, size_t n,
                    const char *what, struct bh_err *err) {
    struct bh_image_config c;
    struct bh_digest digest;
    char text[BH_DIGEST_TEXT_SIZE];
    int rc = bh_image_config_parse(data, n, what, &plan->limits, plan->arena, &c, err);
    if (rc == 0)
        rc = bh_digest_of(BH_DIGEST_SHA256, data, n, &digest, err);
    if (rc == 0)
        rc = bh_imageconf_to_msg(&c, plan->arena, &image->reduced, err);
    if (rc != 0)
        return rc;
    bh_digest_format(&digest, text);
    image->config_digest = unp_plan_text(plan, text, err);
    if (image->config_digest == NULL)
        return err->code;
    image->config.data = (uint8_t *)data;
    image->config.len = n;
    if (image->platform == NULL)
        image->platform = image->reduced->platform;
    return set_layers(image, &c, what, err);
}
