/*
 * gc.h - removing what nothing refers to.
 *
 * Room: store.  Nothing is counted: what is in use is found, each time, by one query over images,
 * manifests, containers and leases.  Rows are marked, files removed, rows deleted; a crash between
 * two of these leaves marked rows, which the next start finishes.
 */
#ifndef STORE_GC_H
#define STORE_GC_H

#include "index.h"

struct store_gone {
    char digest[STORE_DIGEST_SIZE];
    uint64_t bytes; /* of the disk */
};
struct store_gc_result {
    struct store_gone *layers; /* malloc'd; blobs are not listed */
    size_t n_layers;
    uint64_t reclaimed; /* bytes of the disk */
    unsigned blobs;
};
void store_gc_result_fini(struct store_gc_result *r);

/* Inside the transaction that took the references away: mark what is now unused. */
int store_gc_mark(struct store_db *db, struct bh_err *err);
/* After its commit, holding s->tidy exclusively (see store_tidy_begin): remove what is marked. */
int store_gc_sweep(struct store *s, struct store_gc_result *out, struct bh_err *err);
/* Mark and sweep in one go, for what failed calls have left.  Errors are logged. */
void store_gc_now(struct store *s);
/* The same, if there is an image that only a name or a container had kept, which has gone or changed. */
void store_gc_kept(struct store *s);

/* How many sweeps there have been: unchanged means that nothing can wait for a lease to end. */
uint64_t store_removals(struct store *s);

/* While files become rows (shared), none may be removed (exclusive). */
void store_tidy_share(struct store *s);
void store_tidy_begin(struct store *s);
void store_tidy_end(struct store *s);

#endif
