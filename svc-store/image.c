/*
 * image.c - see image.h: making an image's rows, and reading one.
 *
 * Room: store.  Everything that is written here has been checked before: digests were computed over
 * the bytes, the config was read by a worker or made by us.
 */
#include "image.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* ---- blobs --------------------------------------------------------------------------------- */

int store_blob_find(struct store_db *db, const char *digest, int64_t *out_k, bool *out_found, struct bh_err *err) {
    return store_get_int(db, out_k, out_found, err, "SELECT k FROM blob WHERE digest=? AND state=0", "t", digest);
}

int store_blob_of_layer(struct store_db *db, const char *digest, const char *diff_id, bool *out_found,
                        struct bh_err *err) {
    int64_t k;

    return store_get_int(db, &k, out_found, err, "SELECT k FROM blob WHERE digest=? AND diff_id=? AND state=0", "tt",
                         digest, diff_id);
}

int store_blob_put(struct store_db *db, uid_t owner, const char *digest, int kind, uint64_t size, const char *codec,
                   struct bh_err *err) {
    return store_exec(db, NULL, err,
                      "INSERT INTO blob(digest, owner, state, durable, kind, size, codec, added_ns)"
                      " VALUES(?,?,0,0,?,?,?,?) ON CONFLICT(digest) DO UPDATE SET state=0, durable=0,"
                      " verified=0, size=excluded.size WHERE state<>0",
                      "tiiiti", digest, (int64_t)owner, (int64_t)kind, (int64_t)size, codec, bh_now_ns());
}

/* ---- making -------------------------------------------------------------------------------- */

static void labels_pack(const struct bh_pairs *p, struct bh_buf *out) {
    for (size_t i = 0; i < p->n; i++) {
        bh_buf_add(out, p->v[i].key, strlen(p->v[i].key) + 1);
        bh_buf_add(out, p->v[i].value, strlen(p->v[i].value) + 1);
    }
}

static int image_insert(struct store_db *db, uid_t owner, const struct store_new_image *n, int64_t config_blob,
                        int64_t *out_k, struct bh_err *err) {
    const struct bh_image_config *c = n->config;
    BH_SCOPE_BUF struct bh_buf labels = BH_BUF_INIT;
    int64_t now = bh_now_ns();

    labels_pack(&c->config.labels, &labels);
    if (store_exec(db, NULL, err,
                   "INSERT INTO image(owner, id, state, config, parent, manifest, created_ns, added_ns, last_used_ns,"
                   " last_tag_ns, size, os, arch, variant, labels, reduced, artifact)"
                   " VALUES(?,?,?,?,?,?,?,?,?,0,0,?,?,?,?,?,?)",
                   "itiittiiitttbbt", (int64_t)owner, n->id, (int64_t)n->part, config_blob, n->parent, n->manifest,
                   c->created_ns, now, now, c->os, c->architecture, c->variant, (const void *)bh_buf_str(&labels),
                   labels.len, n->reduced, n->n_reduced, n->artifact != NULL ? n->artifact : "") != 0)
        return err->code;
    *out_k = store_last_id(db);
    return 0;
}

static int image_add_layers(struct store_db *db, int64_t k, const struct bh_image_config *c, struct bh_err *err) {
    for (size_t i = 0; i < c->n_diff_ids; i++) {
        char diff_id[STORE_DIGEST_SIZE];
        int64_t layer;
        bool found;

        bh_digest_format(&c->diff_ids[i], diff_id);
        if (store_get_int(db, &layer, &found, err, "SELECT k FROM layer WHERE diff_id=? AND state=0", "t", diff_id) !=
            0)
            return err->code;
        if (!found)
            return bh_err_set(err, BH_E_ABORTED, "layer %s went away while an image was being made of it", diff_id);
        if (store_exec(db, NULL, err, "INSERT INTO image_layer(image, pos, layer) VALUES(?,?,?)", "iii", k, (int64_t)i,
                       layer) != 0)
            return err->code;
    }
    return store_exec(
        db, NULL, err,
        "UPDATE image SET size=(SELECT ifnull(sum(ifnull(l.content,l.tar_size)),0) FROM image_layer il JOIN layer l"
        " ON l.k=il.layer WHERE il.image=?1) WHERE k=?1",
        "i", k);
}

/* Of an artifact: what its blobs have. */
static int artifact_size(struct store_db *db, int64_t k, const struct store_new_image *n, struct bh_err *err) {
    uint64_t size = 0;

    if (n->artifact == NULL || n->artifact[0] == '\0')
        return 0;
    for (size_t i = 0; i < n->n_layers; i++)
        size += n->layers[i].size;
    return store_exec(db, NULL, err, "UPDATE image SET size=? WHERE k=?", "ii", (int64_t)size, k);
}

/* One of our own never takes the place of one that came in. */
static int lead(struct store_db *db, int64_t image, const struct store_new_image *n, struct bh_err *err) {
    if (!n->made)
        return store_exec(db, NULL, err, "UPDATE image SET manifest=? WHERE k=?", "ti", n->manifest, image);
    if (!n->leads)
        return 0;
    return store_exec(db, NULL, err,
                      "UPDATE image SET manifest=?1 WHERE k=?2 AND EXISTS(SELECT 1 FROM manifest m WHERE m.image=?2"
                      " AND m.digest=image.manifest AND m.made=1)",
                      "ti", n->manifest, image);
}

int store_manifest_put(struct store_db *db, int64_t image, const struct store_new_image *n, struct bh_err *err) {
    int64_t blob;
    int64_t k;
    bool found;

    if (store_get_int(db, &k, &found, err, "SELECT k FROM manifest WHERE image=? AND digest=?", "it", image,
                      n->manifest) != 0)
        return err->code;
    if (found)
        return n->made ? lead(db, image, n, err) : 0;
    if (store_blob_find(db, n->manifest, &blob, &found, err) != 0)
        return err->code;
    if (!found)
        return bh_err_set(err, BH_E_INTERNAL, "manifest %s has no row", n->manifest);
    if (store_exec(db, NULL, err,
                   "INSERT INTO manifest(image, digest, blob, media, config_media, made) VALUES(?,?,?,?,?,?)", "ititti",
                   image, n->manifest, blob, n->manifest_media, n->config_media, (int64_t)n->made) != 0)
        return err->code;
    k = store_last_id(db);
    for (size_t i = 0; i < n->n_layers; i++)
        if (store_exec(db, NULL, err,
                       "INSERT INTO manifest_layer(manifest, pos, digest, size, media) VALUES(?,?,?,?,?)", "iitit", k,
                       (int64_t)i, n->layers[i].digest, (int64_t)n->layers[i].size, n->layers[i].media) != 0)
            return err->code;
    return lead(db, image, n, err);
}

static int other_put(struct store_db *db, int64_t image, const struct store_new_image *n, struct bh_err *err) {
    int64_t blob;
    bool found;

    if (n->other[0] == '\0')
        return 0;
    if (store_blob_find(db, n->other, &blob, &found, err) != 0 || !found)
        return err->code;
    if (store_exec(db, NULL, err, "INSERT OR IGNORE INTO image_blob(image, blob) VALUES(?,?)", "ii", image, blob) != 0)
        return err->code;
    return store_exec(db, NULL, err, "INSERT OR REPLACE INTO index_image(idx, image, manifest, media) VALUES(?,?,?,?)",
                      "titt", n->other, image, n->manifest, n->other_media);
}

int store_image_put(struct store_db *db, uid_t owner, const struct store_new_image *n, int64_t *out_k,
                    struct bh_err *err) {
    const char *config = n->config_digest != NULL ? n->config_digest : n->id;
    int64_t config_blob;
    int64_t k;
    bool found;

    if (store_blob_find(db, config, &config_blob, &found, err) != 0)
        return err->code;
    if (!found)
        return bh_err_set(err, BH_E_INTERNAL, "config %s has no row", config);
    if (store_get_int(db, &k, &found, err, "SELECT k FROM image WHERE owner=? AND id=?", "it", (int64_t)owner, n->id) !=
        0)
        return err->code;
    if (found) {
        if (!n->part && store_exec(db, NULL, err, "UPDATE image SET state=0 WHERE k=? AND state<>0", "i", k) != 0)
            return err->code;
    } else if (image_insert(db, owner, n, config_blob, &k, err) != 0 || image_add_layers(db, k, n->config, err) != 0 ||
               artifact_size(db, k, n, err) != 0) {
        return err->code;
    }
    if (store_manifest_put(db, k, n, err) != 0 || other_put(db, k, n, err) != 0)
        return err->code;
    *out_k = k;
    return 0;
}

/* ---- reading one --------------------------------------------------------------------------- */

int store_image_reduced(struct store_db *db, int64_t k, struct bh_arena *arena, const void **out, size_t *out_n,
                        struct bh_err *err) {
    sqlite3_stmt *st;
    void *copy;
    int r;

    if (store_query(db, &st, err, "SELECT reduced FROM image WHERE k=?", "i", k) != 0)
        return err->code;
    r = store_step(db, st, err);
    if (r <= 0)
        return r < 0 ? r : bh_err_set(err, BH_E_NOT_FOUND, "the image has just been removed");
    *out_n = (size_t)sqlite3_column_bytes(st, 0);
    copy = bh_oci_alloc(arena, *out_n + 1, err);
    if (copy != NULL && *out_n > 0)
        memcpy(copy, sqlite3_column_blob(st, 0), *out_n);
    sqlite3_reset(st);
    if (copy == NULL)
        return err->code;
    *out = copy;
    return 0;
}

int store_image_layers(struct store_db *db, int64_t k, struct bh_arena *arena, struct store_image_layer **out,
                       size_t *out_n, struct bh_err *err) {
    struct store_image_layer *v;
    sqlite3_stmt *st;
    int64_t n;
    size_t i = 0;
    int r;

    if (store_get_int(db, &n, NULL, err, "SELECT count(*) FROM image_layer WHERE image=?", "i", k) != 0 ||
        store_query(db, &st, err,
                    "SELECT l.diff_id, l.tar_size, ifnull(l.content,l.tar_size) FROM image_layer il JOIN layer l ON "
                    "l.k=il.layer"
                    " WHERE il.image=? ORDER BY il.pos",
                    "i", k) != 0)
        return err->code;
    v = bh_oci_alloc(arena, ((size_t)n + 1) * sizeof *v, err);
    if (v == NULL)
        return err->code;
    while ((r = store_step(db, st, err)) > 0 && i < (size_t)n) {
        v[i].diff_id = bh_oci_strdup(arena, store_text(st, 0), strlen(store_text(st, 0)), err);
        v[i].tar_size = (uint64_t)sqlite3_column_int64(st, 1);
        v[i].content = (uint64_t)sqlite3_column_int64(st, 2);
        if (v[i++].diff_id == NULL)
            return err->code;
    }
    if (r < 0)
        return r;
    *out = v;
    *out_n = i;
    return 0;
}

static const char *column_dup(sqlite3_stmt *st, int column, struct bh_arena *arena, struct bh_err *err) {
    const char *s = store_text(st, column);

    return bh_oci_strdup(arena, s, strlen(s), err);
}

static int manifest_layers(struct store_db *db, struct bh_arena *arena, struct store_manifest *m, struct bh_err *err) {
    sqlite3_stmt *st;
    int64_t n;
    int r;

    if (store_get_int(db, &n, NULL, err, "SELECT count(*) FROM manifest_layer WHERE manifest=?", "i", m->k) != 0 ||
        store_query(db, &st, err, "SELECT digest, size, media FROM manifest_layer WHERE manifest=? ORDER BY pos", "i",
                    m->k) != 0)
        return err->code;
    m->layers = bh_oci_alloc(arena, ((size_t)n + 1) * sizeof *m->layers, err);
    if (m->layers == NULL)
        return err->code;
    while ((r = store_step(db, st, err)) > 0 && m->n_layers < (size_t)n) {
        struct store_desc *d = &m->layers[m->n_layers++];

        d->digest = column_dup(st, 0, arena, err);
        d->size = (uint64_t)sqlite3_column_int64(st, 1);
        d->media = column_dup(st, 2, arena, err);
        if (d->digest == NULL || d->media == NULL)
            return err->code;
    }
    return r < 0 ? r : 0;
}

int store_manifest_get(struct store_db *db, int64_t image, const char *digest, struct bh_arena *arena,
                       struct store_manifest *out, struct bh_err *err) {
    struct store_manifest m = {0};
    sqlite3_stmt *st;
    int r;

    if (store_query(db, &st, err,
                    "SELECT m.k, m.digest, b.size, m.media, m.config_media, c.digest, c.size, m.made FROM image i"
                    " JOIN manifest m ON m.image=i.k AND m.digest=CASE ?2 WHEN '' THEN i.manifest ELSE ?2 END"
                    " JOIN blob b ON b.k=m.blob JOIN blob c ON c.k=i.config WHERE i.k=?1",
                    "it", image, digest) != 0)
        return err->code;
    r = store_step(db, st, err);
    if (r <= 0)
        return r < 0 ? r : bh_err_set(err, BH_E_DATA_LOSS, "an image has no manifest: run `bulkhead system check`");
    m.k = sqlite3_column_int64(st, 0);
    m.digest = column_dup(st, 1, arena, err);
    m.size = (uint64_t)sqlite3_column_int64(st, 2);
    m.media = column_dup(st, 3, arena, err);
    m.config_media = column_dup(st, 4, arena, err);
    m.config = column_dup(st, 5, arena, err);
    m.config_size = (uint64_t)sqlite3_column_int64(st, 6);
    m.made = sqlite3_column_int64(st, 7) != 0;
    sqlite3_reset(st);
    if (m.digest == NULL || m.media == NULL || m.config_media == NULL || m.config == NULL ||
        manifest_layers(db, arena, &m, err) != 0)
        return err->code;
    *out = m;
    return 0;
}
