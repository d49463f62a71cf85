/*
 * index.h - the store's memory: one SQLite file, and the only door to it.
 *
 * Room: store.  Nobody else opens the file, so its content is our own; it is checked at start
 * nevertheless, because disks fail.  Writers take turns on one connection; readers have their own
 * snapshots.  A transaction that publishes is synced to the disk before it returns (STORE_FULL);
 * stamps and bookkeeping are not (STORE_LAZY): they may be lost by a power cut, never damaged.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include <sqlite3.h>

#include "store.h"

/* With STORE_RESERVE the transaction makes room rather than taking it: on a full disk it may use the reserve. */
enum store_sync { STORE_LAZY = 0, STORE_FULL = 1, STORE_RESERVE = 2 };

struct store_db; /* a connection inside a transaction */

int store_index_open(struct store_place *place, struct store_index **out, struct bh_err *err);
void store_index_close(struct store_index *ix);

/* A snapshot to read from; end it with store_read_end. */
int store_read_begin(struct store_index *ix, struct store_db **out, struct bh_err *err);
void store_read_end(struct store_db *db);
void store_read_scope(struct store_db **db);
#define STORE_SCOPE_READ __attribute__((cleanup(store_read_scope)))

/* The one writer.  End with store_write_commit, or store_write_undo after an error (NULL allowed).
 * commit releases the connection in any case. */
int store_write_begin(struct store_index *ix, unsigned sync, struct store_db **out, struct bh_err *err);
int store_write_commit(struct store_db **db, struct bh_err *err);
void store_write_undo(struct store_db **db);
#define STORE_SCOPE_WRITE __attribute__((cleanup(store_write_undo)))

/* A statement, prepared once for each connection; sql must be a string literal.
 * fmt: one letter a parameter, then its value: i int64_t, t const char * (kept until the next step),
 * b const void * and size_t. */
int store_query(struct store_db *db, sqlite3_stmt **out, struct bh_err *err, const char *sql, const char *fmt, ...);
/* 1 a row, 0 the end, or an error. */
int store_step(struct store_db *db, sqlite3_stmt *st, struct bh_err *err);
/* A statement that gives no rows.  *out_changes may be NULL. */
int store_exec(struct store_db *db, int64_t *out_changes, struct bh_err *err, const char *sql, const char *fmt, ...);
/* First column of the first row; found tells whether there was one. */
int store_get_int(struct store_db *db, int64_t *out, bool *out_found, struct bh_err *err, const char *sql,
                  const char *fmt, ...);
int64_t store_last_id(struct store_db *db);
/* Text of a column, never NULL, valid until the next step. */
const char *store_text(sqlite3_stmt *st, int column);

/* The statements of schema.c. */
extern const char store_schema_v1[];
extern const char store_schema_v2[];
extern const char store_schema_v3[];
extern const char store_schema_v4[];
extern const char store_schema_v5[];
#define STORE_SCHEMA_VERSION 5

#endif
