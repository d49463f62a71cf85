/*
 * db.c - the rows of containers, see db.h.
 *
 * Room: runtime.  Owns /state/containers.db.  What it reads back was checked when it was written; it
 * is measured again by those who unpack it.  Rows are never cached here.
 */
#include "svc-runtime/db.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define SCHEMA_VERSION 2

enum statement { ST_INSERT, ST_STATUS, ST_OCI, ST_RENAME, ST_DELETE, ST_LOAD, ST_BLOBS, ST_COUNT };

#define COLUMNS                                                                                                        \
    "id,name,owner,created_ns,image,image_id,image_ref,spec,request,config,stop_signal,stop_timeout,auto_remove,"      \
    "state,pid,exit_code,error,started_ns,finished_ns,oom_killed,restarts,id_base,oci"

static const char *const sql[ST_COUNT] = {
    [ST_INSERT] =
        "INSERT INTO container(" COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,"
        "?18,?19,?20,?21,?22,?23)",
    [ST_STATUS] =
        "UPDATE container SET state=?2,pid=?3,exit_code=?4,error=?5,started_ns=?6,finished_ns=?7,oom_killed=?8,"
        "restarts=?9,id_base=?10 WHERE id=?1",
    [ST_OCI] = "UPDATE container SET oci=?2 WHERE id=?1",
    [ST_RENAME] = "UPDATE container SET name=?2 WHERE id=?1",
    [ST_DELETE] = "DELETE FROM container WHERE id=?1",
    [ST_LOAD] = "SELECT " COLUMNS " FROM container ORDER BY created_ns",
    [ST_BLOBS] = "SELECT spec,request,config FROM container WHERE id=?1",
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS container("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL, owner INTEGER NOT NULL, created_ns INTEGER NOT NULL,"
    " image TEXT NOT NULL, image_id TEXT NOT NULL, image_ref TEXT NOT NULL,"
    " spec BLOB NOT NULL, request BLOB NOT NULL, config BLOB NOT NULL,"
    " stop_signal INTEGER NOT NULL, stop_timeout INTEGER NOT NULL, auto_remove INTEGER NOT NULL,"
    " state INTEGER NOT NULL, pid INTEGER NOT NULL, exit_code INTEGER NOT NULL, error TEXT NOT NULL,"
    " started_ns INTEGER NOT NULL, finished_ns INTEGER NOT NULL, oom_killed INTEGER NOT NULL,"
    " restarts INTEGER NOT NULL, id_base INTEGER NOT NULL, oci INTEGER NOT NULL DEFAULT -1,"
    " UNIQUE(owner,name)) WITHOUT ROWID;"
    "PRAGMA user_version=2;";

/* Of a file that version 1 wrote: which OCI runtime its containers have is not known. */
static const char from_1[] = "ALTER TABLE container ADD COLUMN oci INTEGER NOT NULL DEFAULT -1;PRAGMA user_version=2;";

struct rt_db {
    pthread_mutex_t lock;
    sqlite3 *h;
    sqlite3_stmt *st[ST_COUNT];
    bool full; /* synchronous=FULL is set */
};

static int db_error(struct rt_db *db, const char *act, struct bh_err *err) {
    int code = sqlite3_errcode(db->h) == SQLITE_FULL ? BH_E_LIMIT : BH_E_INTERNAL;

    /* The table of the room was asked before: a rename is under way. */
    if (sqlite3_extended_errcode(db->h) == SQLITE_CONSTRAINT_UNIQUE) {
        bh_err_set(err, BH_E_CONFLICT,
                   "Conflict. The container name is already in use by a container that is renamed now.");
        return bh_err_reason(err, "name-in-use");
    }
    bh_err_set(err, code, "%s the container's row: %s", act, sqlite3_errmsg(db->h));
    if (code == BH_E_LIMIT)
        bh_err_hint(err, "the file system of the engine's state folder is full: remove images or containers");
    return code;
}

static int prepare(struct rt_db *db, struct bh_err *err) {
    for (int i = 0; i < ST_COUNT; i++)
        if (sqlite3_prepare_v3(db->h, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &db->st[i], NULL) != SQLITE_OK)
            return db_error(db, "prepare to write", err);
    return 0;
}

static int check_version(struct rt_db *db, int *out, struct bh_err *err) {
    sqlite3_stmt *st = NULL;
    int version = 0;

    if (sqlite3_prepare_v2(db->h, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        version = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    *out = version;
    if (version > SCHEMA_VERSION)
        return bh_err_set(err, BH_E_INVALID, "containers.db was written by a newer version (schema %d, here %d)",
                          version, SCHEMA_VERSION);
    return 0;
}

int rt_db_open(const char *path, struct rt_db **out, struct bh_err *err) {
    struct rt_db *db = bh_xcalloc(1, sizeof *db);
    int version = 0;

    pthread_mutex_init(&db->lock, NULL);
    if (sqlite3_open_v2(path, &db->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        bh_err_set(err, BH_E_INTERNAL, "open %s: %s", path, db->h != NULL ? sqlite3_errmsg(db->h) : "out of memory");
        rt_db_close(db);
        return err->code;
    }
    sqlite3_busy_timeout(db->h, 2000);
    if (sqlite3_exec(db->h,
                     "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                     "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-1024; PRAGMA mmap_size=0;",
                     NULL, NULL, NULL) != SQLITE_OK)
        db_error(db, "set up", err);
    else if (check_version(db, &version, err) == 0 &&
             sqlite3_exec(db->h, version == 1 ? from_1 : schema, NULL, NULL, NULL) != SQLITE_OK)
        db_error(db, "make the table of", err);
    if (err->code != 0 || prepare(db, err) != 0) {
        bh_err_prefix(err, "%s", path);
        rt_db_close(db);
        return err->code;
    }
    *out = db;
    return 0;
}

void rt_db_close(struct rt_db *db) {
    for (int i = 0; i < ST_COUNT; i++)
        sqlite3_finalize(db->st[i]);
    sqlite3_close(db->h);
    pthread_mutex_destroy(&db->lock);
    free(db);
}

/* The level counts when a transaction begins; outside of one it may be changed at will. */
static void set_durable(struct rt_db *db, bool full) {
    if (db->full == full)
        return;
    sqlite3_exec(db->h, full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", NULL, NULL, NULL);
    db->full = full;
}

/* Runs a statement that returns no rows; unlocks. */
static int finish(struct rt_db *db, enum statement which, const char *act, struct bh_err *err) {
    int r = sqlite3_step(db->st[which]);
    int code = r == SQLITE_DONE ? 0 : db_error(db, act, err);

    sqlite3_reset(db->st[which]);
    sqlite3_clear_bindings(db->st[which]);
    pthread_mutex_unlock(&db->lock);
    return code;
}

static sqlite3_stmt *begin(struct rt_db *db, enum statement which, bool durable) {
    pthread_mutex_lock(&db->lock);
    set_durable(db, durable);
    return db->st[which];
}

static void bind_text(sqlite3_stmt *st, int at, const char *text) {
    sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static void bind_blob(sqlite3_stmt *st, int at, struct rt_blob b) {
    sqlite3_bind_blob(st, at, b.n > 0 ? b.data : "", (int)b.n, SQLITE_STATIC);
}

static void bind_status(sqlite3_stmt *st, int at, const struct rt_status *s) {
    sqlite3_bind_int(st, at, (int)s->state);
    sqlite3_bind_int(st, at + 1, s->pid);
    sqlite3_bind_int(st, at + 2, s->exit_code);
    bind_text(st, at + 3, s->error);
    sqlite3_bind_int64(st, at + 4, s->started_ns);
    sqlite3_bind_int64(st, at + 5, s->finished_ns);
    sqlite3_bind_int(st, at + 6, s->oom_killed);
    sqlite3_bind_int64(st, at + 7, s->restarts);
    sqlite3_bind_int64(st, at + 8, (sqlite3_int64)s->id_base);
}

int rt_db_insert(struct rt_db *db, const struct rt_record *r, struct bh_err *err) {
    sqlite3_stmt *st = begin(db, ST_INSERT, true);

    bind_text(st, 1, r->id);
    bind_text(st, 2, r->name);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)r->owner);
    sqlite3_bind_int64(st, 4, r->created_ns);
    bind_text(st, 5, r->image);
    bind_text(st, 6, r->image_id);
    bind_text(st, 7, r->image_ref);
    bind_blob(st, 8, r->spec);
    bind_blob(st, 9, r->request);
    bind_blob(st, 10, r->config);
    sqlite3_bind_int(st, 11, r->stop_signal);
    sqlite3_bind_int(st, 12, r->stop_timeout);
    sqlite3_bind_int(st, 13, r->auto_remove);
    bind_status(st, 14, &r->status);
    sqlite3_bind_int(st, 23, r->oci);
    return finish(db, ST_INSERT, "write", err);
}

int rt_db_set_status(struct rt_db *db, const char *id, const struct rt_status *s, bool durable, struct bh_err *err) {
    sqlite3_stmt *st = begin(db, ST_STATUS, durable);

    bind_text(st, 1, id);
    bind_status(st, 2, s);
    return finish(db, ST_STATUS, "change", err);
}

int rt_db_set_oci(struct rt_db *db, const char *id, int oci, struct bh_err *err) {
    sqlite3_stmt *st = begin(db, ST_OCI, true);

    bind_text(st, 1, id);
    sqlite3_bind_int(st, 2, oci);
    return finish(db, ST_OCI, "change", err);
}

int rt_db_rename(struct rt_db *db, const char *id, const char *name, bool durable, struct bh_err *err) {
    sqlite3_stmt *st = begin(db, ST_RENAME, durable);

    bind_text(st, 1, id);
    bind_text(st, 2, name);
    return finish(db, ST_RENAME, "rename", err);
}

int rt_db_delete(struct rt_db *db, const char *id, struct bh_err *err) {
    sqlite3_stmt *st = begin(db, ST_DELETE, false);

    bind_text(st, 1, id);
    return finish(db, ST_DELETE, "remove", err);
}

static const char *text_at(sqlite3_stmt *st, int i) {
    const char *s = (const char *)sqlite3_column_text(st, i);

    return s != NULL ? s : "";
}

static struct rt_blob blob_at(sqlite3_stmt *st, int i) {
    return (struct rt_blob){.data = sqlite3_column_blob(st, i), .n = (size_t)sqlite3_column_bytes(st, i)};
}

static struct rt_status status_at(sqlite3_stmt *st, int i) {
    struct rt_status s = {.state = (enum rt_state)sqlite3_column_int(st, i),
                          .pid = sqlite3_column_int(st, i + 1),
                          .exit_code = sqlite3_column_int(st, i + 2),
                          .started_ns = sqlite3_column_int64(st, i + 4),
                          .finished_ns = sqlite3_column_int64(st, i + 5),
                          .oom_killed = sqlite3_column_int(st, i + 6) != 0,
                          .restarts = (uint32_t)sqlite3_column_int64(st, i + 7),
                          .id_base = (uint64_t)sqlite3_column_int64(st, i + 8)};

    bh_str_copy(s.error, sizeof s.error, text_at(st, i + 3));
    return s;
}

int rt_db_load(struct rt_db *db, int (*row)(void *arg, const struct rt_record *r, struct bh_err *err), void *arg,
               struct bh_err *err) {
    sqlite3_stmt *st = begin(db, ST_LOAD, false);
    int code = 0, r;

    while (code == 0 && (r = sqlite3_step(st)) == SQLITE_ROW) {
        struct rt_record rec = {.id = text_at(st, 0),
                                .name = text_at(st, 1),
                                .owner = (uid_t)sqlite3_column_int64(st, 2),
                                .created_ns = sqlite3_column_int64(st, 3),
                                .image = text_at(st, 4),
                                .image_id = text_at(st, 5),
                                .image_ref = text_at(st, 6),
                                .spec = blob_at(st, 7),
                                .request = blob_at(st, 8),
                                .config = blob_at(st, 9),
                                .stop_signal = sqlite3_column_int(st, 10),
                                .stop_timeout = sqlite3_column_int(st, 11),
                                .auto_remove = sqlite3_column_int(st, 12) != 0,
                                .status = status_at(st, 13),
                                .oci = sqlite3_column_int(st, 22)};

        code = row(arg, &rec, err);
    }
    if (code == 0 && r != SQLITE_DONE)
        code = db_error(db, "read", err);
    sqlite3_reset(st);
    pthread_mutex_unlock(&db->lock);
    return code;
}

static void take_blob(struct bh_buf *out, sqlite3_stmt *st, int i) {
    struct rt_blob b = blob_at(st, i);

    if (out != NULL && b.n > 0)
        bh_buf_add(out, b.data, b.n);
}

int rt_db_blobs(struct rt_db *db, const char *id, struct bh_buf *spec, struct bh_buf *request, struct bh_buf *config,
                struct bh_err *err) {
    sqlite3_stmt *st = begin(db, ST_BLOBS, false);
    int code = 0, r;

    bind_text(st, 1, id);
    r = sqlite3_step(st);
    if (r == SQLITE_ROW) {
        take_blob(spec, st, 0);
        take_blob(request, st, 1);
        take_blob(config, st, 2);
    } else if (r == SQLITE_DONE) {
        code = bh_err_set(err, BH_E_NOT_FOUND, "No such container: %s", id);
    } else {
        code = db_error(db, "read", err);
    }
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    pthread_mutex_unlock(&db->lock);
    return code;
}
