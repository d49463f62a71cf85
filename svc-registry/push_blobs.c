/*
 * push_blobs.c - the blobs of an image, several at once.
 *
 * Room: registry.
 */
#include <string.h>

#include "base/mem.h"
#include "svc-registry/push_int.h"

static bool listed(const struct reg_push_blob *all, size_t n, const char *digest) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].desc->digest_text, digest) == 0)
            return true;
    return false;
}

static size_t list_layer(struct reg_push_image_state *im, const struct reg_push_layer *l, struct reg_push_blob *all,
                         size_t n) {
    if (listed(all, n, l->desc.digest_text))
        return n;
    all[n] = (struct reg_push_blob){.im = im, .desc = &l->desc, .sources = &l->sources};
    reg_line_init(&all[n].line, im->p->listener, im->number, l->diff_id[0] != '\0' ? l->diff_id : l->desc.digest_text);
    return n + 1;
}

static size_t list_config(struct reg_push_image_state *im, const struct reg_push_manifest *m, struct reg_push_blob *all,
                          size_t n) {
    if (listed(all, n, m->config.digest_text))
        return n;
    all[n] =
        (struct reg_push_blob){.im = im,
                               .desc = &m->config,
                               .data = m->config_size == m->config.size && m->config_size > 0 ? m->config_data : NULL,
                               .silent = true};
    return n + 1;
}

/* Each blob once, layers first as docker lists them: the topmost first. */
static size_t list(struct reg_push_image_state *im, struct reg_push_blob **out) {
    const struct reg_push_image *image = &im->image;
    struct reg_push_blob *all;
    size_t n = 0, room = 0;

    for (size_t i = 0; i < image->n_manifests; i++)
        room += image->manifests[i].n_layers + 1;
    all = bh_xcalloc(room + 1, sizeof *all);
    for (size_t i = 0; i < image->n_manifests; i++)
        for (size_t k = image->manifests[i].n_layers; k > 0; k--)
            n = list_layer(im, &image->manifests[i].layers[k - 1], all, n);
    for (size_t i = 0; i < image->n_manifests; i++)
        n = list_config(im, &image->manifests[i], all, n);
    *out = all;
    return n;
}

static int one(void *arg, size_t i, struct bh_err *err) {
    return reg_push_one_blob(&((struct reg_push_blob *)arg)[i], err);
}

static int tell_all(struct reg_push_blob *all, size_t n, enum reg_layer_state state, struct bh_err *err) {
    for (size_t i = 0; i < n; i++)
        if (!all[i].silent && reg_line_state(&all[i].line, state, err) != 0)
            return err->code;
    return 0;
}

int reg_push_blobs(struct reg_push_image_state *im, struct bh_err *err) {
    BH_SCOPE_FREE struct reg_push_blob *all = NULL;
    size_t n = list(im, &all);

    if (tell_all(all, n, REG_LAYER_PREPARING, err) != 0)
        return err->code;
    return reg_jobs_run(n, im->p->jobs, one, all, &im->p->stop, err);
}

int reg_push_tell_there(struct reg_push_image_state *im, struct bh_err *err) {
    BH_SCOPE_FREE struct reg_push_blob *all = NULL;
    size_t n = list(im, &all);

    if (tell_all(all, n, REG_LAYER_PREPARING, err) != 0)
        return err->code;
    return tell_all(all, n, REG_LAYER_THERE, err);
}
