/*
 * parked.c - see parked.h.
 */
#include "parked.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "lease.h"
#include "lost.h"
#include "place.h"

int store_parked_add(struct store_db *db, uid_t owner, int64_t expires_ns, const char *diff_id, const char *digest,
                     struct bh_err *err) {
    int64_t k;

    if (store_exec(db, NULL, err, "INSERT INTO lease(owner, purpose, expires_ns) VALUES(?,'" STORE_LEASE_PARKED "',?)",
                   "ii", (int64_t)owner, expires_ns) != 0)
        return err->code;
    k = store_last_id(db);
    if ((diff_id[0] != '\0' && store_lease_add(db, k, STORE_LEASE_LAYER, diff_id, err) != 0) ||
        (digest[0] != '\0' && store_lease_add(db, k, STORE_LEASE_BLOB, digest, err) != 0))
        return err->code;
    return 0;
}

int store_parked_settle(struct store_db *db, uid_t owner, struct bh_err *err) {
    return store_exec(db, NULL, err,
                      "DELETE FROM lease WHERE purpose='" STORE_LEASE_PARKED "' AND owner=?1 AND EXISTS("
                      "SELECT 1 FROM lease_item li WHERE li.lease=lease.k AND CASE li.kind"
                      " WHEN 1 THEN EXISTS(SELECT 1 FROM layer l JOIN image_layer il ON il.layer=l.k"
                      "  JOIN image i ON i.k=il.image WHERE l.diff_id=li.digest AND i.owner=?1)"
                      " ELSE EXISTS(SELECT 1 FROM manifest_layer ml JOIN manifest m ON m.k=ml.manifest"
                      "  JOIN image i ON i.k=m.image WHERE ml.digest=li.digest AND i.owner=?1) END)",
                      "i", (int64_t)owner);
}

#define OF_WHO "l.purpose='" STORE_LEASE_PARKED "' AND (?1 OR l.owner=?2)"

int store_parked_count(struct store_db *db, const struct store_who *who, uint64_t *out_n, uint64_t *out_bytes,
                       struct bh_err *err) {
    int64_t n = 0, layers = 0, blobs = 0;

    if (store_get_int(db, &n, NULL, err, "SELECT count(*) FROM lease l WHERE " OF_WHO, "ii", (int64_t)who->all,
                      (int64_t)who->owner) != 0 ||
        store_get_int(db, &layers, NULL, err,
                      "SELECT ifnull(sum(file_size),0) FROM layer WHERE diff_id IN (SELECT li.digest FROM lease l"
                      " JOIN lease_item li ON li.lease=l.k AND li.kind=1 WHERE " OF_WHO ")",
                      "ii", (int64_t)who->all, (int64_t)who->owner) != 0 ||
        store_get_int(db, &blobs, NULL, err,
                      "SELECT ifnull(sum(size),0) FROM blob WHERE digest IN (SELECT li.digest FROM lease l"
                      " JOIN lease_item li ON li.lease=l.k AND li.kind=2 WHERE " OF_WHO ")",
                      "ii", (int64_t)who->all, (int64_t)who->owner) != 0)
        return err->code;
    *out_n = (uint64_t)n;
    *out_bytes = (uint64_t)(layers + blobs);
    return 0;
}

int store_parked_drop(struct store_db *db, const struct store_who *who, bool all, struct bh_err *err) {
    return store_exec(db, NULL, err,
                      "DELETE FROM lease WHERE purpose='" STORE_LEASE_PARKED "' AND (?1 OR owner=?2)"
                      " AND (?3 OR expires_ns<=?4)",
                      "iiii", (int64_t)who->all, (int64_t)who->owner, (int64_t)all, bh_now_ns());
}

/* ---- start --------------------------------------------------------------------------------- */

int store_parked_recover(struct store *s, struct bh_err *err) {
    return store_lost_forget(s,
                             "SELECT l.k, li.kind, li.digest FROM lease l JOIN lease_item li ON li.lease=l.k"
                             " WHERE l.purpose='" STORE_LEASE_PARKED "'",
                             "DELETE FROM lease WHERE k=?", err);
}
