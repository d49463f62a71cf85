/*
 * plan.c - see plan.h.
 */
#include "plan.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "load.h"
#include "oci/manifest.h"

/* ---- names --------------------------------------------------------------------------------- */

/* skopeo and umoci write only the tag there ("13.10", "latest"); others a whole name ("debian:12"). */
static bool is_bare_tag(const char *s) {
    if (strchr(s, ':') != NULL || strchr(s, '/') != NULL)
        return false;
    return strcmp(s, "latest") == 0 || isdigit((unsigned char)s[0]) || (s[0] == 'v' && isdigit((unsigned char)s[1]));
}

bool store_load_name(const char *name, const char *source, struct bh_ref *out) {
    struct bh_err ignored = BH_ERR_INIT;

    if (strcmp(source, BH_ANNOTATION_REF_NAME) == 0 && is_bare_tag(name))
        return false;
    if (bh_ref_parse_tagged(name, out, &ignored) != 0)
        return false;
    if (out->digest[0] != '\0' && out->tag[0] == '\0')
        return false; /* the digest of the manifest says it already */
    out->digest[0] = '\0';
    return true;
}

static bool same_ref(const struct bh_ref *a, const struct bh_ref *b) {
    return bh_ref_same_name(a, b) && strcmp(a->tag, b->tag) == 0;
}

/* The full name wins over the short annotation beside it. */
static bool has_full_name(const struct store_plan_name *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(v[i].source, BH_ANNOTATION_IMAGE_NAME) == 0)
            return true;
    return false;
}

/* An archive may name many images, each a few times: room for names is taken as they come. */
static int add_name(struct store_chosen *c, const struct bh_ref *ref, struct bh_arena *arena, struct bh_err *err) {
    for (size_t k = 0; k < c->n_names; k++)
        if (same_ref(&c->names[k], ref))
            return 0;
    if (c->n_names == c->cap_names) {
        size_t cap = c->cap_names == 0 ? 1 : c->cap_names * 2;
        struct bh_ref *more = bh_oci_alloc(arena, cap * sizeof *more, err);

        if (more == NULL)
            return err->code;
        if (c->n_names > 0)
            memcpy(more, c->names, c->n_names * sizeof *more);
        c->names = more;
        c->cap_names = cap;
    }
    c->names[c->n_names++] = *ref;
    return 0;
}

static int add_names(struct store_chosen *c, const struct store_plan_name *v, size_t n, struct bh_arena *arena,
                     struct bh_err *err) {
    bool full = has_full_name(v, n);

    for (size_t i = 0; i < n; i++) {
        struct bh_ref ref;

        if ((full && strcmp(v[i].source, BH_ANNOTATION_REF_NAME) == 0) ||
            !store_load_name(v[i].name, v[i].source, &ref))
            continue;
        if (add_name(c, &ref, arena, err) != 0)
            return err->code;
    }
    return 0;
}

/* ---- images -------------------------------------------------------------------------------- */

static const struct store_plan_index *index_of(const struct store_plan *plan, const struct store_plan_image *im) {
    for (size_t i = 0; i < plan->n_indexes && im->index_digest[0] != '\0'; i++)
        if (strcmp(plan->indexes[i].digest, im->index_digest) == 0)
            return &plan->indexes[i];
    return NULL;
}

/* -1: does not fit; else the lower the better. */
static int rank(const struct store_plan_image *im, const struct bh_platform *want) {
    struct bh_platform have;

    bh_image_config_platform(&im->config, &have);
    return bh_platform_rank(want, &have);
}

/* The best of an index: what fits best, or, where anything will do, the first. */
static const struct store_plan_image *best_of_index(const struct store_plan *plan, const struct store_plan_index *index,
                                                    const struct bh_platform *want, bool any) {
    const struct store_plan_image *best = NULL;
    const struct store_plan_image *first = NULL;
    int best_rank = -1;

    for (size_t i = 0; i < plan->n_images; i++) {
        const struct store_plan_image *im = &plan->images[i];
        int r;

        if (strcmp(im->index_digest, index->digest) != 0 || im->missing[0] != '\0')
            continue;
        if (first == NULL)
            first = im;
        r = rank(im, want);
        if (r >= 0 && (best == NULL || r < best_rank)) {
            best = im;
            best_rank = r;
        }
    }
    return best != NULL || !any ? best : first;
}

static int not_here(const struct store_plan_image *im, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "image %s in the archive cannot be loaded: %s",
               im->n_names > 0 ? im->names[0].name : im->manifest_digest, im->missing);
    return bh_err_reason(err, "incomplete-archive");
}

/* taken: already chosen by another name.  The same manifest may be listed once for each of its names. */
static struct store_chosen *entry_for(struct store_choice *out, const struct store_plan *plan,
                                      const struct store_plan_image *im) {
    struct store_chosen *c;

    for (size_t i = 0; i < out->n_images; i++)
        if (strcmp(out->images[i].image->config_digest, im->config_digest) == 0 &&
            strcmp(out->images[i].image->manifest_digest, im->manifest_digest) == 0)
            return &out->images[i];
    c = &out->images[out->n_images++];
    c->image = im;
    c->index = index_of(plan, im);
    c->part = true; /* until it is named */
    return c;
}

static int choose_images(const struct store_plan *plan, const struct bh_platform *want, bool any,
                         struct bh_arena *arena, struct store_choice *out, struct bh_err *err) {
    for (size_t i = 0; i < plan->n_images; i++) {
        const struct store_plan_image *im = &plan->images[i];
        const struct store_plan_index *index = index_of(plan, im);
        struct store_chosen *c;

        if (index != NULL && best_of_index(plan, index, want, any) != im) {
            if (any && im->missing[0] == '\0')
                entry_for(out, plan, im);
            continue;
        }
        if (im->missing[0] != '\0')
            return not_here(im, err);
        if (index == NULL && !any && rank(im, want) < 0)
            continue;
        c = entry_for(out, plan, im);
        c->part = false;
        if (add_names(c, im->names, im->n_names, arena, err) != 0 ||
            (index != NULL && add_names(c, index->names, index->n_names, arena, err) != 0))
            return err->code;
    }
    return 0;
}

/* ---- layers -------------------------------------------------------------------------------- */

static int choose_layers(struct store_choice *out, struct bh_arena *arena, struct bh_err *err) {
    size_t max = 0;

    for (size_t i = 0; i < out->n_images; i++)
        max += out->images[i].image->n_layers;
    out->layers = bh_oci_alloc(arena, (max + 1) * sizeof(void *), err);
    if (out->layers == NULL)
        return err->code;
    for (size_t i = 0; i < out->n_images; i++)
        for (size_t j = 0; j < out->images[i].image->n_layers; j++) {
            const struct store_plan_layer *l = &out->images[i].image->layers[j];
            size_t k = 0;

            /* the same tar may be there in two forms: both blobs are wanted */
            while (k < out->n_layers &&
                   (strcmp(out->layers[k]->diff_id, l->diff_id) != 0 || strcmp(out->layers[k]->digest, l->digest) != 0))
                k++;
            if (k == out->n_layers)
                out->layers[out->n_layers++] = l;
        }
    return 0;
}

int store_plan_choose(const struct store_plan *plan, const char *platform, struct bh_arena *arena,
                      struct store_choice *out, struct bh_err *err) {
    struct store_choice choice = {0};
    struct bh_platform want;
    bool any = platform[0] == '\0';

    if (any)
        bh_platform_host(&want);
    else if (bh_platform_parse(platform, &want, err) != 0)
        return err->code;
    choice.images = bh_oci_alloc(arena, (plan->n_images + 1) * sizeof *choice.images, err);
    if (choice.images == NULL || choose_images(plan, &want, any, arena, &choice, err) != 0)
        return err->code;
    if (choice.n_images == 0) {
        for (size_t i = 0; i < plan->n_images; i++)
            if (plan->images[i].missing[0] != '\0')
                return not_here(&plan->images[i], err);
        if (any)
            return bh_err_set(err, BH_E_INVALID, "the archive holds no image");
        bh_err_set(err, BH_E_NOT_FOUND, "the archive holds no image for platform %s", platform);
        return bh_err_reason(err, "no-such-platform");
    }
    if (choose_layers(&choice, arena, err) != 0)
        return err->code;
    *out = choice;
    return 0;
}
