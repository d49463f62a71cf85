/*
 * container.c - see container.h.
 */
#include "container.h"

#include "base/clock.h"
#include "gc.h"

int store_container_uses(struct store_db *db, const struct store_container *c, int64_t k, struct bh_err *err) {
    return store_exec(db, NULL, err,
                      "INSERT INTO container(id, owner, name, image_id, image, running, noted_ns) VALUES(?,?,?,?,?,0,?)"
                      " ON CONFLICT(id) DO UPDATE SET image_id=excluded.image_id, image=excluded.image",
                      "tittii", c->id, (int64_t)c->owner, c->name, c->image_id, k, bh_now_ns());
}

static int put(struct store_db *db, const struct store_container *c, int64_t image, struct bh_err *err) {
    return store_exec(db, NULL, err,
                      "INSERT INTO container(id, owner, name, image_id, image, running, noted_ns)"
                      " VALUES(?1,?2,?3,?4,nullif(?5,0),?6,?7) ON CONFLICT(id) DO UPDATE SET name=excluded.name,"
                      " image_id=excluded.image_id, image=coalesce(excluded.image, image), running=excluded.running,"
                      " noted_ns=excluded.noted_ns",
                      "tittiii", c->id, (int64_t)c->owner, c->name, c->image_id, image, (int64_t)c->running,
                      bh_now_ns());
}

static int put_by_id(struct store_db *db, const struct store_container *c, struct bh_err *err) {
    int64_t image = 0;

    /* the owner's own row of that image, else any (administrators run what others have) */
    if (store_get_int(db, &image, NULL, err, "SELECT k FROM image WHERE id=?1 ORDER BY owner<>?2, owner LIMIT 1", "ti",
                      c->image_id, (int64_t)c->owner) != 0)
        return err->code;
    return put(db, c, image, err);
}

int store_container_note(struct store *s, const struct store_container *c, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0 || put_by_id(db, c, err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

/* An image that only this container kept can go now. */
static int forget(struct store *s, const char *id, bool *out_kept, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    int64_t n = 0;

    if (store_write_begin(s->index, STORE_LAZY | STORE_RESERVE, &db, err) != 0 ||
        store_exec(db, NULL, err, "DELETE FROM container WHERE id=?", "t", id) != 0 ||
        store_get_int(db, &n, NULL, err, "SELECT count(*) FROM image WHERE state=1", "") != 0)
        return err->code;
    *out_kept = n > 0;
    return store_write_commit(&db, err);
}

int store_container_forget(struct store *s, const char *id, struct bh_err *err) {
    bool kept = false;

    if (forget(s, id, &kept, err) != 0)
        return err->code;
    if (kept)
        store_gc_now(s);
    return 0;
}

static int sync_rows(struct store *s, const struct store_container *v, size_t n, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    int64_t mark = bh_now_ns();

    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (put_by_id(db, &v[i], err) != 0)
            return err->code;
    if (store_exec(db, NULL, err, "DELETE FROM container WHERE noted_ns<?", "i", mark) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

int store_container_sync(struct store *s, const struct store_container *v, size_t n, struct bh_err *err) {
    if (sync_rows(s, v, n, err) != 0)
        return err->code;
    store_gc_now(s);
    return 0;
}
