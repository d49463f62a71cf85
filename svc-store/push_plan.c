/*
 * push_plan.c - what goes out under a name: which images, and which blobs of them are here as they are wanted.
 *
 * Room: store.  Nothing is made here.  Between choosing and the lease nothing may be collected.
 */
#include "push_int.h"

#include <string.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "gc.h"
#include "lease.h"
#include "oci/manifest.h"
#include "oci/platform.h"
#include "place.h"

/* ---- what it is made of -------------------------------------------------------------------- */

const char *store_push_media(const char *codec) {
    return strcmp(codec, "zstd") == 0 ? BH_MT_OCI_LAYER_ZSTD : BH_MT_OCI_LAYER_GZIP;
}

/* A blob that is a form of the layer, in the codec that is wanted: this owner's, or named by an image of his. */
static int find_form(struct store_pushing *x, struct store_db *db, const char *diff_id, struct store_desc *out,
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
    *out = (struct store_desc){store_push_text(x, store_text(st, 0), err), (uint64_t)sqlite3_column_int64(st, 1),
                               store_push_media(store_codec_name(x->codec))};
    sqlite3_reset(st);
    return err->code;
}

/* Codec of the kept blob that the manifest names for layer i; "" when there is none. */
static int kept_codec(struct store_db *db, const struct store_outgoing *o, size_t i, char out[16], struct bh_err *err) {
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

static bool codec_fits(const struct store_pushing *x, const char *codec) {
    if (strcmp(codec, "gzip") != 0 && strcmp(codec, "zstd") != 0)
        return false;
    return !x->p->force || (strcmp(codec, store_codec_name(x->codec)) == 0 && x->p->level == 0);
}

/* Decide for layer i: does it stay as the manifest has it, and what is it else? */
static int plan_layer(struct store_pushing *x, struct store_db *db, struct store_outgoing *o, size_t i, bool *out_stays,
                      struct bh_err *err) {
    bool bare = strcmp(o->m.layers[i].digest, o->layers[i].diff_id) == 0;
    char codec[16];

    if (kept_codec(db, o, i, codec, err) != 0)
        return err->code;
    *out_stays = (bare && !o->m.made && x->p->compression[0] == '\0') || codec_fits(x, codec);
    if (codec_fits(x, codec)) {
        o->made[i] = (struct store_desc){o->m.layers[i].digest, o->m.layers[i].size, store_push_media(codec)};
        return 0;
    }
    return find_form(x, db, o->layers[i].diff_id, &o->made[i], err);
}

static int plan_artifact(struct store_pushing *x, struct store_db *db, struct store_outgoing *o, struct bh_err *err) {
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

static int plan_image(struct store_pushing *x, struct store_db *db, struct store_outgoing *o, const char *manifest,
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
        bool stays = false;

        if (plan_layer(x, db, o, i, &stays, err) != 0)
            return err->code;
        o->as_it_came = o->as_it_came && stays;
    }
    return 0;
}

/* ---- which images -------------------------------------------------------------------------- */

/* The manifests that the index names, read by a worker. */
static int index_entries(struct store_pushing *x, const char *index, struct store_document_result *out,
                         struct bh_err *err) {
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
    return store_push_read(x, index, bh_buf_str(&data), data.len, out, err);
}

struct index_row {
    int64_t k;
    const char *manifest;
    struct bh_platform platform;
};

static int index_rows(struct store_pushing *x, struct store_db *db, const char *index, struct index_row **out,
                      size_t *out_n, struct bh_err *err) {
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
        row->manifest = store_push_text(x, store_text(st, 1), err);
        row->platform = store_platform(store_text(st, 2), store_text(st, 3), store_text(st, 4));
        x->index_media = store_push_text(x, store_text(st, 5), err);
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

static int alloc_images(struct store_pushing *x, size_t n, struct bh_err *err) {
    x->n = 0;
    x->images = bh_oci_alloc(x->arena, (n + 1) * sizeof *x->images, err);
    return x->images == NULL ? err->code : 0;
}

/* out_whole: every image that the index names is here and can go out as it came. */
static int plan_index(struct store_pushing *x, struct store_db *db, const struct index_row *rows, size_t n_rows,
                      const struct store_document_result *index, bool *out_whole, struct bh_err *err) {
    *out_whole = index->n_entries > 0;
    if (alloc_images(x, index->n_entries, err) != 0)
        return err->code;
    for (size_t i = 0; i < index->n_entries && *out_whole; i++) {
        const struct index_row *row = row_of(rows, n_rows, index->entries[i].digest);
        struct store_outgoing *o = &x->images[x->n];

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

static int plan_one(struct store_pushing *x, struct store_db *db, int64_t k, const char *manifest, struct bh_err *err) {
    if (alloc_images(x, 1, err) != 0)
        return err->code;
    x->images[0].k = k;
    x->n = 1;
    return plan_image(x, db, &x->images[0], manifest, err);
}

static int plan_platform(struct store_pushing *x, struct store_db *db, const struct store_found *found,
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
static int find_image(struct store_pushing *x, struct store_found *found, struct bh_err *err) {
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

static int plan(struct store_pushing *x, const struct store_found *found, const struct store_document_result *index,
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
    x->index = store_push_text(x, found->index, err);
    return err->code;
}

/* ---- holding it ---------------------------------------------------------------------------- */

static int hold_image(struct store_pushing *x, struct store_db *db, const struct store_outgoing *o,
                      struct bh_err *err) {
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

static int hold_all(struct store_pushing *x, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(x->s->index, STORE_LAZY, &db, err) != 0 ||
        (x->index[0] != '\0' && store_lease_add(db, x->h->lease, STORE_LEASE_BLOB, x->index, err) != 0))
        return err->code;
    for (size_t i = 0; i < x->n; i++)
        if (hold_image(x, db, &x->images[i], err) != 0)
            return err->code;
    return store_write_commit(&db, err);
}

int store_push_choose(struct store_pushing *x, struct bh_err *err) {
    struct store_document_result index = {0};
    struct store_found found = {0};

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
