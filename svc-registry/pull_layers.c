/*
 * pull_layers.c - the layers of an image, several at once.
 *
 * Room: registry.
 */
#include <string.h>

#include "base/mem.h"
#include "svc-registry/pull_int.h"

bool reg_pull_live_add(struct reg_pull_image *im, struct reg_layer *layer) {
    bool added = false;

    pthread_mutex_lock(&im->lock);
    for (size_t i = 0; i < REG_PULL_LIVE && !added && !reg_stop_is_set(&im->stop); i++) {
        if (im->live[i] == NULL) {
            im->live[i] = layer;
            added = true;
        }
    }
    pthread_mutex_unlock(&im->lock);
    return added;
}

void reg_pull_live_remove(struct reg_pull_image *im, struct reg_layer *layer) {
    pthread_mutex_lock(&im->lock);
    for (size_t i = 0; i < REG_PULL_LIVE; i++)
        if (im->live[i] == layer)
            im->live[i] = NULL;
    pthread_mutex_unlock(&im->lock);
}

/* Refused before a byte is asked for. */
static int check_layer(struct reg_pull_image *im, const struct bh_desc *d, struct bh_err *err) {
    bool foreign = false;
    enum bh_layer_form form = bh_media_layer(d->media_type, &foreign);

    if (d->digest.alg == BH_DIGEST_NONE) {
        bh_err_set(err, BH_E_UNIMPLEMENTED, "%s: layer %s has a digest that cannot be verified", im->familiar,
                   d->digest_text);
        return bh_err_reason(err, "digest-algorithm");
    }
    if (form == BH_LAYER_ENCRYPTED) {
        bh_err_set(err, BH_E_UNIMPLEMENTED, "%s: layer %s is encrypted (\"%s\")", im->familiar, d->digest_text,
                   d->media_type);
        return bh_err_reason(err, "encrypted-layer");
    }
    if (foreign && !im->p->settings->allow_foreign_layers) {
        bh_err_set(err, BH_E_DENIED, "%s: layer %s is a foreign layer, to be fetched from another server", im->familiar,
                   d->digest_text);
        bh_err_reason(err, "foreign-layer");
        return bh_err_hint(err, "an administrator allows it with [registry] allow_foreign_layers = true");
    }
    return 0;
}

/* A layer that stands twice in a manifest (an empty one) is brought once. */
static bool seen_before(const struct reg_pull_layer *all, size_t n, const struct bh_desc *d, const char *diff_id) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].desc->digest_text, d->digest_text) == 0 && strcmp(all[i].diff_id, diff_id) == 0)
            return true;
    return false;
}

static bool wanted_layer(const struct reg_pull *ask, const char *diff_id) {
    return ask->diff_ids.n == 0 || bh_strlist_has(&ask->diff_ids, diff_id);
}

static size_t list(struct reg_pull_image *im, struct reg_pull_layer *all) {
    const struct reg_document_info *m = &im->manifest;
    size_t n = 0;

    if (m->not_an_image[0] != '\0') {
        all[n] = (struct reg_pull_layer){.im = im, .desc = &m->config, .diff_id = ""};
        n++;
    }
    for (size_t i = 0; i < m->n_layers; i++) {
        const char *diff_id = im->diff_ids.n > 0 ? im->diff_ids.v[i] : "";

        if (!wanted_layer(im->p->ask, diff_id) || seen_before(all, n, &m->layers[i], diff_id))
            continue;
        all[n] = (struct reg_pull_layer){.im = im, .desc = &m->layers[i], .diff_id = diff_id};
        n++;
    }
    return n;
}

/* A slot is waited for as long as it takes: those who have one end at a stop. */
static int one(void *arg, size_t i, struct bh_err *err) {
    struct reg_pull_layer *l = (struct reg_pull_layer *)arg + i;
    sem_t *slots = &l->im->p->slots;
    int r;

    while (sem_wait(slots) != 0)
        continue;
    r = reg_pull_one_layer(l, err);
    sem_post(slots);
    return r;
}

static int ask_store(struct reg_pull_image *im, const struct reg_pull_layer *all, size_t n, bool *out_have,
                     struct bh_err *err) {
    BH_SCOPE_FREE struct reg_layer_ask *asks = bh_xcalloc(n + 1, sizeof *asks);

    for (size_t i = 0; i < n; i++)
        asks[i] = reg_pull_ask_of(&all[i]);
    return reg_hold_have(im->p->hold, asks, n, out_have, err);
}

/* What each layer is up to, in the order of the manifest; those that are wanted move to the front. */
static int tell_layers(struct reg_pull_image *im, struct reg_pull_layer *all, size_t n, const bool *have,
                       size_t *out_wanted, struct bh_err *err) {
    *out_wanted = 0;
    for (size_t i = 0; i < n; i++) {
        struct reg_pull_layer *l = &all[i];

        reg_line_init(&l->line, im->listener, im->number, l->desc->digest_text);
        if (reg_line_state(&l->line, have[i] ? REG_LAYER_EXISTS : REG_LAYER_PULLING, err) != 0 ||
            (!have[i] && *out_wanted >= im->p->jobs && reg_line_state(&l->line, REG_LAYER_WAITING, err) != 0))
            return err->code;
        if (!have[i])
            all[(*out_wanted)++] = *l;
    }
    return 0;
}

int reg_pull_layers(struct reg_pull_image *im, struct bh_err *err) {
    BH_SCOPE_FREE struct reg_pull_layer *all = bh_xcalloc(im->manifest.n_layers + 1, sizeof *all);
    BH_SCOPE_FREE bool *have = bh_xcalloc(im->manifest.n_layers + 1, sizeof *have);
    size_t n = list(im, all), wanted;

    for (size_t i = 0; i < n; i++)
        if (check_layer(im, all[i].desc, err) != 0)
            return err->code;
    if (ask_store(im, all, n, have, err) != 0 || tell_layers(im, all, n, have, &wanted, err) != 0)
        return err->code;
    return reg_jobs_run(wanted, im->p->jobs, one, all, &im->stop, err);
}
