/*
 * index.c - see index.h.
 */
#include "index.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "place.h"

#define MIN_FREE  ((uint64_t)1 << 20)
#define READERS   2
#define CACHE_MAX 128 /* prepared statements of a connection; there are fewer literals than that */

struct store_db {
    struct store_index *ix;
    sqlite3 *db;
    pthread_mutex_t lock;
    bool writer;
    struct {
        const char *sql; /* address of the literal */
        sqlite3_stmt *st;
    } cache[CACHE_MAX];
};

struct store_index {
    struct store_place *place;
    struct store_db writer;
    unsigned sync; /* of the writer's connection now */
    struct store_db reader[READERS];
    unsigned next_reader;
};

static int fail(struct store_db *db, const char *what, struct bh_err *err) {
    int code = sqlite3_extended_errcode(db->db);

    switch (code & 0xff) {
    case SQLITE_FULL:
        return store_write_error(db->ix->place, ENOSPC, what, 0, err);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        bh_err_set(err, BH_E_DATA_LOSS, "%s: the index of the store (meta.db) is damaged: %s", what,
                   sqlite3_errmsg(db->db));
        bh_err_reason(err, "index-damaged");
        return bh_err_hint(err, "stop the engine and move state/store/meta.db* away; names must be given again");
    case SQLITE_CONSTRAINT:
        return bh_err_set(err, BH_E_INTERNAL, "%s: index: %s", what, sqlite3_errmsg(db->db));
    case SQLITE_IOERR:
        bh_err_set(err, BH_E_UNAVAILABLE, "%s: index of the store: %s (error %d)", what, sqlite3_errmsg(db->db), code);
        return bh_err_reason(err, "index-io");
    default:
        return bh_err_set(err, BH_E_INTERNAL, "%s: index: %s (error %d)", what, sqlite3_errmsg(db->db), code);
    }
}

static int run(struct store_db *db, const char *sql, const char *what, struct bh_err *err) {
    if (sqlite3_exec(db->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail(db, what, err);
    return 0;
}

/* ---- opening ------------------------------------------------------------------------------- */

static void set_limits(sqlite3 *db) {
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 64 << 20);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, 16 << 10);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(db, SQLITE_LIMIT_TRIGGER_DEPTH, 10); /* ON DELETE CASCADE counts as triggers */
    sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 64);
    sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_busy_timeout(db, 10000);
}

static int db_open(struct store_db *db, struct store_index *ix, const char *path, bool writer, struct bh_err *err) {
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_READWRITE | (writer ? SQLITE_OPEN_CREATE : 0);

    db->ix = ix;
    db->writer = writer;
    pthread_mutex_init(&db->lock, NULL);
    if (sqlite3_open_v2(path, &db->db, flags, "unix") != SQLITE_OK)
        return fail(db, "open the index of the store", err);
    sqlite3_extended_result_codes(db->db, 1);
    set_limits(db->db);
    return run(db,
               "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cell_size_check=ON;"
               "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-1024; PRAGMA mmap_size=0;",
               "prepare the index of the store", err);
}

static int user_version(struct store_db *db, int64_t *out, struct bh_err *err) {
    sqlite3_stmt *st;

    if (sqlite3_prepare_v2(db->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
        return fail(db, "read the version of the index", err);
    *out = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return 0;
}

static int migrate_step(struct store_db *db, const char *sql, struct bh_err *err) {
    if (run(db, "BEGIN EXCLUSIVE", "make the index", err) != 0)
        return err->code;
    if (run(db, sql, "make the index", err) != 0) {
        sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
        return err->code;
    }
    return run(db, "COMMIT", "make the index", err);
}

static int migrate(struct store_db *db, struct bh_err *err) {
    static const char *const steps[STORE_SCHEMA_VERSION] = {store_schema_v1, store_schema_v2, store_schema_v3,
                                                            store_schema_v4, store_schema_v5};
    int64_t version = 0;

    if (user_version(db, &version, err) != 0)
        return err->code;
    if (version > STORE_SCHEMA_VERSION) {
        bh_err_set(err, BH_E_INVALID, "the index of the store has version %lld, this program knows up to %d",
                   (long long)version, STORE_SCHEMA_VERSION);
        return bh_err_hint(err, "start the version of bulkhead that wrote it, or a later one");
    }
    for (; version < STORE_SCHEMA_VERSION; version++)
        if (migrate_step(db, steps[version], err) != 0)
            return err->code;
    return 0;
}

static int quick_check(struct store_db *db, struct bh_err *err) {
    sqlite3_stmt *st;
    int r = 0;

    if (sqlite3_prepare_v2(db->db, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK)
        return fail(db, "check the index", err);
    if (sqlite3_step(st) != SQLITE_ROW)
        r = fail(db, "check the index", err);
    else if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0) {
        bh_err_set(err, BH_E_DATA_LOSS, "the index of the store (meta.db) is damaged: %s", sqlite3_column_text(st, 0));
        r = bh_err_hint(err, "stop the engine and move state/store/meta.db* away; names must be given again");
    }
    sqlite3_finalize(st);
    return r;
}

static int index_open(struct store_place *place, struct store_index **out, struct bh_err *err) {
    struct store_index *ix = bh_xcalloc(1, sizeof *ix);
    char path[sizeof place->path + 16];

    ix->place = place;
    ix->sync = STORE_FULL;
    snprintf(path, sizeof path, "%s/meta.db", place->path);
    if (db_open(&ix->writer, ix, path, true, err) != 0 || migrate(&ix->writer, err) != 0 ||
        quick_check(&ix->writer, err) != 0) {
        store_index_close(ix);
        return err->code;
    }
    for (unsigned i = 0; i < READERS; i++)
        if (db_open(&ix->reader[i], ix, path, false, err) != 0) {
            store_index_close(ix);
            return err->code;
        }
    *out = ix;
    return 0;
}

/* SQLite needs some room even to read; on a full disk the reserve is what that room is for. */
int store_index_open(struct store_place *place, struct store_index **out, struct bh_err *err) {
    if (index_open(place, out, err) == 0)
        return 0;
    if (store_place_free(place) > MIN_FREE || !store_reserve_take(place))
        return err->code;
    bh_err_clear(err);
    return index_open(place, out, err);
}

static void db_close(struct store_db *db) {
    if (db->ix == NULL)
        return;
    for (unsigned i = 0; i < CACHE_MAX; i++)
        sqlite3_finalize(db->cache[i].st);
    sqlite3_close(db->db);
    pthread_mutex_destroy(&db->lock);
}

void store_index_close(struct store_index *ix) {
    if (ix == NULL)
        return;
    for (unsigned i = 0; i < READERS; i++)
        db_close(&ix->reader[i]);
    db_close(&ix->writer);
    free(ix);
}

/* ---- transactions -------------------------------------------------------------------------- */

int store_read_begin(struct store_index *ix, struct store_db **out, struct bh_err *err) {
    unsigned n = __atomic_fetch_add(&ix->next_reader, 1, __ATOMIC_RELAXED);
    struct store_db *db = NULL;

    for (unsigned i = 0; i < READERS && db == NULL; i++) {
        struct store_db *d = &ix->reader[(n + i) % READERS];

        if (pthread_mutex_trylock(&d->lock) == 0)
            db = d;
    }
    if (db == NULL) {
        db = &ix->reader[n % READERS];
        pthread_mutex_lock(&db->lock);
    }
    if (run(db, "BEGIN", "read the index", err) != 0) {
        pthread_mutex_unlock(&db->lock);
        return err->code;
    }
    *out = db;
    return 0;
}

static void reset_all(struct store_db *db) {
    for (unsigned i = 0; i < CACHE_MAX && db->cache[i].sql != NULL; i++)
        sqlite3_reset(db->cache[i].st);
}

void store_read_end(struct store_db *db) {
    reset_all(db);
    sqlite3_exec(db->db, "COMMIT", NULL, NULL, NULL);
    pthread_mutex_unlock(&db->lock);
}

void store_read_scope(struct store_db **db) {
    if (*db != NULL)
        store_read_end(*db);
}

static int set_sync(struct store_index *ix, unsigned sync, struct bh_err *err) {
    if (ix->sync == sync)
        return 0;
    if (run(&ix->writer, sync == STORE_FULL ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
            "prepare the index", err) != 0)
        return err->code;
    ix->sync = sync;
    return 0;
}

int store_write_begin(struct store_index *ix, unsigned sync, struct store_db **out, struct bh_err *err) {
    struct store_db *db = &ix->writer;

    /* before the start: what SQLite could not write it rolls back, and the whole work with it */
    if ((sync & STORE_RESERVE) != 0 && store_place_free(ix->place) < MIN_FREE)
        store_reserve_take(ix->place);
    pthread_mutex_lock(&db->lock);
    if (set_sync(ix, sync & STORE_FULL, err) != 0 || run(db, "BEGIN IMMEDIATE", "write the index", err) != 0) {
        pthread_mutex_unlock(&db->lock);
        return err->code;
    }
    *out = db;
    return 0;
}

int store_write_commit(struct store_db **db_at, struct bh_err *err) {
    struct store_db *db = *db_at;
    int r = 0;

    reset_all(db);
    if (sqlite3_exec(db->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        r = fail(db, "write the index", err);
    /* SQLite leaves the transaction open after some errors, ends it after others */
    if (sqlite3_get_autocommit(db->db) == 0)
        sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
    *db_at = NULL;
    pthread_mutex_unlock(&db->lock);
    return r;
}

void store_write_undo(struct store_db **db_at) {
    struct store_db *db = *db_at;

    if (db == NULL)
        return;
    reset_all(db);
    if (sqlite3_get_autocommit(db->db) == 0)
        sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
    *db_at = NULL;
    pthread_mutex_unlock(&db->lock);
}

/* ---- statements ---------------------------------------------------------------------------- */

static int prepared(struct store_db *db, const char *sql, sqlite3_stmt **out, struct bh_err *err) {
    unsigned i;

    for (i = 0; i < CACHE_MAX && db->cache[i].sql != NULL; i++)
        if (db->cache[i].sql == sql) {
            *out = db->cache[i].st;
            sqlite3_reset(*out);
            return 0;
        }
    if (i == CACHE_MAX)
        return bh_err_set(err, BH_E_INTERNAL, "too many kinds of queries");
    if (sqlite3_prepare_v3(db->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
        return fail(db, "prepare a query", err);
    db->cache[i].sql = sql;
    db->cache[i].st = *out;
    return 0;
}

static void bind(sqlite3_stmt *st, const char *fmt, va_list ap) {
    for (int i = 1; *fmt != '\0'; fmt++, i++) {
        if (*fmt == 'i') {
            sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
        } else if (*fmt == 't') {
            sqlite3_bind_text(st, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
        } else { /* b */
            const void *p = va_arg(ap, const void *);
            size_t n = va_arg(ap, size_t);

            sqlite3_bind_blob64(st, i, n > 0 ? p : "", n, SQLITE_STATIC);
        }
    }
}

static int query_v(struct store_db *db, sqlite3_stmt **out, struct bh_err *err, const char *sql, const char *fmt,
                   va_list ap) {
    if (prepared(db, sql, out, err) != 0)
        return err->code;
    bind(*out, fmt, ap);
    return 0;
}

int store_query(struct store_db *db, sqlite3_stmt **out, struct bh_err *err, const char *sql, const char *fmt, ...) {
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = query_v(db, out, err, sql, fmt, ap);
    va_end(ap);
    return r;
}

int store_step(struct store_db *db, sqlite3_stmt *st, struct bh_err *err) {
    int r = sqlite3_step(st);

    if (r == SQLITE_ROW)
        return 1;
    if (r == SQLITE_DONE) {
        sqlite3_reset(st);
        return 0;
    }
    fail(db, "use the index", err);
    sqlite3_reset(st);
    return err->code;
}

int store_exec(struct store_db *db, int64_t *out_changes, struct bh_err *err, const char *sql, const char *fmt, ...) {
    sqlite3_stmt *st;
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = query_v(db, &st, err, sql, fmt, ap);
    va_end(ap);
    if (r != 0)
        return r;
    while ((r = store_step(db, st, err)) > 0)
        continue;
    if (r == 0 && out_changes != NULL)
        *out_changes = sqlite3_changes64(db->db);
    return r;
}

int store_get_int(struct store_db *db, int64_t *out, bool *out_found, struct bh_err *err, const char *sql,
                  const char *fmt, ...) {
    sqlite3_stmt *st;
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = query_v(db, &st, err, sql, fmt, ap);
    va_end(ap);
    if (r != 0)
        return r;
    r = store_step(db, st, err);
    if (r < 0)
        return r;
    if (out_found != NULL)
        *out_found = r == 1;
    if (r == 1)
        *out = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return 0;
}

int64_t store_last_id(struct store_db *db) {
    return sqlite3_last_insert_rowid(db->db);
}

const char *store_text(sqlite3_stmt *st, int column) {
    const unsigned char *s = sqlite3_column_text(st, column);

    return s != NULL ? (const char *)s : "";
}
