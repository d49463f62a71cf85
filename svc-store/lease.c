/*
 * lease.c - see lease.h.
 */
#include "lease.h"

#include "base/clock.h"
#include "base/log.h"

/* No call lives longer; a lease past this is somebody's mistake and must not keep content for ever. */
#define LEASE_NS (INT64_C(7) * 24 * 3600 * BH_NSEC)

int store_lease_take(struct store *s, uid_t owner, const char *purpose, int64_t *out_lease, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    int64_t k;

    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0 ||
        store_exec(db, NULL, err, "INSERT INTO lease(owner, purpose, expires_ns) VALUES(?,?,?)", "iti", (int64_t)owner,
                   purpose, bh_now_ns() + LEASE_NS) != 0)
        return err->code;
    k = store_last_id(db);
    if (store_write_commit(&db, err) != 0)
        return err->code;
    *out_lease = k;
    return 0;
}

int store_lease_add(struct store_db *db, int64_t lease, int kind, const char *digest, struct bh_err *err) {
    return store_exec(db, NULL, err, "INSERT OR IGNORE INTO lease_item(lease, kind, digest) VALUES(?,?,?)", "iit",
                      lease, (int64_t)kind, digest);
}

int store_lease_end(struct store_db *db, int64_t lease, struct bh_err *err) {
    return store_exec(db, NULL, err, "DELETE FROM lease WHERE k=?", "i", lease);
}

void store_lease_drop(struct store *s, int64_t *lease) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    struct bh_err err = BH_ERR_INIT;

    if (*lease == STORE_LEASE_NONE)
        return;
    if (store_write_begin(s->index, STORE_LAZY | STORE_RESERVE, &db, &err) != 0 ||
        store_lease_end(db, *lease, &err) != 0 || store_write_commit(&db, &err) != 0)
        bh_log_err("lease-stuck", &err);
    *lease = STORE_LEASE_NONE;
}

int store_lease_drop_all(struct store *s, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0 ||
        store_exec(db, NULL, err, "DELETE FROM lease WHERE purpose<>'" STORE_LEASE_PARKED "'", "") != 0)
        return err->code;
    return store_write_commit(&db, err);
}
