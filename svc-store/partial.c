/*
 * partial.c - see partial.h.
 */
#include "partial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "gc.h"
#include "index.h"
#include "layer.h"
#include "parked.h"

#define DAY_NS     (INT64_C(24) * 3600 * BH_NSEC)
#define LEAST_KEPT 65536 /* fewer bytes are sooner received again than looked after */

void store_partial_key(struct store_flight_item *item, uid_t owner, const char *digest) {
    snprintf(item->key, sizeof item->key, "%u %s", owner, digest);
}

/* ---- one ----------------------------------------------------------------------------------- */

int64_t store_partial_expiry(struct store *s) {
    return bh_now_ns() + (int64_t)store_options_now(s).partial_days * DAY_NS;
}

static int take_row(struct store *s, uid_t owner, const char *digest, uint64_t size, int64_t *out_k,
                    struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0 ||
        store_exec(db, NULL, err,
                   "INSERT INTO partial(owner, digest, size, updated_ns, expires_ns) VALUES(?,?,?,?,?)"
                   " ON CONFLICT(owner, digest) DO UPDATE SET size=excluded.size, updated_ns=excluded.updated_ns,"
                   " expires_ns=excluded.expires_ns",
                   "itiii", (int64_t)owner, digest, (int64_t)size, bh_now_ns(), store_partial_expiry(s)) != 0 ||
        store_get_int(db, out_k, NULL, err, "SELECT k FROM partial WHERE owner=? AND digest=?", "it", (int64_t)owner,
                      digest) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

int store_partial_open(struct store *s, uid_t owner, const char *digest, uint64_t size, bool restart,
                       struct store_partial *out, struct bh_err *err) {
    struct store_partial p = {.file = STORE_TEMP_INIT};

    if (take_row(s, owner, digest, size, &p.k, err) != 0 || store_partial_file(&s->place, p.k, &p.file, err) != 0)
        return err->code;
    p.received = store_partial_size(&s->place, p.k);
    if (restart || p.received < LEAST_KEPT || p.received > size) {
        if (ftruncate(p.file.fd, 0) != 0) {
            store_write_error(&s->place, errno, "start a download anew", 0, err);
            store_temp_drop(&s->place, &p.file);
            return err->code;
        }
        p.received = 0;
    }
    *out = p;
    return 0;
}

static int forget_row(struct store *s, int64_t k, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(s->index, STORE_LAZY | STORE_RESERVE, &db, err) != 0 ||
        store_exec(db, NULL, err, "DELETE FROM partial WHERE k=?", "i", k) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

void store_partial_drop(struct store *s, struct store_partial *p) {
    struct bh_err err = BH_ERR_INIT;

    store_temp_drop(&s->place, &p->file);
    store_partial_unlink(&s->place, p->k);
    if (forget_row(s, p->k, &err) != 0)
        bh_log_err("partial-stuck", &err);
}

void store_partial_keep(struct store *s, struct store_partial *p) {
    struct bh_err err = BH_ERR_INIT;

    if (store_partial_size(&s->place, p->k) < LEAST_KEPT || store_options_now(s).partial_days == 0) {
        store_partial_drop(s, p);
        return;
    }
    if (fdatasync(p->file.fd) != 0 || fsync(s->place.partial_fd) != 0) {
        bh_err_errno(&err, errno, "sync an unfinished download");
        bh_log_err("partial-unsynced", &err);
    }
    store_temp_drop(&s->place, &p->file);
}

/* ---- all ----------------------------------------------------------------------------------- */

struct row {
    int64_t k;
    uid_t owner;
    char digest[STORE_DIGEST_SIZE];
};

static int list_rows(struct store *s, const struct store_who *who, bool all, struct row **out, size_t *out_n,
                     struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    sqlite3_stmt *st;
    struct row *v = NULL;
    size_t n = 0, cap = 0;
    int r;

    if (store_read_begin(s->index, &db, err) != 0 ||
        store_query(db, &st, err,
                    "SELECT k, owner, digest FROM partial WHERE (?1 OR owner=?2) AND (?3 OR expires_ns<=?4)", "iiii",
                    (int64_t)who->all, (int64_t)who->owner, (int64_t)all, bh_now_ns()) != 0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0) {
        if (n == cap) {
            cap = cap * 2 + 16;
            v = bh_xrealloc(v, cap * sizeof *v);
        }
        v[n] = (struct row){.k = sqlite3_column_int64(st, 0), .owner = (uid_t)sqlite3_column_int64(st, 1)};
        bh_str_copy(v[n++].digest, sizeof v->digest, store_text(st, 2));
    }
    *out = v;
    *out_n = n;
    return r < 0 ? r : 0;
}

static int count_parked(struct store *s, const struct store_who *who, struct store_partials *sum, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    uint64_t n, bytes;

    if (store_read_begin(s->index, &db, err) != 0 || store_parked_count(db, who, &n, &bytes, err) != 0)
        return err->code;
    sum->n += n;
    sum->bytes += bytes;
    return 0;
}

int store_partial_count(struct store *s, const struct store_who *who, struct store_partials *out, struct bh_err *err) {
    BH_SCOPE_FREE struct row *v = NULL;
    struct store_partials sum = {0};
    size_t n = 0;

    if (list_rows(s, who, true, &v, &n, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        sum.bytes += store_partial_size(&s->place, v[i].k);
    sum.n = n;
    if (count_parked(s, who, &sum, err) != 0)
        return err->code;
    *out = sum;
    return 0;
}

static int sweep_one(struct store *s, const struct row *row, struct store_partials *sum, struct bh_err *err) {
    struct store_flight_item item = {0};

    store_partial_key(&item, row->owner, row->digest);
    if (!store_flight_try(&s->flight, &item))
        return 0; /* it is being received */
    sum->bytes += store_partial_size(&s->place, row->k);
    sum->n++;
    store_partial_unlink(&s->place, row->k);
    forget_row(s, row->k, err);
    store_flight_leave(&s->flight, &item);
    return err->code;
}

/* What has expired the collector finds by itself. */
static int sweep_parked(struct store *s, const struct store_who *who, bool all, struct store_partials *sum,
                        struct bh_err *err) {
    struct store_partials before = {0};
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (count_parked(s, who, &before, err) != 0 || before.n == 0)
        return err->code;
    if (store_write_begin(s->index, STORE_LAZY | STORE_RESERVE, &db, err) != 0 ||
        store_parked_drop(db, who, all, err) != 0 || store_write_commit(&db, err) != 0)
        return err->code;
    if (all) {
        sum->n += before.n;
        sum->bytes += before.bytes;
        store_gc_now(s);
    }
    return 0;
}

int store_partial_sweep(struct store *s, const struct store_who *who, bool all, struct store_partials *out,
                        struct bh_err *err) {
    BH_SCOPE_FREE struct row *v = NULL;
    struct store_partials sum = {0};
    size_t n = 0;

    if (list_rows(s, who, all, &v, &n, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (sweep_one(s, &v[i], &sum, err) != 0)
            return err->code;
    if (sweep_parked(s, who, all, &sum, err) != 0)
        return err->code;
    if (sum.n > 0)
        bh_log(BH_LOG_INFO, "partials-removed", "files=%llu bytes=%llu", (unsigned long long)sum.n,
               (unsigned long long)sum.bytes);
    *out = sum;
    return 0;
}

/* ---- start --------------------------------------------------------------------------------- */

struct recovering {
    struct store *s;
    struct store_db *db;
    struct bh_err *err;
};

static int stray(void *arg, int64_t k, const char *name, uint64_t size) {
    struct recovering *x = arg;
    bool known = false;
    int64_t n;

    (void)size;
    if (k >= 0 && store_get_int(x->db, &n, &known, x->err, "SELECT k FROM partial WHERE k=?", "i", k) != 0)
        return x->err->code;
    if (!known && k >= 0)
        unlinkat(x->s->place.partial_fd, name, 0);
    return 0;
}

static int drop_strays(struct store *s, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct recovering x = {.s = s, .err = err};

    if (store_read_begin(s->index, &db, err) != 0)
        return err->code;
    x.db = db;
    return store_partial_each(&s->place, stray, &x, err);
}

/* It had come and been named, and then this process died before the row: whoever tries again continues at its end,
 * where the digest is looked at once more. */
static int take_back(struct store *s, const struct row *row, bool *out, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    bool known = false;
    int64_t k;

    if (store_read_begin(s->index, &db, err) != 0 ||
        store_get_int(db, &k, &known, err, "SELECT k FROM blob WHERE digest=?", "t", row->digest) != 0)
        return err->code;
    *out = !known && store_partial_unname(&s->place, row->k, STORE_BLOBS, row->digest);
    return 0;
}

int store_partial_recover(struct store *s, struct bh_err *err) {
    const struct store_who all = {.all = true};
    BH_SCOPE_FREE struct row *v = NULL;
    struct store_partials gone;
    size_t n = 0;

    if (drop_strays(s, err) != 0 || list_rows(s, &all, true, &v, &n, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++) {
        bool back;

        if (store_partial_size(&s->place, v[i].k) > 0)
            continue;
        store_partial_unlink(&s->place, v[i].k);
        if (take_back(s, &v[i], &back, err) != 0)
            return err->code;
        if (!back && forget_row(s, v[i].k, err) != 0)
            return err->code;
    }
    return store_partial_sweep(s, &all, false, &gone, err);
}
