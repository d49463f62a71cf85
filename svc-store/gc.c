/*
 * gc.c - see gc.h.
 */
#include "gc.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "partial.h"
#include "place.h"

void store_gc_result_fini(struct store_gc_result *r) {
    free(r->layers);
    *r = (struct store_gc_result){0};
}

void store_tidy_share(struct store *s) {
    pthread_rwlock_rdlock(&s->tidy);
}
void store_tidy_begin(struct store *s) {
    pthread_rwlock_wrlock(&s->tidy);
}
void store_tidy_end(struct store *s) {
    pthread_rwlock_unlock(&s->tidy);
}

/* No container has it, no name has an index that it belongs to, and no build is under way with it. */
#define STORE_UNUSED                                                                                                   \
    "state=1 AND NOT EXISTS(SELECT 1 FROM container c WHERE c.image=image.k)"                                          \
    " AND NOT EXISTS(SELECT 1 FROM index_image x JOIN name n ON n.idx=x.idx WHERE x.image=image.k"                     \
    "  AND n.idx<>'' AND n.owner=image.owner)"                                                                         \
    " AND NOT EXISTS(SELECT 1 FROM lease_item li JOIN lease l ON l.k=li.lease"                                         \
    "  WHERE li.digest=image.id AND li.kind=3 AND l.owner=image.owner)"

/* ---- marking ------------------------------------------------------------------------------- */

static int drop_kept_images(struct store_db *db, struct bh_err *err) {
    return store_exec(db, NULL, err, "DELETE FROM image WHERE " STORE_UNUSED, "");
}

void store_gc_kept(struct store *s) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct bh_err err = BH_ERR_INIT;
    int64_t n = 0;
    int r = store_read_begin(s->index, &db, &err);

    if (r == 0)
        r = store_get_int(db, &n, NULL, &err, "SELECT count(*) FROM image WHERE " STORE_UNUSED, "");
    if (r != 0)
        bh_log_err("collect-failed", &err);
    store_read_scope(&db);
    db = NULL;
    if (n > 0)
        store_gc_now(s);
}

static int mark_layers(struct store_db *db, struct bh_err *err) {
    return store_exec(db, NULL, err,
                      "UPDATE layer SET state=2 WHERE state IN (0,3)"
                      " AND NOT EXISTS(SELECT 1 FROM image_layer il WHERE il.layer=layer.k)"
                      " AND NOT EXISTS(SELECT 1 FROM cache_layer cl WHERE cl.layer=layer.k)"
                      " AND NOT EXISTS(SELECT 1 FROM lease_item li JOIN lease l ON l.k=li.lease"
                      "  WHERE li.digest=layer.diff_id AND li.kind=1 AND l.expires_ns>?)",
                      "i", bh_now_ns());
}

static int mark_blobs(struct store_db *db, struct bh_err *err) {
    return store_exec(db, NULL, err,
                      "UPDATE blob SET state=2 WHERE state IN (0,3)"
                      " AND NOT EXISTS(SELECT 1 FROM image i WHERE i.config=blob.k)"
                      " AND NOT EXISTS(SELECT 1 FROM manifest m WHERE m.blob=blob.k)"
                      " AND NOT EXISTS(SELECT 1 FROM manifest_layer ml WHERE ml.digest=blob.digest)"
                      " AND NOT EXISTS(SELECT 1 FROM image_blob ib WHERE ib.blob=blob.k)"
                      " AND NOT EXISTS(SELECT 1 FROM lease_item li JOIN lease l ON l.k=li.lease"
                      "  WHERE li.digest=blob.digest AND li.kind=2 AND l.expires_ns>?)",
                      "i", bh_now_ns());
}

int store_gc_mark(struct store_db *db, struct bh_err *err) {
    if (drop_kept_images(db, err) != 0 || mark_layers(db, err) != 0 || mark_blobs(db, err) != 0)
        return err->code;
    return 0;
}

/* ---- sweeping ------------------------------------------------------------------------------ */

struct marked {
    struct store_gone *v;
    size_t n;
};

static int list_marked(struct store *s, const char *sql, struct marked *out, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    sqlite3_stmt *st;
    size_t cap = 0;
    int r;

    if (store_read_begin(s->index, &db, err) != 0 || store_query(db, &st, err, sql, "") != 0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0) {
        if (out->n == cap) {
            cap = cap * 2 + 16;
            out->v = bh_xrealloc(out->v, cap * sizeof *out->v);
        }
        out->v[out->n] = (struct store_gone){.bytes = 0};
        bh_str_copy(out->v[out->n++].digest, sizeof out->v->digest, store_text(st, 0));
    }
    return r < 0 ? r : 0;
}

static int unlink_all(struct store *s, enum store_tree tree, struct marked *m, uint64_t *reclaimed,
                      struct bh_err *err) {
    for (size_t i = 0; i < m->n; i++) {
        uint64_t size;

        if (!store_file_stat(&s->place, tree, m->v[i].digest, &size, &m->v[i].bytes))
            m->v[i].bytes = 0;
        if (store_file_unlink(&s->place, tree, m->v[i].digest, err) != 0)
            return err->code;
        *reclaimed += m->v[i].bytes;
    }
    return 0;
}

static int delete_rows(struct store *s, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(s->index, STORE_LAZY | STORE_RESERVE, &db, err) != 0 ||
        store_exec(db, NULL, err, "DELETE FROM layer WHERE state=2", "") != 0 ||
        store_exec(db, NULL, err, "DELETE FROM blob WHERE state=2", "") != 0)
        return err->code;
    return store_write_commit(&db, err);
}

static int sweep(struct store *s, struct marked *layers, struct marked *blobs, uint64_t *reclaimed,
                 struct bh_err *err) {
    /* the topmost layer came last: tell it first, as docker does */
    if (list_marked(s, "SELECT diff_id FROM layer WHERE state=2 ORDER BY k DESC", layers, err) != 0 ||
        list_marked(s, "SELECT digest FROM blob WHERE state=2", blobs, err) != 0)
        return err->code;
    if (layers->n + blobs->n == 0)
        return 0;
    if (unlink_all(s, STORE_LAYERS, layers, reclaimed, err) != 0 ||
        unlink_all(s, STORE_BLOBS, blobs, reclaimed, err) != 0 || delete_rows(s, err) != 0)
        return err->code;
    store_reserve_restore(&s->place);
    return 0;
}

uint64_t store_removals(struct store *s) {
    return __atomic_load_n(&s->removals, __ATOMIC_ACQUIRE);
}

int store_gc_sweep(struct store *s, struct store_gc_result *out, struct bh_err *err) {
    struct marked layers = {0};
    struct marked blobs = {0};
    uint64_t reclaimed = 0;

    __atomic_add_fetch(&s->removals, 1, __ATOMIC_ACQ_REL);
    if (sweep(s, &layers, &blobs, &reclaimed, err) != 0) {
        free(layers.v);
        free(blobs.v);
        return err->code;
    }
    free(blobs.v);
    *out = (struct store_gc_result){
        .layers = layers.v, .n_layers = layers.n, .reclaimed = reclaimed, .blobs = (unsigned)blobs.n};
    return 0;
}

static int gc_now(struct store *s, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    struct store_gc_result result = {0};

    if (store_write_begin(s->index, STORE_LAZY | STORE_RESERVE, &db, err) != 0 || store_gc_mark(db, err) != 0 ||
        store_write_commit(&db, err) != 0 || store_gc_sweep(s, &result, err) != 0)
        return err->code;
    if (result.n_layers + result.blobs > 0)
        bh_log(BH_LOG_INFO, "collected", "layers=%zu blobs=%u bytes=%llu", result.n_layers, result.blobs,
               (unsigned long long)result.reclaimed);
    store_gc_result_fini(&result);
    return 0;
}

void store_gc_now(struct store *s) {
    const struct store_who all = {.all = true};
    struct store_partials gone;
    struct bh_err err = BH_ERR_INIT;

    store_tidy_begin(s);
    if (gc_now(s, &err) != 0)
        bh_log_err("collect-failed", &err);
    store_tidy_end(s);
    bh_err_clear(&err);
    if (store_partial_sweep(s, &all, false, &gone, &err) != 0)
        bh_log_err("collect-failed", &err);
}
