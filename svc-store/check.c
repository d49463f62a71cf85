/*
 * check.c - see check.h.
 *
 * Room: store.  Rows are taken from one snapshot; files come and go while the check runs, so what looks
 * wrong is looked at once more with the collector held off before it is told.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "gc.h"
#include "image.h"
#include "layer.h"
#include "layer/layer_check.h"
#include "name.h"
#include "place.h"
#include "remove.h"

struct object {
    enum store_tree tree;
    char digest[STORE_DIGEST_SIZE];
    uint64_t size; /* of the file */
    uint64_t tar_size;
};

/* Told only when no lock and no snapshot is held: a slow client must not hold up the store. */
struct waiting {
    struct waiting *next;
    const char *kind;
    char *object;
    char *text;
    bool repaired;
};

struct checking {
    struct store *s;
    struct waiting *first;
    struct waiting **last;
    const struct store_check *check;
    struct object *objects;
    size_t n;
    size_t cap;
    uint64_t checked;
    uint64_t findings;
    struct bh_err *err;
};

static int tell(struct checking *c, const char *kind, const char *object, const char *text, bool repaired,
                struct bh_err *err) {
    struct waiting *w = bh_xcalloc(1, sizeof *w);

    (void)err;
    c->findings++;
    w->kind = kind;
    w->object = bh_xstrdup(object);
    w->text = bh_xstrdup(text);
    w->repaired = repaired;
    *c->last = w;
    c->last = &w->next;
    return 0;
}

static int tell_waiting(struct checking *c, int r, struct bh_err *err) {
    struct waiting *w;

    while ((w = c->first) != NULL) {
        const struct store_finding f = {w->kind, w->object, w->text, w->repaired};

        if (r == 0 && c->check->found != NULL)
            r = c->check->found(c->check->arg, &f, err);
        c->first = w->next;
        free(w->object);
        free(w->text);
        free(w);
    }
    c->last = &c->first;
    return r;
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void note_object(struct checking *c, enum store_tree tree, sqlite3_stmt *st) {
    struct object *o;

    if (c->n == c->cap) {
        c->cap = c->cap * 2 + 64;
        c->objects = bh_xrealloc(c->objects, c->cap * sizeof *c->objects);
    }
    o = &c->objects[c->n++];
    *o = (struct object){
        .tree = tree, .size = (uint64_t)sqlite3_column_int64(st, 1), .tar_size = (uint64_t)sqlite3_column_int64(st, 2)};
    bh_str_copy(o->digest, sizeof o->digest, store_text(st, 0));
}

static int read_objects(struct checking *c, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    sqlite3_stmt *st;
    int r;

    if (store_read_begin(c->s->index, &db, err) != 0 ||
        store_query(db, &st, err,
                    "SELECT diff_id, file_size, tar_size FROM layer WHERE state IN (0,3) ORDER BY diff_id", "") != 0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0)
        note_object(c, STORE_LAYERS, st);
    if (r < 0 ||
        store_query(db, &st, err, "SELECT digest, size, 0 FROM blob WHERE state IN (0,3) ORDER BY digest", "") != 0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0)
        note_object(c, STORE_BLOBS, st);
    return r < 0 ? r : 0;
}

static int still_there(struct checking *c, const struct object *o, bool *out, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    int64_t k;

    if (store_read_begin(c->s->index, &db, err) != 0)
        return err->code;
    return o->tree == STORE_LAYERS
               ? store_get_int(db, &k, out, err, "SELECT k FROM layer WHERE diff_id=? AND state IN (0,3)", "t",
                               o->digest)
               : store_get_int(db, &k, out, err, "SELECT k FROM blob WHERE digest=? AND state IN (0,3)", "t",
                               o->digest);
}

/* ---- files --------------------------------------------------------------------------------- */

/* The reason why o is not what it says, or NULL. */
static const char *inspect_file(struct checking *c, const struct object *o, const char **out_kind, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;
    struct bh_layer_header h;
    struct stat st;
    char got[STORE_DIGEST_SIZE];

    *out_kind = "missing";
    if (store_file_open(&c->s->place, o->tree, o->digest, &fd, err) != 0)
        return err->code == BH_E_DATA_LOSS ? "its file is not there" : "its file cannot be opened";
    *out_kind = "corrupt";
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size != o->size)
        return "its file has another size";
    if (o->tree == STORE_LAYERS && bh_layer_open(fd, &h, err) != 0)
        return "its header does not fit the file";
    if (c->check->quick)
        return NULL;
    if (store_hash_range(fd, o->tree == STORE_LAYERS ? BH_LAYER_TAR_OFFSET : 0,
                         o->tree == STORE_LAYERS ? o->tar_size : o->size, o->digest, got, err) != 0)
        return "its file cannot be read";
    return strcmp(got, o->digest) == 0 ? NULL : "its content has another digest";
}

/* All images that need the broken object go, with their names; then the object itself. */
static int drop_users(struct checking *c, const struct object *o, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    struct store_removal removal = {0};
    struct bh_arena arena;
    int64_t k = 0;
    bool found = true;
    int r = 0;

    bh_arena_init(&arena, (size_t)16 << 20);
    if (store_write_begin(c->s->index, STORE_FULL | STORE_RESERVE, &db, err) != 0)
        r = err->code;
    while (r == 0 && found) {
        r = store_get_int(db, &k, &found, err,
                          "SELECT i.k FROM image i WHERE i.state=0 AND ("
                          " EXISTS(SELECT 1 FROM image_layer il JOIN layer l ON l.k=il.layer WHERE il.image=i.k"
                          "  AND l.diff_id=?1)"
                          " OR EXISTS(SELECT 1 FROM blob b WHERE b.digest=?1 AND (b.k=i.config OR EXISTS(SELECT 1 FROM"
                          "  manifest m WHERE m.image=i.k AND m.blob=b.k)))) LIMIT 1",
                          "t", o->digest);
        if (r == 0 && found)
            r = store_image_delete(db, k, &arena, &removal, err);
    }
    /* a kept compressed layer alone is no loss: saving falls back on the tar */
    if (r == 0 && o->tree == STORE_BLOBS)
        r = store_exec(db, NULL, err, "UPDATE blob SET state=2 WHERE digest=? AND kind=4", "t", o->digest);
    if (r == 0)
        r = store_gc_mark(db, err);
    if (r == 0)
        r = store_write_commit(&db, err);
    bh_arena_fini(&arena);
    return r;
}

static int repair_object(struct checking *c, const struct object *o, struct bh_err *err) {
    struct store_gc_result gone = {0};
    int r;

    store_tidy_begin(c->s);
    r = drop_users(c, o, err);
    if (r == 0)
        r = store_gc_sweep(c->s, &gone, err);
    store_tidy_end(c->s);
    store_gc_result_fini(&gone);
    return r;
}

static int check_object(struct checking *c, const struct object *o, struct bh_err *err) {
    struct bh_err why = BH_ERR_INIT;
    const char *kind;
    const char *text = inspect_file(c, o, &kind, &why);
    char full[160];
    bool there = true;

    c->checked++;
    if (text == NULL)
        return 0;
    store_tidy_share(c->s);
    still_there(c, o, &there, err);
    store_tidy_end(c->s);
    if (err->code != 0 || !there)
        return err->code;
    snprintf(full, sizeof full, "%s: %s", o->tree == STORE_LAYERS ? "layer" : "blob", text);
    if (c->check->repair && repair_object(c, o, err) != 0)
        return err->code;
    return tell(c, kind, o->digest, full, c->check->repair, err);
}

static int check_objects(struct checking *c, struct bh_err *err) {
    for (size_t i = 0; i < c->n; i++) {
        if (c->check->cancelled != NULL && c->check->cancelled(c->check->arg))
            return bh_err_set(err, BH_E_CANCELLED, "check: cancelled by the client");
        if (tell_waiting(c, check_object(c, &c->objects[i], err), err) != 0)
            return err->code;
    }
    return 0;
}

/* ---- strays -------------------------------------------------------------------------------- */

struct stray_list {
    struct checking *c;
    struct store_db *db;
    enum store_tree tree;
};

static int stray(void *arg, const char *digest, const char *path, uint64_t size) {
    struct stray_list *l = arg;
    struct bh_err *err = l->c->err;
    bool known = false;
    char text[80];
    int64_t k;

    l->c->checked++;
    if (digest != NULL &&
        (l->tree == STORE_LAYERS
             ? store_get_int(l->db, &k, &known, err, "SELECT k FROM layer WHERE diff_id=?", "t", digest)
             : store_get_int(l->db, &k, &known, err, "SELECT k FROM blob WHERE digest=?", "t", digest)) != 0)
        return err->code;
    if (known)
        return 0;
    if (l->c->check->repair && store_stray_unlink(&l->c->s->place, l->tree, path, err) != 0)
        return err->code;
    snprintf(text, sizeof text, "%llu bytes that the index does not know", (unsigned long long)size);
    return tell(l->c, "orphan", path, text, l->c->check->repair, err);
}

/* A row is there before its file and goes after it. */
static int stray_partial(void *arg, int64_t k, const char *name, uint64_t size) {
    struct stray_list *l = arg;
    struct bh_err *err = l->c->err;
    char path[280];
    char text[80];
    bool known = false;
    int64_t n;

    l->c->checked++;
    if (k >= 0 && store_get_int(l->db, &n, &known, err, "SELECT k FROM partial WHERE k=?", "i", k) != 0)
        return err->code;
    if (known)
        return 0;
    if (l->c->check->repair)
        unlinkat(l->c->s->place.partial_fd, name, 0);
    snprintf(path, sizeof path, "partial/%s", name);
    snprintf(text, sizeof text, "%llu bytes of a download that the index does not know", (unsigned long long)size);
    return tell(l->c, "orphan", path, text, l->c->check->repair, err);
}

/* With the collector and all publishing held off, so that file and row agree. */
static int check_strays(struct checking *c, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct stray_list l = {.c = c, .tree = STORE_LAYERS};

    if (store_read_begin(c->s->index, &db, err) != 0)
        return err->code;
    l.db = db;
    c->err = err;
    if (store_file_each(&c->s->place, STORE_LAYERS, stray, &l, err) != 0)
        return err->code;
    l.tree = STORE_BLOBS;
    if (store_file_each(&c->s->place, STORE_BLOBS, stray, &l, err) != 0)
        return err->code;
    return store_partial_each(&c->s->place, stray_partial, &l, err);
}

/* ---- names and images ---------------------------------------------------------------------- */

static int tell_rows(struct checking *c, struct store_db *db, const char *what, sqlite3_stmt *st, struct bh_err *err) {
    int r;

    while ((r = store_step(db, st, err)) > 0) {
        char object[BH_REF_TEXT_SIZE];

        bh_str_copy(object, sizeof object, store_text(st, 0));
        if (tell(c, "unresolved", object, what, false, err) != 0)
            return err->code;
    }
    return r;
}

static int check_rows(struct checking *c, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    sqlite3_stmt *st;
    int64_t n = 0;

    if (store_read_begin(c->s->index, &db, err) != 0 ||
        store_get_int(db, &n, NULL, err, "SELECT (SELECT count(*) FROM name) + (SELECT count(*) FROM image)", "") != 0)
        return err->code;
    c->checked += (uint64_t)n;
    if (store_query(
            db, &st, err,
            "SELECT n.repo || ':' || n.tag || n.digest FROM name n LEFT JOIN image i ON i.k=n.image AND i.state=0"
            " AND i.owner=n.owner WHERE i.k IS NULL",
            "") != 0 ||
        tell_rows(c, db, "name of an image that is not there", st, err) != 0)
        return err->code;
    if (store_query(db, &st, err,
                    "SELECT id FROM image i WHERE NOT EXISTS(SELECT 1 FROM manifest m WHERE m.image=i.k AND"
                    " m.digest=i.manifest)",
                    "") != 0 ||
        tell_rows(c, db, "image without its manifest", st, err) != 0)
        return err->code;
    if (store_query(db, &st, err,
                    "SELECT i.id FROM image i WHERE EXISTS(SELECT 1 FROM image_layer il JOIN layer l ON l.k=il.layer"
                    " WHERE il.image=i.k AND l.state=2)",
                    "") != 0)
        return err->code;
    return tell_rows(c, db, "image with a layer that is going", st, err);
}

static int check_all(struct checking *c, struct bh_err *err) {
    int r;

    if (tell_waiting(c, check_rows(c, err), err) != 0 || read_objects(c, err) != 0 || check_objects(c, err) != 0)
        return err->code;
    store_tidy_begin(c->s);
    r = check_strays(c, err);
    store_tidy_end(c->s);
    return tell_waiting(c, r, err);
}

int store_check(struct store *s, const struct store_check *check, uint64_t *out_checked, uint64_t *out_findings,
                struct bh_err *err) {
    struct checking c = {.s = s, .check = check};
    int r;

    c.last = &c.first;
    r = check_all(&c, err);
    free(c.objects);
    *out_checked = c.checked;
    *out_findings = c.findings;
    return r;
}
