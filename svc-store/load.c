/*
 * load.c - see load.h.
 */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "gc.h"
#include "layer.h"
#include "lease.h"
#include "name.h"
#include "place.h"
#include "plan.h"
#include "publish.h"
#include "worker.h"

#define PLAN_ARENA ((size_t)192 << 20)

struct loading {
    struct store *s;
    const struct store_load *load;
    struct bh_arena arena;
    struct store_temp spool;
    int source; /* what the plan's offsets mean: the archive or the spool */
    struct store_plan plan;
    struct store_choice choice;
    int64_t lease;
    /* threads that make layers take the next one from here */
    pthread_mutex_t lock;
    size_t next;
    struct bh_err first_err;
    const char **notes; /* told after the commit: a slow client must not hold the index */
    size_t n_notes;
    size_t max_notes;
};

/* ---- events -------------------------------------------------------------------------------- */

static void tell(struct loading *l, const struct store_load_event *e) {
    if (l->load->event == NULL)
        return;
    pthread_mutex_lock(&l->lock);
    l->load->event(l->load->arg, e);
    pthread_mutex_unlock(&l->lock);
}

static void tell_layer(struct loading *l, const struct store_plan_layer *layer, uint64_t current) {
    tell(l, &(struct store_load_event){.layer = layer->diff_id, .current = current, .total = layer->size});
}

/* ---- plan ---------------------------------------------------------------------------------- */

static int make_plan(struct loading *l, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT;
    struct store_job job = {
        .name = BH_JOB_ARCHIVE,
        .what = "archive",
        .source = l->load->fd,
        .out = l->spool.fd,
        .blob = -1,
        .size = BH_JOB_TO_END,
        .cancel_fd = l->load->cancel_fd,
    };

    if (store_worker_run(l->s, &job, &packed, err) != 0)
        return err->code;
    if (store_result_plan(&packed, &l->arena, &l->plan, err) != 0)
        return store_worker_full(&l->s->place, "unpack the archive", UINT64_MAX, err);
    l->source = l->plan.spooled ? l->spool.fd : l->load->fd;
    return store_plan_choose(&l->plan, l->load->platform, &l->arena, &l->choice, err);
}

/* The plan comes from a worker: its offsets must lie inside the file that they point into. */
static int check_source(const struct loading *l, struct bh_err *err) {
    struct stat st;

    if (fstat(l->source, &st) != 0)
        return bh_err_errno(err, errno, "look at the archive");
    if (l->plan.archive_size > (uint64_t)st.st_size)
        return bh_err_set(err, BH_E_INVALID, "the archive became shorter while it was read");
    return 0;
}

/* ---- layers -------------------------------------------------------------------------------- */

static int one_layer(struct loading *l, const struct store_plan_layer *layer, struct bh_err *err) {
    char what[100];
    bool made = false;
    struct store_layer_source src = {
        .fd = l->source,
        .offset = layer->offset,
        .size = layer->size,
        .keep_blob = layer->digest[0] != '\0' && store_options_now(l->s).keep != STORE_KEEP_NEVER &&
                     strcmp(layer->digest, layer->diff_id) != 0,
        .digest = layer->digest,
        .digest_size = layer->size,
        .diff_id = layer->diff_id,
        .what = what,
        .cancel_fd = l->load->cancel_fd,
    };

    snprintf(what, sizeof what, "layer %.19s", layer->diff_id);
    tell_layer(l, layer, 0);
    if (store_layer_ensure(l->s, &l->load->who, l->lease, &src, &made, err) != 0)
        return err->code;
    tell_layer(l, layer, layer->size);
    return 0;
}

static const struct store_plan_layer *take_layer(struct loading *l) {
    const struct store_plan_layer *layer = NULL;

    pthread_mutex_lock(&l->lock);
    if (l->first_err.code == 0 && l->next < l->choice.n_layers)
        layer = l->choice.layers[l->next++];
    pthread_mutex_unlock(&l->lock);
    return layer;
}

static void *layer_thread(void *arg) {
    struct loading *l = arg;
    const struct store_plan_layer *layer;

    while ((layer = take_layer(l)) != NULL) {
        struct bh_err err = BH_ERR_INIT;

        if (one_layer(l, layer, &err) != 0) {
            pthread_mutex_lock(&l->lock);
            if (l->first_err.code == 0)
                l->first_err = err;
            pthread_mutex_unlock(&l->lock);
        }
    }
    return NULL;
}

static int make_layers(struct loading *l, struct bh_err *err) {
    unsigned n = store_options_now(l->s).workers;
    pthread_t threads[16];
    unsigned started = 0;

    if (n > BH_ARRAY_LEN(threads))
        n = BH_ARRAY_LEN(threads);
    if (n > l->choice.n_layers)
        n = (unsigned)l->choice.n_layers;
    while (started + 1 < n && pthread_create(&threads[started], NULL, layer_thread, l) == 0)
        started++;
    layer_thread(l);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (l->first_err.code != 0)
        *err = l->first_err;
    return err->code;
}

static int check_room(struct loading *l, struct bh_err *err) {
    uint64_t need = 0;

    for (size_t i = 0; i < l->choice.n_layers; i++) {
        uint64_t size;
        uint64_t disk;

        if (!store_file_stat(&l->s->place, STORE_LAYERS, l->choice.layers[i]->diff_id, &size, &disk))
            need += l->choice.layers[i]->size;
    }
    return store_room_check(&l->s->place, "load the archive", need, err);
}

/* ---- images -------------------------------------------------------------------------------- */

static int manifest_layers(const struct store_plan_image *p, struct bh_arena *arena, struct store_new_image *n,
                           struct bh_err *err) {
    struct store_desc *v = bh_oci_alloc(arena, (p->n_layers + 1) * sizeof *v, err);

    if (v == NULL)
        return err->code;
    for (size_t i = 0; i < p->n_layers; i++)
        v[i] = (struct store_desc){p->layers[i].digest, p->layers[i].size, p->layers[i].media};
    n->layers = v;
    n->n_layers = p->n_layers;
    return 0;
}

static int tar_sizes(struct loading *l, const struct store_plan_image *p, uint64_t **out, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    uint64_t *v = bh_oci_alloc(&l->arena, (p->n_layers + 1) * sizeof *v, err);

    if (v == NULL || store_read_begin(l->s->index, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < p->n_layers; i++) {
        int64_t size = 0;

        if (store_get_int(db, &size, NULL, err, "SELECT tar_size FROM layer WHERE diff_id=?", "t",
                          p->layers[i].diff_id) != 0)
            return err->code;
        v[i] = (uint64_t)size;
    }
    *out = v;
    return 0;
}

/* Without its names; and before it has a row, so that no collection takes it in between. */
static int under_hold(struct loading *l, struct store_publish_image *im, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    im->n_names = 0;
    if (store_write_begin(l->s->index, STORE_LAZY, &db, err) != 0 ||
        store_lease_add(db, l->lease, STORE_LEASE_IMAGE, im->image.id, err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

static int new_image(struct loading *l, const struct store_chosen *c, struct store_publish_image *out,
                     struct bh_err *err) {
    const struct store_plan_image *p = c->image;
    struct store_new_image n = {
        .id = p->config_digest,
        .config = &p->config,
        .reduced = p->reduced,
        .n_reduced = p->n_reduced,
        .config_data = p->config_data,
        .n_config = p->n_config,
        .config_media = p->config_media,
        .manifest = p->manifest_digest,
        .manifest_media = p->manifest_media,
        .manifest_data = p->manifest,
        .n_manifest = p->n_manifest,
        .parent = "",
        .other = c->index != NULL ? c->index->digest : "",
        .other_media = c->index != NULL ? c->index->media : "",
        .part = c->part || l->load->lease != STORE_LEASE_NONE,
    };
    uint64_t *sizes;

    if (p->manifest_digest[0] != '\0') {
        if (manifest_layers(p, &l->arena, &n, err) != 0)
            return err->code;
    } else if (tar_sizes(l, p, &sizes, err) != 0 ||
               store_manifest_make(&p->config, p->config_digest, p->n_config, sizes, NULL, &l->arena, &n, err) != 0) {
        return err->code;
    }
    *out = (struct store_publish_image){.image = n, .names = c->names, .n_names = c->n_names};
    return l->load->lease == STORE_LEASE_NONE ? 0 : under_hold(l, out, err);
}

static int put_index(struct loading *l, const struct store_plan_index *x, struct bh_err *err) {
    const struct store_document d = {x->digest, STORE_BLOB_INDEX, x->data, x->n};

    return store_document_put(l->s, l->load->who.owner, l->lease, &d, err);
}

static void moved(void *arg, const struct bh_ref *name, const char *old_id) {
    struct loading *l = arg;
    char text[BH_REF_TEXT_SIZE];
    char note[BH_REF_TEXT_SIZE + 200];

    bh_ref_familiar(name, text);
    snprintf(note, sizeof note, "The image %s already exists, renaming the old one with ID %s to empty string", text,
             old_id);
    if (l->n_notes < l->max_notes)
        l->notes[l->n_notes++] = bh_arena_strdup(&l->arena, note);
}

static void tell_loaded(struct loading *l, const struct store_chosen *c) {
    char text[BH_REF_TEXT_SIZE];

    bool named = l->load->lease == STORE_LEASE_NONE;

    for (size_t i = 0; named && i < c->n_names; i++) {
        bh_ref_familiar(&c->names[i], text);
        tell(l, &(struct store_load_event){.loaded = text});
    }
    if ((c->n_names == 0 || !named) && !c->part)
        tell(l, &(struct store_load_event){.loaded = c->image->config_digest, .is_id = true});
}

static int publish_all(struct loading *l, struct bh_err *err) {
    const struct store_choice *c = &l->choice;
    struct store_publish_image *v = bh_oci_alloc(&l->arena, c->n_images * sizeof *v, err);

    if (v == NULL)
        return err->code;
    for (size_t i = 0; i < c->n_images; i++)
        l->max_notes += c->images[i].n_names;
    l->notes = bh_oci_alloc(&l->arena, (l->max_notes + 1) * sizeof *l->notes, err);
    if (l->notes == NULL)
        return err->code;
    for (size_t i = 0; i < c->n_images; i++) {
        if (c->images[i].index != NULL && put_index(l, c->images[i].index, err) != 0)
            return err->code;
        if (new_image(l, &c->images[i], &v[i], err) != 0)
            return err->code;
    }
    if ((l->load->lease != STORE_LEASE_NONE
             ? store_publish_under(l->s, l->load->who.owner, l->lease, v, c->n_images, NULL, NULL, err)
             : store_publish(l->s, l->load->who.owner, &l->lease, v, c->n_images, moved, l, err)) != 0)
        return err->code;
    for (size_t i = 0; i < l->n_notes; i++)
        if (l->notes[i] != NULL)
            tell(l, &(struct store_load_event){.note = l->notes[i]});
    for (size_t i = 0; i < c->n_images; i++)
        tell_loaded(l, &c->images[i]);
    return 0;
}

/* ---- all ----------------------------------------------------------------------------------- */

static int load_all(struct loading *l, struct bh_err *err) {
    if (store_temp_open(&l->s->place, &l->spool, err) != 0 || make_plan(l, err) != 0 || check_source(l, err) != 0 ||
        check_room(l, err) != 0)
        return err->code;
    l->lease = l->load->lease;
    if (l->lease == STORE_LEASE_NONE && store_lease_take(l->s, l->load->who.owner, "load", &l->lease, err) != 0)
        return err->code;
    if (make_layers(l, err) != 0)
        return err->code;
    return publish_all(l, err);
}

int store_load(struct store *s, const struct store_load *load, struct bh_err *err) {
    struct loading l = {.s = s, .load = load, .spool = STORE_TEMP_INIT};
    int r;

    pthread_mutex_init(&l.lock, NULL);
    bh_arena_init(&l.arena, PLAN_ARENA);
    r = load_all(&l, err);
    store_temp_drop(&s->place, &l.spool);
    if (l.lease != STORE_LEASE_NONE &&
        load->lease == STORE_LEASE_NONE) { /* nothing was published: take away what was made for it */
        store_lease_drop(s, &l.lease);
        store_gc_now(s);
    }
    bh_arena_fini(&l.arena);
    pthread_mutex_destroy(&l.lock);
    return r;
}
