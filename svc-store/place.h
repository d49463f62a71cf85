/*
 * place.h - files of the store: where content lies, how it gets there, what a full disk says.
 *
 * Room: store.  A file is made without a name (or with one in ingest/), written, synced, and only then
 * given its name by digest; nothing with a digest as name is ever written to.
 */
#ifndef STORE_PLACE_H
#define STORE_PLACE_H

#include "store.h"

enum store_tree { STORE_LAYERS, STORE_BLOBS };

/* A file that is being made. */
struct store_temp {
    int fd;
    char name[40]; /* "" when it has no name */
    bool partial;  /* below partial/: outlives what makes it */
};
#define STORE_TEMP_INIT                                                                                                \
    { .fd = -1 }

int store_place_open(struct store_place *p, const char *path, struct bh_err *err);
void store_place_close(struct store_place *p);

int store_temp_open(struct store_place *p, struct store_temp *out, struct bh_err *err);
/* Give it its digest's name, mode 0444; the content must be synced.  A file that is there already
 * is left as it is.  The temp is closed in any case. */
int store_temp_publish(struct store_place *p, struct store_temp *t, enum store_tree tree, const char *digest,
                       struct bh_err *err);
void store_temp_drop(struct store_place *p, struct store_temp *t);
/* A file below partial/, made when it is not there; store_temp_drop closes it and leaves it there. */
int store_partial_file(struct store_place *p, int64_t k, struct store_temp *out, struct bh_err *err);
void store_partial_unlink(struct store_place *p, int64_t k);
/* The named file becomes the download again that it was before it got the name; false when there is none. */
bool store_partial_unname(struct store_place *p, int64_t k, enum store_tree tree, const char *digest);
/* 0 when it is not there. */
uint64_t store_partial_size(struct store_place *p, int64_t k);
/* Calls fn for every file below partial/; k -1: no name of ours. */
typedef int store_partial_fn(void *arg, int64_t k, const char *name, uint64_t size);
int store_partial_each(struct store_place *p, store_partial_fn *fn, void *arg, struct bh_err *err);

/* digest: "sha256:<64 hex>", checked by the caller. */
int store_file_open(struct store_place *p, enum store_tree tree, const char *digest, int *out_fd, struct bh_err *err);
/* Absence is no error. */
int store_file_unlink(struct store_place *p, enum store_tree tree, const char *digest, struct bh_err *err);
bool store_file_stat(struct store_place *p, enum store_tree tree, const char *digest, uint64_t *out_size,
                     uint64_t *out_disk);
/* Make the name of a digest durable: its folder and, when that is new, the one above. */
int store_file_sync_name(struct store_place *p, enum store_tree tree, const char *digest, struct bh_err *err);
/* Calls fn for the digest of every file; a name that is none comes with digest NULL. */
typedef int store_file_fn(void *arg, const char *digest, const char *path, uint64_t size);
int store_file_each(struct store_place *p, enum store_tree tree, store_file_fn *fn, void *arg, struct bh_err *err);
int store_stray_unlink(struct store_place *p, enum store_tree tree, const char *path, struct bh_err *err);
void store_ingest_clean(struct store_place *p);

/* Error of a failed write: says which file system is full, what is free and what was needed (0: unknown). */
int store_write_error(struct store_place *p, int errno_value, const char *what, uint64_t need, struct bh_err *err);
/* err came from a worker: if a full disk was the reason, say it as above.  need: UINT64_MAX when unknown. */
int store_worker_full(struct store_place *p, const char *what, uint64_t need, struct bh_err *err);
/* Is there room for so many bytes?  BH_E_LIMIT as above. */
int store_room_check(struct store_place *p, const char *what, uint64_t need, struct bh_err *err);
/* The reserve: a file of zeros that is given up while the index must be written on a full disk.
 * take: false when it is gone already. */
bool store_reserve_take(struct store_place *p);
void store_reserve_restore(struct store_place *p);
/* Free bytes of the file system, and bytes that the store's files take. */
uint64_t store_place_free(const struct store_place *p);
uint64_t store_place_used(struct store_place *p);

#endif
