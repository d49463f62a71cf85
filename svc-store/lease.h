/*
 * lease.h - content in flight: what a running load, import or commit needs is not collected.
 *
 * Room: store.  A lease is a row, so the collector sees it in the query that finds what is in use.
 * Those of calls end with the call, or with the process: at start only those of parked.h are left.
 */
#ifndef STORE_LEASE_H
#define STORE_LEASE_H

#include "index.h"

enum { STORE_LEASE_LAYER = 1, STORE_LEASE_BLOB = 2, STORE_LEASE_IMAGE = 3 };

#define STORE_LEASE_NONE   0
#define STORE_LEASE_PARKED "parked" /* the purpose of leases that outlive the process: parked.h */

int store_lease_take(struct store *s, uid_t owner, const char *purpose, int64_t *out_lease, struct bh_err *err);
/* Inside a transaction of the caller, together with the row that it protects. */
int store_lease_add(struct store_db *db, int64_t lease, int kind, const char *digest, struct bh_err *err);
/* Inside a transaction. */
int store_lease_end(struct store_db *db, int64_t lease, struct bh_err *err);
/* On its own; errors are logged: the lease ends with the process at the latest. */
void store_lease_drop(struct store *s, int64_t *lease);
int store_lease_drop_all(struct store *s, struct bh_err *err);

#endif
