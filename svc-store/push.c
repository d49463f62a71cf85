/*
 * push.c - see push.h.
 */
#include "push.h"

#include <stdio.h>
#include <string.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "compress.h"
#include "document.h"
#include "gc.h"
#include "layer/layer_format.h"
#include "lease.h"
#include "name.h"
#include "oci/manifest.h"
#include "oci/platform.h"
#include "place.h"
#include "publish.h"
#include "result.h"

/* One image on its way out. */
struct outgoing {
    int64_t k;
    bool artifact;
    struct store_manifest m;
    struct store_image_layer *layers; /* none of an artifact */
    size_t n;
    bool as_it_came;
    /* else: */
    struct store_desc *made; /* digest NULL: to be compressed */
};

struct pushing {
    struct store *s;
    struct store_hold *h;
    const struct store_push *p;
    struct bh_arena *arena;
    struct store_push_image *out;
    enum store_codec codec;
    const char *index; /* that all images are of, "" if none goes out */
    uint64_t index_size;
    const char *index_media;
    struct outgoing *images;
    size_t n;
    /* threads that compress take the next layer from here */
    pthread_mutex_t lock;
    size_t next_image;
    size_t next_layer;
    struct bh_err first_err;
};

static const char *dup_text(struct pushing *x, const char *s, struct bh_err *err) {
    return bh_oci_strdup(x->arena, s, strlen(s), err);
}

/* ---- what it is made of -------------------------------------------------------------------- */

static const char *media_of(const char *codec) {
    return strcmp(codec, "zstd") == 0 ? BH_MT_OCI_LAYER_ZSTD : BH_MT_OCI_LAYER_GZIP;
}

/* A blob that is a form of the layer, in the codec that is wanted: this owner's, or named by an image of his. */
static int find_form(struct pushing *x, struct store_db *db, const char *diff_id, struct store_desc *out,
                     struct bh_err *err) {
    sqlite3_stmt *st;
    int r;

    if (x->p->level != 0 && x->p->force)
        return 0;
    if (store_query(db, &st, err,
                    "SELECT b.digest, b.size FROM blob b WHERE b.diff_id=?1 AND b.diff_id<>'' AND b.codec=?2"
                    " AND b.state=0 AND (b.owner=?3 OR EXISTS(SELECT 1 FROM manifest_layer ml JOIN manifest m"
                    "  ON m.k=ml.manifest JOIN image i ON i.k=m.image WHERE ml.digest=b.digest AND i.owner=?3))"
                    " ORDER BY b.k LIMIT 1",
                    "tti", diff_id, store_codec_name(x->codec), (int64_t)x->h->who.owner) != 0)
        return err->code;
    r = store_step(db, st, err);
    if (r <= 0)
        return r;
    *out = (struct store_desc){dup_text(x, store_text(st, 0), err), (uint64_t)sqlite3_column_int64(st, 1),
                               media_of(store_codec_name(x->codec))};
    sqlite3_reset(st);
    return err->code;
}

/* Codec of the kept blob that the manifest names for layer i; "" when there is none. */
static int kept_codec(struct store_db *db, const struct outgoing *o, size_t i, char out[16], struct bh_err *err) {
    sqlite3_stmt *st;
    int r;

    out[0] = '\0';
    if (store_query(db, &st, err, "SELECT codec FROM blob WHERE digest=? AND diff_id=? AND state=0", "tt",
                    o->m.layers[i].digest, o->layers[i].diff_id) != 0)
        return err->code;
    r = store_step(db, st, err);
    if (r <= 0)
        return r;
    bh_str_copy(out, 16, store_text(st, 0));
    sqlite3_reset(st);
    return 0;
}

static bool codec_fits(const struct pushing *x, const char *codec) {
    if (strcmp(codec, "gzip") != 0 && strcmp(codec, "zstd") != 0)
        return false;
    return !x->p->force || (strcmp(codec, store_codec_name(x->codec)) == 0 && x->p->level == 0);
}

/* Decide for layer i: does it stay as the manifest has it, and what is it else? */
static int plan_layer(struct pushing *x, struct store_db *db, struct outgoing *o, size_t i, bool *out_stays,
                      struct bh_err *err) {
    bool bare = strcmp(o->m.layers[i].digest, o->layers[i].diff_id) == 0;
    char codec[16];

    if (kept_codec(db, o, i, codec, err) != 0)
        return err->code;
    *out_stays = (bare && !o->m.made && x->p->compression[0] == '\0') || codec_fits(x, codec);
    if (codec_fits(x, codec)) {
        o->made[i] = (struct store_desc){o->m.layers[i].digest, o->m.layers[i].size, media_of(codec)};
        return 0;
    }
    return find_form(x, db, o->layers[i].diff_id, &o->made[i], err);
}

static int plan_artifact(struct pushing *x, struct store_db *db, struct outgoing *o, struct bh_err *err) {
    (void)x;
    for (size_t i = 0; i < o->m.n_layers; i++) {
        bool found;
        int64_t k;

        if (store_blob_find(db, o->m.layers[i].digest, &k, &found, err) != 0)
            return err->code;
        if (!found)
            return bh_err_set(err, BH_E_DATA_LOSS, "blob %.19s of the artifact is not here: pull it again",
                              o->m.layers[i].digest);
    }
    o->as_it_came = true;
    return 0;
}

static int plan_image(struct pushing *x, struct store_db *db, struct outgoing *o, const char *manifest,
                      struct bh_err *err) {
    struct store_image im;

    if (store_image_get(db, o->k, x->arena, &im, err) != 0 ||
        store_manifest_get(db, o->k, manifest, x->arena, &o->m, err) != 0 ||
        store_image_layers(db, o->k, x->arena, &o->layers, &o->n, err) != 0)
        return err->code;
    o->artifact = im.artifact[0] != '\0';
    if (o->artifact)
        return plan_artifact(x, db, o, err);
    o->made = bh_oci_alloc(x->arena, (o->n + 1) * sizeof *o->made, err);
    if (o->made == NULL)
        return err->code;
    if (o->m.n_layers != o->n)
        return bh_err_set(err, BH_E_DATA_LOSS, "image %.19s has other layers than its manifest", im.id);
    o->as_it_came = true;
    for (size_t i = 0; i < o->n; i++) {
        bool stays;

        if (plan_layer(x, db, o, i, &stays, err) != 0)
            return err->code;
        o->as_it_came = o->as_it_came && stays;
    }
    return 0;
}

/* ---- which images -------------------------------------------------------------------------- */

static int read_by_worker(struct pushing *x, const char *digest, const void *data, size_t n,
                          struct store_document_result *out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT;
    char got[STORE_DIGEST_SIZE];
    const struct store_document_in in = {
        .digest = digest, .media = "", .data = data, .n = n, .read_only = true, .cancel_fd = x->p->cancel_fd};

    if (store_document_in(x->s, x->h, &in, &packed, got, err) != 0)
        return err->code;
    return store_result_document(&packed, x->arena, out, err);
}

/* The manifests that the index names, read by a worker. */
static int index_entries(struct pushing *x, const char *index, struct store_document_result *out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf data = BH_BUF_INIT;
    BH_SCOPE_CLOSE int fd = -1;
    void *room;
    ssize_t n;

    if (store_file_open(&x->s->place, STORE_BLOBS, index, &fd, err) != 0)
        return err->code;
    room = bh_buf_room(&data, (size_t)x->index_size + 1);
    n = room != NULL ? bh_pread_full(fd, room, (size_t)x->index_size, 0) : -1;
    if (n < 0)
        return bh_err_set(err, BH_E_LIMIT, "read index %.19s", index);
    bh_buf_grew(&data, (size_t)n);
    return read_by_worker(x, index, bh_buf_str(&data), data.len, out, err);
}

struct index_row {
    int64_t k;
    const char *manifest;
    struct bh_platform platform;
};

static int index_rows(struct pushing *x, struct store_db *db, const char *index, struct index_row **out, size_t *out_n,
                      struct bh_err *err) {
    sqlite3_stmt *st;
    int64_t n = 0;
    int r;

    *out_n = 0;
    if (store_get_int(db, &n, NULL, err, "SELECT count(*) FROM index_image WHERE idx=?", "t", index) != 0 ||
        store_query(db, &st, err,
                    "SELECT i.k, x.manifest, i.os, i.arch, i.variant, x.media FROM index_image x JOIN image i"
                    " ON i.k=x.image WHERE x.idx=? AND i.owner=?",
                    "ti", index, (int64_t)x->h->who.owner) != 0)
        return err->code;
    *out = bh_oci_alloc(x->arena, ((size_t)n + 1) * sizeof **out, err);
    if (*out == NULL)
        return err->code;
    while ((r = store_step(db, st, err)) > 0 && *out_n < (size_t)n) {
        struct index_row *row = &(*out)[(*out_n)++];

        row->k = sqlite3_column_int64(st, 0);
        row->manifest = dup_text(x, store_text(st, 1), err);
        row->platform = store_platform(store_text(st, 2), store_text(st, 3), store_text(st, 4));
        x->index_media = dup_text(x, store_text(st, 5), err);
        if (row->manifest == NULL || x->index_media == NULL)
            return err->code;
    }
    return r < 0 ? r : 0;
}

static const struct index_row *row_of(const struct index_row *rows, size_t n, const char *manifest) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].manifest, manifest) == 0)
            return &rows[i];
    return NULL;
}

static int alloc_images(struct pushing *x, size_t n, struct bh_err *err) {
    x->n = 0;
    x->images = bh_oci_alloc(x->arena, (n + 1) * sizeof *x->images, err);
    return x->images == NULL ? err->code : 0;
}

/* out_whole: every image that the index names is here and can go out as it came. */
static int plan_index(struct pushing *x, struct store_db *db, const struct index_row *rows, size_t n_rows,
                      const struct store_document_result *index, bool *out_whole, struct bh_err *err) {
    *out_whole = index->n_entries > 0;
    if (alloc_images(x, index->n_entries, err) != 0)
        return err->code;
    for (size_t i = 0; i < index->n_entries && *out_whole; i++) {
        const struct index_row *row = row_of(rows, n_rows, index->entries[i].digest);
        struct outgoing *o = &x->images[x->n];

        if (row == NULL) {
            *out_whole = false;
            break;
        }
        o->k = row->k;
        if (plan_image(x, db, o, row->manifest, err) != 0)
            return err->code;
        *out_whole = o->as_it_came;
        x->n++;
    }
    return 0;
}

static int plan_one(struct pushing *x, struct store_db *db, int64_t k, const char *manifest, struct bh_err *err) {
    if (alloc_images(x, 1, err) != 0)
        return err->code;
    x->images[0].k = k;
    x->n = 1;
    return plan_image(x, db, &x->images[0], manifest, err);
}

static int plan_platform(struct pushing *x, struct store_db *db, const struct store_found *found,
                         const struct index_row *rows, size_t n, struct bh_err *err) {
    const struct index_row *best = NULL;
    struct bh_platform want, have;
    struct store_image im;
    int rank, best_rank = -1;

    if (bh_platform_parse(x->p->platform, &want, err) != 0 || store_image_get(db, found->k, x->arena, &im, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++) {
        rank = bh_platform_rank(&want, &rows[i].platform);
        if (rank >= 0 && (best == NULL || rank < best_rank)) {
            best = &rows[i];
            best_rank = rank;
        }
    }
    if (best != NULL)
        return plan_one(x, db, best->k, best->manifest, err);
    have = store_platform(im.os, im.arch, im.variant);
    if (bh_platform_rank(&want, &have) >= 0)
        return plan_one(x, db, found->k, found->manifest, err);
    bh_err_set(err, BH_E_NOT_FOUND, "image %s is for %s/%s, not for %s", x->p->name, im.os, im.arch, x->p->platform);
    return bh_err_reason(err, "no-such-platform");
}

/* What the name means; its index, if it has one that is here. */
static int find_image(struct pushing *x, struct store_found *found, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    int64_t size = 0;
    bool have;

    if (store_read_begin(x->s->index, &db, err) != 0 ||
        (x->p->kept ? store_find_kept : store_find)(db, &x->h->who, x->p->name, found, err) != 0 ||
        store_get_int(db, &size, &have, err, "SELECT size FROM blob WHERE digest=? AND kind=3 AND state=0", "t",
                      found->index) != 0)
        return err->code;
    if (!found->by_name || !have)
        found->index[0] = '\0';
    x->index_size = (uint64_t)size;
    if (found->by_name)
        bh_ref_format(&found->ref, x->out->reference);
    return 0;
}

static int plan(struct pushing *x, const struct store_found *found, const struct store_document_result *index,
                struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct index_row *rows = NULL;
    bool whole = false;
    size_t n = 0;

    if (store_read_begin(x->s->index, &db, err) != 0 ||
        (found->index[0] != '\0' && index_rows(x, db, found->index, &rows, &n, err) != 0))
        return err->code;
    if (x->p->platform[0] != '\0')
        return plan_platform(x, db, found, rows, n, err);
    if (found->index[0] != '\0' && plan_index(x, db, rows, n, index, &whole, err) != 0)
        return err->code;
    if (!whole)
        return plan_one(x, db, found->k, x->p->manifest != NULL ? x->p->manifest : found->manifest, err);
    x->index = dup_text(x, found->index, err);
    return err->code;
}

/* ---- holding it ---------------------------------------------------------------------------- */

static int hold_image(struct pushing *x, struct store_db *db, const struct outgoing *o, struct bh_err *err) {
    if (store_lease_add(db, x->h->lease, STORE_LEASE_BLOB, o->m.digest, err) != 0 ||
        store_lease_add(db, x->h->lease, STORE_LEASE_BLOB, o->m.config, err) != 0)
        return err->code;
    for (size_t i = 0; i < o->n; i++)
        if (store_lease_add(db, x->h->lease, STORE_LEASE_LAYER, o->layers[i].diff_id, err) != 0 ||
            (o->made[i].digest != NULL &&
             store_lease_add(db, x->h->lease, STORE_LEASE_BLOB, o->made[i].digest, err) != 0))
            return err->code;
    for (size_t i = 0; o->artifact && i < o->m.n_layers; i++)
        if (store_lease_add(db, x->h->lease, STORE_LEASE_BLOB, o->m.layers[i].digest, err) != 0)
            return err->code;
    return 0;
}

static int hold_all(struct pushing *x, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(x->s->index, STORE_LAZY, &db, err) != 0 ||
        (x->index[0] != '\0' && store_lease_add(db, x->h->lease, STORE_LEASE_BLOB, x->index, err) != 0))
        return err->code;
    for (size_t i = 0; i < x->n; i++)
        if (hold_image(x, db, &x->images[i], err) != 0)
            return err->code;
    return store_write_commit(&db, err);
}

static int choose(struct pushing *x, struct bh_err *err) {
    struct store_document_result index = {0};
    struct store_found found;

    if (find_image(x, &found, err) != 0 ||
        (found.index[0] != '\0' && x->p->platform[0] == '\0' && index_entries(x, found.index, &index, err) != 0))
        return err->code;
    /* shared: between choosing and the lease nothing may be collected */
    store_tidy_share(x->s);
    if (plan(x, &found, &index, err) == 0)
        hold_all(x, err);
    store_tidy_end(x->s);
    return err->code;
}

/* ---- compressing --------------------------------------------------------------------------- */

struct one {
    struct pushing *x;
    struct outgoing *o;
    size_t i;
};

static void tell(void *arg, uint64_t done) {
    const struct one *one = arg;
    struct pushing *x = one->x;
    const struct store_image_layer *l = &one->o->layers[one->i];

    if (x->p->progress == NULL)
        return;
    pthread_mutex_lock(&x->lock);
    x->p->progress(x->p->arg, l->diff_id, done, l->tar_size);
    pthread_mutex_unlock(&x->lock);
}

static int compress_one(struct one *one, struct bh_err *err) {
    struct pushing *x = one->x;
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
    one->o->made[one->i] = (struct store_desc){dup_text(x, digest, err), size, media_of(store_codec_name(x->codec))};
    pthread_mutex_unlock(&x->lock);
    return err->code;
}

/* The same layer further down: it gets the blob of its first. */
static bool is_again(const struct outgoing *o, size_t i, size_t *out_first) {
    for (size_t j = 0; j < i; j++)
        if (strcmp(o->layers[j].diff_id, o->layers[i].diff_id) == 0) {
            *out_first = j;
            return true;
        }
    return false;
}

static bool take(struct pushing *x, struct one *out) {
    bool got = false;

    pthread_mutex_lock(&x->lock);
    while (!got && x->first_err.code == 0 && x->next_image < x->n) {
        struct outgoing *o = &x->images[x->next_image];
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
    struct pushing *x = arg;
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

static int compress_all(struct pushing *x, struct bh_err *err) {
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

static int read_document(struct pushing *x, const char *digest, uint64_t size, const void **out, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;
    void *data = bh_oci_alloc(x->arena, (size_t)size + 1, err);
    ssize_t n;

    if (data == NULL || store_file_open(&x->s->place, STORE_BLOBS, digest, &fd, err) != 0)
        return err->code;
    n = bh_pread_full(fd, data, (size_t)size, 0);
    if (n < 0 || (uint64_t)n != size)
        return bh_err_set(err, BH_E_DATA_LOSS, "document %.19s is shorter than it was: run `bulkhead system check`",
                          digest);
    *out = data;
    return 0;
}

/* What the manifest that was made before says beside its layers goes on being said. */
static int annotations_of(struct pushing *x, const struct outgoing *o, struct bh_pairs *out, struct bh_err *err) {
    static const char word[] = "\"annotations\"";
    struct store_document_result d;
    const void *data;

    *out = (struct bh_pairs){0};
    if (read_document(x, o->m.digest, o->m.size, &data, err) != 0)
        return err->code;
    if (memmem(data, (size_t)o->m.size, word, sizeof word - 1) == NULL)
        return 0;
    if (read_by_worker(x, o->m.digest, data, (size_t)o->m.size, &d, err) != 0)
        return err->code;
    *out = d.annotations;
    return 0;
}

static int publish_made(struct pushing *x, struct outgoing *o, struct bh_err *err) {
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

static int make_all(struct pushing *x, struct bh_err *err) {
    if (compress_all(x, err) != 0)
        return err->code;
    for (size_t i = 0; i < x->n; i++)
        if (!x->images[i].as_it_came && publish_made(x, &x->images[i], err) != 0)
            return err->code;
    return 0;
}

/* ---- telling it ---------------------------------------------------------------------------- */

static int read_sources(struct pushing *x, struct store_db *db, struct store_push_layer *l, struct bh_err *err) {
    const char *slash = strchr(x->p->repository, '/');
    size_t domain = slash != NULL ? (size_t)(slash - x->p->repository) + 1 : 0;
    sqlite3_stmt *st;
    int r;

    l->sources = bh_oci_alloc(x->arena, 8 * sizeof(char *), err);
    if (l->sources == NULL || domain == 0)
        return err->code;
    if (store_query(db, &st, err,
                    "SELECT repo FROM blob_source WHERE owner=? AND digest=? AND repo<>? ORDER BY seen_ns DESC", "itt",
                    (int64_t)x->h->who.owner, l->desc.digest, x->p->repository) != 0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0 && l->n_sources < 8) {
        if (strncmp(store_text(st, 0), x->p->repository, domain) != 0)
            continue;
        l->sources[l->n_sources] = (char *)dup_text(x, store_text(st, 0), err);
        if (l->sources[l->n_sources++] == NULL)
            return err->code;
    }
    sqlite3_reset(st);
    return r < 0 ? r : 0;
}

static int tell_layers(struct pushing *x, const struct outgoing *o, struct store_push_manifest *out,
                       struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;

    out->layers = bh_oci_alloc(x->arena, (o->m.n_layers + 1) * sizeof *out->layers, err);
    if (out->layers == NULL || store_read_begin(x->s->index, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < o->m.n_layers; i++) {
        out->layers[i].desc = o->m.layers[i];
        out->layers[i].diff_id = o->artifact ? "" : o->layers[i].diff_id;
        if (read_sources(x, db, &out->layers[i], err) != 0)
            return err->code;
    }
    out->n_layers = o->m.n_layers;
    return 0;
}

static int tell_image(struct pushing *x, const struct outgoing *o, struct store_push_manifest *out,
                      struct bh_err *err) {
    out->desc = (struct store_desc){o->m.digest, o->m.size, o->m.media};
    out->config = (struct store_desc){o->m.config, o->m.config_size, o->m.config_media};
    if (read_document(x, o->m.digest, o->m.size, &out->data, err) != 0 ||
        read_document(x, o->m.config, o->m.config_size, &out->config_data, err) != 0)
        return err->code;
    return tell_layers(x, o, out, err);
}

static int tell_all(struct pushing *x, struct bh_err *err) {
    x->out->manifests = bh_oci_alloc(x->arena, (x->n + 1) * sizeof *x->out->manifests, err);
    if (x->out->manifests == NULL)
        return err->code;
    for (size_t i = 0; i < x->n; i++)
        if (tell_image(x, &x->images[i], &x->out->manifests[x->out->n_manifests++], err) != 0)
            return err->code;
    if (x->index[0] == '\0')
        return 0;
    x->out->index =
        (struct store_desc){x->index, x->index_size, x->index_media[0] != '\0' ? x->index_media : BH_MT_OCI_INDEX};
    return read_document(x, x->index, x->index_size, &x->out->index_data, err);
}

/* ---- all ----------------------------------------------------------------------------------- */

static int read_codec(const struct store_push *p, enum store_codec *out, struct bh_err *err) {
    *out = strcmp(p->compression, "zstd") == 0 ? STORE_CODEC_ZSTD : STORE_CODEC_GZIP;
    if (p->compression[0] == '\0' || strcmp(p->compression, store_codec_name(*out)) == 0)
        return 0;
    bh_err_set(err, BH_E_INVALID, "compression %.40s is not known", p->compression);
    return bh_err_hint(err, "one of gzip, zstd");
}

int store_push_open(struct store *s, struct store_hold *h, const struct store_push *p, struct bh_arena *arena,
                    struct store_push_image *out, struct bh_err *err) {
    struct pushing x = {.s = s, .h = h, .p = p, .arena = arena, .out = out, .index = "", .index_media = ""};

    *out = (struct store_push_image){0};
    if (read_codec(p, &x.codec, err) != 0)
        return err->code;
    pthread_mutex_init(&x.lock, NULL);
    if (choose(&x, err) == 0 && make_all(&x, err) == 0)
        tell_all(&x, err);
    pthread_mutex_destroy(&x.lock);
    return err->code;
}

/* ---- blobs of a hold ----------------------------------------------------------------------- */

static int find_blob(struct store *s, struct store_hold *h, const char *digest, enum store_tree *out_tree,
                     uint64_t *out_size, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    int64_t size = 0;
    bool found;

    if (store_read_begin(s->index, &db, err) != 0 ||
        store_get_int(db, &size, &found, err,
                      "SELECT b.size FROM lease_item li JOIN blob b ON b.digest=li.digest WHERE li.lease=?"
                      " AND li.kind=2 AND li.digest=? AND b.state=0",
                      "it", h->lease, digest) != 0)
        return err->code;
    *out_tree = STORE_BLOBS;
    if (!found) {
        if (store_get_int(db, &size, &found, err,
                          "SELECT l.tar_size FROM lease_item li JOIN layer l ON l.diff_id=li.digest WHERE li.lease=?"
                          " AND li.kind=1 AND li.digest=? AND l.state=0",
                          "it", h->lease, digest) != 0)
            return err->code;
        *out_tree = STORE_LAYERS;
    }
    *out_size = (uint64_t)size;
    if (found)
        return 0;
    bh_err_set(err, BH_E_NOT_FOUND, "blob %.19s is not under this hold", digest);
    return bh_err_reason(err, "no-blob");
}

int store_hold_blob(struct store *s, struct store_hold *h, const char *digest, int *out_fd, uint64_t *out_offset,
                    uint64_t *out_size, struct bh_err *err) {
    struct bh_digest d;
    enum store_tree tree;

    if (bh_digest_parse(digest, &d, err) != 0 || find_blob(s, h, digest, &tree, out_size, err) != 0)
        return err->code;
    *out_offset = tree == STORE_LAYERS ? BH_LAYER_TAR_OFFSET : 0;
    return store_file_open(&s->place, tree, digest, out_fd, err);
}
