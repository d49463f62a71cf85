/*
 * parked.h - layers that have come for an image that has not: kept for the next try of the same owner.
 *
 * Room: store.  A pull that ends with some of its layers leaves them here, beside the unfinished ones (partial.h), so
 * that no byte of them travels again.  Each is a lease of its own that outlives the process; it goes when an image of
 * the owner has the layer, when it expires, or with `system prune`.
 */
#ifndef STORE_PARKED_H
#define STORE_PARKED_H

#include "index.h"

/* Inside a transaction, with the rows of what came.  diff_id or digest may be "": no such part. */
int store_parked_add(struct store_db *db, uid_t owner, int64_t expires_ns, const char *diff_id, const char *digest,
                     struct bh_err *err);
/* Inside the transaction that gives owner an image: what his images have needs no keeping. */
int store_parked_settle(struct store_db *db, uid_t owner, struct bh_err *err);
int store_parked_count(struct store_db *db, const struct store_who *who, uint64_t *out_n, uint64_t *out_bytes,
                       struct bh_err *err);
/* Inside a transaction: all of who, or what has expired.  The collector does the rest. */
int store_parked_drop(struct store_db *db, const struct store_who *who, bool all, struct bh_err *err);
/* At start: files whose names a power cut has taken are not waited for. */
int store_parked_recover(struct store *s, struct bh_err *err);

#endif
