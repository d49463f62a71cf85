/*
 * partial.h - downloads that were interrupted: their bytes so far, for the next try of the same owner.
 *
 * Room: store.  The bytes are in partial/p<k>; how many there are is what the file says, after a crash
 * too, and whether they are right is found by the digest when the rest has come.  They go when they
 * expire, when the content turns out to be wrong, or with `system prune`.
 */
#ifndef STORE_PARTIAL_H
#define STORE_PARTIAL_H

#include "place.h"

struct store_partial {
    int64_t k;
    struct store_temp file;
    uint64_t received;
};

/* The caller has the flight of (owner, digest), see store_partial_key.  restart: from nothing. */
int store_partial_open(struct store *s, uid_t owner, const char *digest, uint64_t size, bool restart,
                       struct store_partial *out, struct bh_err *err);
/* Interrupted: synced, and kept until it expires. */
void store_partial_keep(struct store *s, struct store_partial *p);
/* No longer needed, or wrong. */
void store_partial_drop(struct store *s, struct store_partial *p);

struct store_flight_item;
void store_partial_key(struct store_flight_item *item, uid_t owner, const char *digest);

/* When a download that ends now expires. */
int64_t store_partial_expiry(struct store *s);

/* With the layers that are whole, but not in an image yet (parked.h). */
struct store_partials {
    uint64_t n;
    uint64_t bytes;
};
/* Of who; out_n and bytes may be 0. */
int store_partial_count(struct store *s, const struct store_who *who, struct store_partials *out, struct bh_err *err);
/* Remove what is of who and not being received just now: all, or what has expired. */
int store_partial_sweep(struct store *s, const struct store_who *who, bool all, struct store_partials *out,
                        struct bh_err *err);
/* At start: files without row and rows without file; a blob that got its name and no row is a download again. */
int store_partial_recover(struct store *s, struct bh_err *err);

#endif
