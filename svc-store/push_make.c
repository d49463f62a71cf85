/*
 * push_make.c - compressed forms of layers that have none, and the manifests that name them.
 *
 * Room: store.  Workers compress, two layers at a time.
 */
#include "push_int.h"

#include <string.h>

#include "oci/manifest.h"
#include "publish.h"

/* ---- compressing --------------------------------------------------------------------------- */

struct one {
    struct store_pushing *x;
    struct store_outgoing *o;
    size_t i;
};

static void tell(void *arg, uint64_t done) {
    const struct one *one = arg;
    struct store_pushing *x = one->x;
    const struct store_image_layer *l = &one->o->layers[one->i];

    if (x->p->progress == NULL)
        return;
    pthread_mutex_lock(&x->lock);
    x->p->progress(x->p->arg, l->diff_id, done, l->tar_size);
    pthread_mutex_unlock(&x->lock);
}

static int compress_one(struct one *one, struct bh_err *err) {
    struct store_pushing *x = one->x;
    const struct store_image_layer *l = &one->o->layers[one->i];
    const struct store_compress c = {
        .owner = x->h->who.owner,
        .lease = x->h->lease,
        .diff_id = l->diff_id,
        .tar_size = l->tar_size,
        .codec = x->codec,
        .level = x->p->level,
        .cancel_fd = x->p->cancel_fd,
        .end_fd = x->h->end_fd,
        .progress = tell,
        .arg = one,
    };
    char digest[STORE_DIGEST_SIZE];
    uint64_t size;

    tell(one, 0);
    if (store_compress(x->s, &c, digest, &size, err) != 0)
        return err->code;
    tell(one, l->tar_size);
    pthread_mutex_lock(&x->lock); /* the arena */
    one->o->made[one->i] =
        (struct store_desc){store_push_text(x, digest, err), size, store_push_media(store_codec_name(x->codec))};
    pthread_mutex_unlock(&x->lock);
    return err->code;
}

/* The same layer further down: it gets the blob of its first. */
static bool is_again(const struct store_outgoing *o, size_t i, size_t *out_first) {
    for (size_t j = 0; j < i; j++)
        if (strcmp(o->layers[j].diff_id, o->layers[i].diff_id) == 0) {
            *out_first = j;
            return true;
        }
    return false;
}

static bool take(struct store_pushing *x, struct one *out) {
    bool got = false;

    pthread_mutex_lock(&x->lock);
    while (!got && x->first_err.code == 0 && x->next_image < x->n) {
        struct store_outgoing *o = &x->images[x->next_image];
        size_t i = x->next_layer++;
        size_t first;

        if (o->as_it_came || i >= o->n) {
            x->next_image++;
            x->next_layer = 0;
        } else if (o->made[i].digest == NULL && !is_again(o, i, &first)) {
            *out = (struct one){x, o, i};
            got = true;
        }
    }
    pthread_mutex_unlock(&x->lock);
    return got;
}

static void *compress_thread(void *arg) {
    struct store_pushing *x = arg;
    struct one one;

    while (take(x, &one)) {
        struct bh_err err = BH_ERR_INIT;

        if (compress_one(&one, &err) == 0)
            continue;
        pthread_mutex_lock(&x->lock);
        if (x->first_err.code == 0)
            x->first_err = err;
        pthread_mutex_unlock(&x->lock);
    }
    return NULL;
}

static int compress_all(struct store_pushing *x, struct bh_err *err) {
    size_t missing = 0;
    pthread_t other;
    bool started;

    for (size_t k = 0; k < x->n; k++)
        for (size_t i = 0; !x->images[k].as_it_came && i < x->images[k].n; i++)
            missing += x->images[k].made[i].digest == NULL;
    if (missing == 0)
        return 0;
    /* each worker has several threads: a second one only fills the gaps between two layers */
    started = missing > 1 && pthread_create(&other, NULL, compress_thread, x) == 0;
    compress_thread(x);
    if (started)
        pthread_join(other, NULL);
    if (x->first_err.code != 0)
        *err = x->first_err;
    return err->code;
}

/* ---- manifests ----------------------------------------------------------------------------- */

/* What the manifest that was made before says beside its layers goes on being said. */
static int annotations_of(struct store_pushing *x, const struct store_outgoing *o, struct bh_pairs *out,
                          struct bh_err *err) {
    static const char word[] = "\"annotations\"";
    struct store_document_result d;
    const void *data;

    *out = (struct bh_pairs){0};
    if (store_push_document(x, o->m.digest, o->m.size, &data, err) != 0)
        return err->code;
    if (memmem(data, (size_t)o->m.size, word, sizeof word - 1) == NULL)
        return 0;
    if (store_push_read(x, o->m.digest, data, (size_t)o->m.size, &d, err) != 0)
        return err->code;
    *out = d.annotations;
    return 0;
}

static int publish_made(struct store_pushing *x, struct store_outgoing *o, struct bh_err *err) {
    struct store_new_image n = {0};
    struct bh_pairs annotations;
    size_t first;

    for (size_t i = 0; i < o->n; i++)
        if (o->made[i].digest == NULL && is_again(o, i, &first))
            o->made[i] = o->made[first];
    if (annotations_of(x, o, &annotations, err) != 0 ||
        store_manifest_of(o->m.config, (size_t)o->m.config_size, o->made, o->n, &annotations, x->arena, &n, err) != 0 ||
        store_publish_manifest(x->s, x->h->who.owner, x->h->lease, o->k, &n, err) != 0)
        return err->code;
    o->m.digest = n.manifest;
    o->m.size = n.n_manifest;
    o->m.media = n.manifest_media;
    o->m.config_media = n.config_media;
    o->m.layers = o->made;
    o->m.n_layers = o->n;
    return 0;
}

int store_push_make(struct store_pushing *x, struct bh_err *err) {
    if (compress_all(x, err) != 0)
        return err->code;
    for (size_t i = 0; i < x->n; i++)
        if (!x->images[i].as_it_came && publish_made(x, &x->images[i], err) != 0)
            return err->code;
    return 0;
}
