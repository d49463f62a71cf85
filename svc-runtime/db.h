/*
 * db.h - the rows of containers: /state/containers.db.
 *
 * Room: runtime.  SQLite in WAL mode, one connection behind one mutex.  A create and an end are
 * durable when the call returns; other changes survive the death of the room, not a power cut.
 */
#ifndef RT_DB_H
#define RT_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "svc-runtime/status.h"

struct rt_db;

struct rt_blob {
    const void *data;
    size_t n;
};

/* A row.  Everything pointed at belongs to the caller (insert) or lives during the call (load). */
struct rt_record {
    const char *id, *name;
    uid_t owner;
    int64_t created_ns;
    const char *image;      /* as the user wrote it */
    const char *image_id;   /* "sha256:.." */
    const char *image_ref;  /* the name it was found by */
    struct rt_blob spec;    /* wire/spec.h */
    struct rt_blob request; /* packed bulkhead.runtime.v1.ContainerSpec */
    struct rt_blob config;  /* packed bulkhead.image.v1.ImageConfig, merged */
    int stop_signal, stop_timeout;
    bool auto_remove;
    int oci; /* RT_OCI_*: what it is run by until it is removed; < 0: not known yet */
    struct rt_status status;
};

int rt_db_open(const char *path, struct rt_db **out, struct bh_err *err);
void rt_db_close(struct rt_db *db);

/* Like rt_db_rename: BH_E_CONFLICT, reason name-in-use, when another row of the owner has the name. */
int rt_db_insert(struct rt_db *db, const struct rt_record *r, struct bh_err *err);
int rt_db_set_status(struct rt_db *db, const char *id, const struct rt_status *s, bool durable, struct bh_err *err);
int rt_db_set_oci(struct rt_db *db, const char *id, int oci, struct bh_err *err);
int rt_db_rename(struct rt_db *db, const char *id, const char *name, bool durable, struct bh_err *err);
int rt_db_delete(struct rt_db *db, const char *id, struct bh_err *err);
/* Oldest first.  A code from row() ends it. */
int rt_db_load(struct rt_db *db, int (*row)(void *arg, const struct rt_record *r, struct bh_err *err), void *arg,
               struct bh_err *err);
/* Any of the three may be NULL.  BH_E_NOT_FOUND. */
int rt_db_blobs(struct rt_db *db, const char *id, struct bh_buf *spec, struct bh_buf *request, struct bh_buf *config,
                struct bh_err *err);

#endif
