/*
 * cache.c - see cache.h.
 *
 * Records and their layers are rows; the collector (gc.c) sees a layer of a record as in use.  A key is the build
 * room's business: nothing here depends on what it means.
 */
#include "cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "compose.h"
#include "context.h"
#include "gc.h"
#include "index.h"
#include "lease.h"
#include "lost.h"
#include "place.h"

#define DESCRIPTION_MAX 1024

/* ---- getting ------------------------------------------------------------------------------- */

static int check_key(const char *key, struct bh_err *err) {
    if (key[0] == '\0' || strlen(key) > STORE_CACHE_KEY_MAX)
        return bh_err_set(err, BH_E_INVALID, "a cache key has 1 to %d bytes", STORE_CACHE_KEY_MAX);
    return 0;
}

static int read_note(struct store_db *db, int64_t k, struct bh_arena *arena, struct store_cached *out,
                     struct bh_err *err) {
    sqlite3_stmt *st;
    void *copy;

    if (store_query(db, &st, err, "SELECT note FROM cache WHERE k=?", "i", k) != 0 || store_step(db, st, err) < 0)
        return err->code;
    out->n_note = (size_t)sqlite3_column_bytes(st, 0);
    copy = bh_oci_alloc(arena, out->n_note + 1, err);
    if (copy != NULL && out->n_note > 0)
        memcpy(copy, sqlite3_column_blob(st, 0), out->n_note);
    sqlite3_reset(st);
    out->note = copy;
    return err->code;
}

static int read_layers(struct store_db *db, int64_t k, struct bh_arena *arena, struct store_cached *out,
                       struct bh_err *err) {
    sqlite3_stmt *st;
    int64_t n;
    int r;

    if (store_get_int(db, &n, NULL, err, "SELECT count(*) FROM cache_layer WHERE cache=?", "i", k) != 0)
        return err->code;
    out->diff_ids = bh_oci_alloc(arena, ((size_t)n + 1) * sizeof(char *), err);
    if (out->diff_ids == NULL ||
        store_query(db, &st, err,
                    "SELECT l.diff_id FROM cache_layer cl JOIN layer l ON l.k=cl.layer WHERE cl.cache=? AND l.state=0"
                    " ORDER BY cl.pos",
                    "i", k) != 0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0 && out->n_diff_ids < (size_t)n) {
        const char *id = bh_oci_strdup(arena, store_text(st, 0), strlen(store_text(st, 0)), err);

        if (id == NULL)
            return err->code;
        out->diff_ids[out->n_diff_ids++] = (char *)id;
    }
    if (r < 0)
        return r;
    sqlite3_reset(st);
    out->found = out->n_diff_ids == (size_t)n; /* one that was found to be damaged is no use */
    return 0;
}

static int lease_layers(struct store_db *db, int64_t lease, const struct store_cached *c, struct bh_err *err) {
    for (size_t i = 0; i < c->n_diff_ids; i++)
        if (store_lease_add(db, lease, STORE_LEASE_LAYER, c->diff_ids[i], err) != 0)
            return err->code;
    return 0;
}

int store_cache_get(struct store *s, const struct store_who *who, int64_t lease, const char *key,
                    struct bh_arena *arena, struct store_cached *out, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    bool found;
    int64_t k;

    *out = (struct store_cached){.found = false};
    if (check_key(key, err) != 0 || store_write_begin(s->index, STORE_LAZY, &db, err) != 0 ||
        store_get_int(db, &k, &found, err, "SELECT k FROM cache WHERE owner=? AND key=?", "it", (int64_t)who->owner,
                      key) != 0)
        return err->code;
    if (!found)
        return 0;
    if (read_layers(db, k, arena, out, err) != 0)
        return err->code;
    if (!out->found) {
        *out = (struct store_cached){.found = false};
        if (store_exec(db, NULL, err, "DELETE FROM cache WHERE k=?", "i", k) != 0)
            return err->code;
        return store_write_commit(&db, err);
    }
    if (read_note(db, k, arena, out, err) != 0 || lease_layers(db, lease, out, err) != 0 ||
        store_exec(db, NULL, err, "UPDATE cache SET last_used_ns=?, uses=uses+1 WHERE k=?", "ii", bh_now_ns(), k) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

/* ---- putting ------------------------------------------------------------------------------- */

static int check_new(const struct store_cache_new *c, struct bh_err *err) {
    static const char *const kinds[] = {"regular", "exec.cachemount", "source.local", "frontend", "internal"};

    if (check_key(c->key, err) != 0)
        return err->code;
    if (c->n_note > STORE_CACHE_NOTE_MAX)
        return bh_err_set(err, BH_E_LIMIT, "a cache note of %zu bytes, at most %zu", c->n_note, STORE_CACHE_NOTE_MAX);
    for (size_t i = 0; i < BH_ARRAY_LEN(kinds); i++)
        if (strcmp(c->kind, kinds[i]) == 0)
            return 0;
    return bh_err_set(err, BH_E_INVALID, "no such kind of cache: %.40s", c->kind);
}

static int put_layers(struct store_db *db, int64_t k, const struct store_cache_new *c, struct bh_err *err) {
    for (size_t i = 0; i < c->n_diff_ids; i++) {
        int64_t changes;

        if (store_exec(db, &changes, err,
                       "INSERT INTO cache_layer(cache, pos, layer) SELECT ?1, ?2, k FROM layer WHERE diff_id=?3 AND"
                       " state=0",
                       "iit", k, (int64_t)i, c->diff_ids[i]) != 0)
            return err->code;
        if (changes == 0)
            return bh_err_set(err, BH_E_NOT_FOUND, "layer %.80s is not here", c->diff_ids[i]);
    }
    return 0;
}

static int put_record(struct store_db *db, const struct store_who *who, const struct store_cache_new *c,
                      struct bh_err *err) {
    char description[DESCRIPTION_MAX];
    int64_t now = bh_now_ns();

    bh_str_copy(description, sizeof description, c->description);
    if (store_exec(db, NULL, err,
                   "INSERT INTO cache(owner, key, kind, note, description, created_ns, last_used_ns, uses)"
                   " VALUES(?,?,?,?,?,?,?,1)",
                   "ittbtii", (int64_t)who->owner, c->key, c->kind, c->note, c->n_note, (const char *)description, now,
                   now) != 0)
        return err->code;
    return put_layers(db, store_last_id(db), c, err);
}

int store_cache_put(struct store *s, const struct store_who *who, int64_t lease, const struct store_cache_new *c,
                    bool *out_stays, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    bool found;
    int64_t k;

    if (check_new(c, err) != 0 || store_layers_claim(s, who, lease, c->diff_ids, c->n_diff_ids, err) != 0 ||
        store_write_begin(s->index, STORE_LAZY, &db, err) != 0 ||
        store_get_int(db, &k, &found, err, "SELECT k FROM cache WHERE owner=? AND key=?", "it", (int64_t)who->owner,
                      c->key) != 0)
        return err->code;
    *out_stays = found && !c->replace;
    if (*out_stays)
        return 0;
    if ((found && store_exec(db, NULL, err, "DELETE FROM cache WHERE k=?", "i", k) != 0) ||
        put_record(db, who, c, err) != 0 || store_write_commit(&db, err) != 0)
        return err->code;
    store_cache_budget(s);
    return 0;
}

/* ---- listing ------------------------------------------------------------------------------- */

static const char *const known_filters[] = {"until",  "unused-for", "id",      "type", "description",
                                            "shared", "inuse",      "parents", NULL};

struct listing {
    struct bh_arena *arena;
    struct store_cache_record *v;
    size_t n;
    size_t cap;
};

static int add_record(struct listing *l, const struct store_cache_record *r, struct bh_err *err) {
    if (l->n == l->cap) {
        size_t cap = l->cap * 2 + 64;
        struct store_cache_record *v = bh_oci_alloc(l->arena, cap * sizeof *v, err);

        if (v == NULL)
            return err->code;
        if (l->n > 0)
            memcpy(v, l->v, l->n * sizeof *v);
        l->v = v;
        l->cap = cap;
    }
    struct store_cache_record *to = &l->v[l->n];

    *to = *r;
    to->id = bh_oci_strdup(l->arena, r->id, strlen(r->id), err);
    to->kind = bh_oci_strdup(l->arena, r->kind, strlen(r->kind), err);
    to->description = bh_oci_strdup(l->arena, r->description, strlen(r->description), err);
    if (to->id == NULL || to->kind == NULL || to->description == NULL)
        return err->code;
    l->n++;
    return 0;
}

static int list_rows(struct store_db *db, const struct store_who *who, struct listing *l, struct bh_err *err) {
    sqlite3_stmt *st;
    int r;

    if (store_query(db, &st, err,
                    "SELECT c.k, c.owner, c.key, c.kind, c.description, c.created_ns, c.last_used_ns, c.uses,"
                    " (SELECT ifnull(sum(l.file_size),0) FROM cache_layer cl JOIN layer l ON l.k=cl.layer"
                    "  WHERE cl.cache=c.k),"
                    " EXISTS(SELECT 1 FROM cache_layer cl JOIN image_layer il ON il.layer=cl.layer WHERE cl.cache=c.k),"
                    " EXISTS(SELECT 1 FROM cache_layer cl JOIN layer l ON l.k=cl.layer JOIN lease_item li"
                    "  ON li.digest=l.diff_id AND li.kind=1 WHERE cl.cache=c.k)"
                    " FROM cache c WHERE ?1 OR c.owner=?2",
                    "ii", (int64_t)who->all, (int64_t)who->owner) != 0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0) {
        const struct store_cache_record rec = {
            .k = sqlite3_column_int64(st, 0),
            .owner = (uid_t)sqlite3_column_int64(st, 1),
            .id = store_text(st, 2),
            .kind = store_text(st, 3),
            .description = store_text(st, 4),
            .created_ns = sqlite3_column_int64(st, 5),
            .used_ns = sqlite3_column_int64(st, 6),
            .uses = (uint32_t)sqlite3_column_int64(st, 7),
            .size = (uint64_t)sqlite3_column_int64(st, 8),
            .shared = sqlite3_column_int(st, 9) != 0,
            .in_use = sqlite3_column_int(st, 10) != 0,
        };

        if (add_record(l, &rec, err) != 0)
            return err->code;
    }
    return r < 0 ? r : 0;
}

static int list_contexts(struct store *s, struct store_db *db, const struct store_who *who, struct listing *l,
                         struct bh_err *err) {
    size_t n;
    BH_SCOPE_FREE struct store_context_info *v = store_context_list(s, who, &n);

    for (size_t i = 0; i < n; i++) {
        bool leased;
        int64_t k;

        if (store_get_int(db, &k, &leased, err, "SELECT k FROM lease WHERE k=?", "i", v[i].lease) != 0)
            return err->code;
        char text[192] = "local source ";
        const struct store_cache_record rec = {
            .owner = v[i].owner,
            .id = v[i].id,
            .kind = "source.local",
            .description = text,
            .created_ns = v[i].created_ns,
            .used_ns = v[i].used_ns,
            .uses = v[i].uses,
            .size = v[i].bytes,
            .in_use = v[i].in_use || leased,
        };

        strncat(text, v[i].key, sizeof text - strlen(text) - 1);
        if (add_record(l, &rec, err) != 0)
            return err->code;
    }
    return 0;
}

/* What a filter says of a record; keys are known, times have been read. */
static int passes(const struct store_cache_record *r, const struct store_filter *f, bool *out, struct bh_err *err) {
    int64_t before;

    if (strcmp(f->key, "until") == 0 || strcmp(f->key, "unused-for") == 0) {
        if (!store_filter_time(f->value, &before)) {
            bh_err_set(err, BH_E_INVALID, "filter %s=%.60s: neither a time nor a duration like 24h", f->key, f->value);
            return bh_err_reason(err, "invalid-filter");
        }
        *out = r->used_ns <= before;
    } else if (strcmp(f->key, "id") == 0) {
        *out =
            bh_str_starts(r->id, f->value) || (bh_str_starts(r->id, "sha256:") && bh_str_starts(r->id + 7, f->value));
    } else if (strcmp(f->key, "type") == 0) {
        *out = strcmp(r->kind, f->value) == 0;
    } else if (strcmp(f->key, "description") == 0) {
        *out = strstr(r->description, f->value) != NULL;
    } else if (strcmp(f->key, "shared") == 0) {
        *out = r->shared == (strcmp(f->value, "false") != 0);
    } else if (strcmp(f->key, "inuse") == 0) {
        *out = r->in_use == (strcmp(f->value, "false") != 0);
    } else {
        *out = false;
    }
    return 0;
}

/* Different keys AND, the same key ORs. */
static int passes_all(const struct store_cache_record *r, const struct store_filters *f, bool *out,
                      struct bh_err *err) {
    *out = true;
    for (size_t i = 0; i < f->n && *out; i++) {
        bool any = false;

        for (size_t k = 0; k < f->n && !any; k++)
            if (strcmp(f->v[k].key, f->v[i].key) == 0 && passes(r, &f->v[k], &any, err) != 0)
                return err->code;
        *out = any;
    }
    return 0;
}

static int by_use(const void *a, const void *b) {
    const struct store_cache_record *x = a;
    const struct store_cache_record *y = b;

    if (x->used_ns != y->used_ns)
        return x->used_ns < y->used_ns ? -1 : 1;
    return strcmp(x->id, y->id);
}

static int list_all(struct store *s, struct store_db *db, const struct store_who *who,
                    const struct store_filters *filters, struct listing *l, struct bh_err *err) {
    size_t n = 0;

    if (store_filter_check(filters, known_filters, err) != 0 || list_rows(db, who, l, err) != 0 ||
        list_contexts(s, db, who, l, err) != 0)
        return err->code;
    for (size_t i = 0; i < l->n; i++) {
        bool keep;

        if (passes_all(&l->v[i], filters, &keep, err) != 0)
            return err->code;
        if (keep)
            l->v[n++] = l->v[i];
    }
    l->n = n;
    if (n > 1)
        qsort(l->v, n, sizeof *l->v, by_use);
    return 0;
}

int store_cache_list(struct store *s, const struct store_who *who, const struct store_filters *filters,
                     struct bh_arena *arena, struct store_cache_record **out, size_t *out_n, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct listing l = {.arena = arena};

    if (store_read_begin(s->index, &db, err) != 0 || list_all(s, db, who, filters, &l, err) != 0)
        return err->code;
    *out = l.v;
    *out_n = l.n;
    return 0;
}

/* ---- pruning ------------------------------------------------------------------------------- */

static bool may_go(const struct store_cache_record *r, bool all) {
    return !r->in_use && (all || !r->shared);
}

/* Chooses, least used first, until no more than keep_bytes are left; 0: all of them. */
static void choose(struct listing *l, const struct store_cache_prune *p) {
    uint64_t left = 0;
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        left += l->v[i].size;
    for (size_t i = 0; i < l->n && (p->keep_bytes == 0 || left > p->keep_bytes); i++) {
        if (!may_go(&l->v[i], p->all))
            continue;
        left -= l->v[i].size;
        l->v[n++] = l->v[i];
    }
    l->n = n;
}

static int delete_chosen(struct store *s, struct store_db *db, const struct listing *l, struct bh_err *err) {
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].k == 0)
            store_context_drop(s, l->v[i].owner, l->v[i].id);
        else if (store_exec(db, NULL, err, "DELETE FROM cache WHERE k=?", "i", l->v[i].k) != 0)
            return err->code;
    }
    return 0;
}

static int prune_rows(struct store *s, const struct store_cache_prune *p, struct listing *l, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(s->index, STORE_LAZY | STORE_RESERVE, &db, err) != 0 ||
        list_all(s, db, &p->who, p->filters, l, err) != 0)
        return err->code;
    choose(l, p);
    if (p->dry_run)
        return 0;
    if (delete_chosen(s, db, l, err) != 0 || store_gc_mark(db, err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

int store_cache_prune(struct store *s, const struct store_cache_prune *p, struct bh_arena *arena,
                      struct store_cache_record **out, size_t *out_n, uint64_t *out_bytes, struct bh_err *err) {
    struct listing l = {.arena = arena};
    struct store_gc_result gone = {0};
    struct bh_err later = BH_ERR_INIT;

    store_tidy_begin(s);
    if (prune_rows(s, p, &l, err) == 0 && !p->dry_run && store_gc_sweep(s, &gone, &later) != 0)
        bh_log_err("sweep-failed", &later);
    store_tidy_end(s);
    store_gc_result_fini(&gone);
    if (err->code != 0)
        return err->code;
    *out_bytes = 0;
    for (size_t i = 0; i < l.n; i++)
        *out_bytes += l.v[i].shared ? 0 : l.v[i].size;
    *out = l.v;
    *out_n = l.n;
    return 0;
}

/* ---- start --------------------------------------------------------------------------------- */

int store_cache_recover(struct store *s, struct bh_err *err) {
    return store_lost_forget(s,
                             "SELECT l.k, 1, l.diff_id FROM layer l"
                             " WHERE EXISTS(SELECT 1 FROM cache_layer cl WHERE cl.layer=l.k)",
                             "DELETE FROM cache WHERE k IN (SELECT cache FROM cache_layer WHERE layer=?)", err);
}

/* ---- the budget ---------------------------------------------------------------------------- */

static uint64_t budget_of(struct store *s) {
    uint64_t set = store_options_now(s).max_cache;
    struct statvfs v;
    uint64_t part;

    if (set != 0)
        return set;
    if (fstatvfs(s->place.root_fd, &v) != 0)
        return STORE_CACHE_BUDGET;
    part = (uint64_t)v.f_blocks * v.f_frsize / 5;
    return part < STORE_CACHE_BUDGET ? part : STORE_CACHE_BUDGET;
}

static int total_of(struct store *s, uint64_t *out, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    int64_t n;

    if (store_read_begin(s->index, &db, err) != 0 ||
        store_get_int(db, &n, NULL, err,
                      "SELECT ifnull(sum(file_size),0) FROM layer WHERE EXISTS(SELECT 1 FROM cache_layer cl WHERE"
                      " cl.layer=layer.k)",
                      "") != 0)
        return err->code;
    *out = (uint64_t)n;
    return 0;
}

void store_cache_budget(struct store *s) {
    static const struct store_filters none = {NULL, 0};
    struct store_cache_prune p = {.who = {.all = true}, .filters = &none, .all = true};
    struct store_cache_record *v;
    struct bh_err err = BH_ERR_INIT;
    struct bh_arena arena;
    uint64_t total;
    uint64_t bytes;
    size_t n;

    p.keep_bytes = budget_of(s);
    if (total_of(s, &total, &err) == 0 && total > p.keep_bytes) {
        p.keep_bytes -= p.keep_bytes / 10; /* not again at the next step */
        bh_arena_init(&arena, (size_t)64 << 20);
        if (store_cache_prune(s, &p, &arena, &v, &n, &bytes, &err) == 0 && n > 0)
            bh_log(BH_LOG_INFO, "cache-pruned", "records=%zu bytes=%llu", n, (unsigned long long)bytes);
        bh_arena_fini(&arena);
    }
    if (err.code != 0)
        bh_log_err("cache-budget", &err);
}
