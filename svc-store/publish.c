/*
 * publish.c - see publish.h.
 */
#include "publish.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "gc.h"
#include "lease.h"
#include "name.h"
#include "parked.h"
#include "place.h"

#define FRESH_ARENA ((size_t)64 << 20)

/* ---- documents ----------------------------------------------------------------------------- */

static int document_check(const struct store_document *d, struct bh_err *err) {
    struct bh_digest want;

    if (bh_digest_parse(d->digest, &want, err) != 0)
        return err->code;
    return bh_digest_verify(&want, d->data, d->n, "document", err);
}

static int document_file(struct store *s, const struct store_document *d, bool fleeting, struct bh_err *err) {
    struct store_temp t;

    if (store_temp_open(&s->place, &t, err) != 0)
        return err->code;
    if (bh_write_all(t.fd, d->data, d->n) != 0 || (!fleeting && fdatasync(t.fd) != 0)) {
        store_write_error(&s->place, errno, "write a document", d->n, err);
        store_temp_drop(&s->place, &t);
        return err->code;
    }
    return store_temp_publish(&s->place, &t, STORE_BLOBS, d->digest, err);
}

/* out_have: there already, and now under the lease. */
static int document_claim(struct store *s, int64_t lease, const char *digest, bool *out_have, bool *out_durable,
                          struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    int64_t k;

    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0 || store_blob_find(db, digest, &k, out_have, err) != 0 ||
        store_get_int(db, &k, out_durable, err, "SELECT k FROM blob WHERE digest=? AND durable=1", "t", digest) != 0 ||
        store_lease_add(db, lease, STORE_LEASE_BLOB, digest, err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

/* One that was only written for an image of a moment may not be on the disk yet. */
static int document_sync(struct store *s, const char *digest, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;

    if (store_file_open(&s->place, STORE_BLOBS, digest, &fd, err) != 0)
        return err->code;
    return fdatasync(fd) != 0 ? store_write_error(&s->place, errno, "sync a document", 0, err) : 0;
}

static int document_row(struct store *s, uid_t owner, const struct store_document *d, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0 ||
        store_blob_put(db, owner, d->digest, d->kind, d->n, "", err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

static int document_put(struct store *s, uid_t owner, int64_t lease, const struct store_document *d, bool fleeting,
                        struct bh_err *err) {
    bool have, durable;
    int r = 0;

    if (document_check(d, err) != 0 || document_claim(s, lease, d->digest, &have, &durable, err) != 0)
        return err->code;
    if (have)
        return fleeting || durable ? 0 : document_sync(s, d->digest, err);
    store_tidy_share(s);
    if (document_file(s, d, fleeting, err) != 0 || document_row(s, owner, d, err) != 0)
        r = err->code;
    store_tidy_end(s);
    return r;
}

int store_document_put(struct store *s, uid_t owner, int64_t lease, const struct store_document *d,
                       struct bh_err *err) {
    return document_put(s, owner, lease, d, false, err);
}

static int documents(struct store *s, uid_t owner, int64_t lease, const struct store_new_image *im, bool fleeting,
                     struct bh_err *err) {
    const struct store_document config = {im->id, STORE_BLOB_CONFIG, im->config_data, im->n_config};
    const struct store_document manifest = {im->manifest, STORE_BLOB_MANIFEST, im->manifest_data, im->n_manifest};

    if (im->config_digest == NULL && document_put(s, owner, lease, &config, fleeting, err) != 0)
        return bh_err_prefix(err, "config of the image");
    if (document_put(s, owner, lease, &manifest, fleeting, err) != 0)
        return bh_err_prefix(err, "manifest of the image");
    return 0;
}

/* ---- durable names of files ---------------------------------------------------------------- */

/* What of a lease has its name and is not known to keep it after a power cut.  Other images of the same lease may be
 * under way: what they bring has a row before it has a name, and is theirs to settle. */
struct fresh {
    struct bh_arena arena;
    struct {
        int kind;
        const char *digest;
    } * v;
    size_t n;
    bool layers[256], blobs[256]; /* folders that hold them */
};

static void fresh_fini(struct fresh *f) {
    bh_arena_fini(&f->arena);
}

static int fresh_read(struct store *s, int64_t lease, struct fresh *f, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    sqlite3_stmt *st;
    int64_t most;
    int r;

    if (store_read_begin(s->index, &db, err) != 0 ||
        store_get_int(db, &most, NULL, err, "SELECT count(*) FROM lease_item WHERE lease=?", "i", lease) != 0 ||
        store_query(
            db, &st, err,
            "SELECT li.kind, li.digest FROM lease_item li LEFT JOIN layer l ON li.kind=1 AND l.diff_id=li.digest"
            " LEFT JOIN blob b ON li.kind=2 AND b.digest=li.digest"
            " WHERE li.lease=? AND coalesce(l.durable, b.durable, 1)=0",
            "i", lease) != 0)
        return err->code;
    f->v = bh_oci_alloc(&f->arena, ((size_t)most + 1) * sizeof *f->v, err);
    if (f->v == NULL)
        return err->code;
    while ((r = store_step(db, st, err)) > 0 && f->n < (size_t)most) {
        const char *digest = store_text(st, 1);

        f->v[f->n].kind = (int)sqlite3_column_int64(st, 0);
        f->v[f->n].digest = bh_oci_strdup(&f->arena, digest, strlen(digest), err);
        if (f->v[f->n++].digest == NULL)
            return err->code;
    }
    return r < 0 ? r : 0;
}

/* Leaves those that have a name now. */
static void fresh_named(struct store *s, struct fresh *f) {
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++) {
        bool layer = f->v[i].kind == STORE_LEASE_LAYER;
        unsigned char byte;
        uint64_t size, disk;

        if (!store_file_stat(&s->place, layer ? STORE_LAYERS : STORE_BLOBS, f->v[i].digest, &size, &disk) ||
            !bh_unhex(f->v[i].digest + strlen("sha256:"), 2, &byte))
            continue;
        (layer ? f->layers : f->blobs)[byte] = true;
        f->v[n++] = f->v[i];
    }
    f->n = n;
}

static int sync_folders(struct store *s, const struct fresh *f, struct bh_err *err) {
    for (unsigned i = 0; i < 256; i++) {
        char digest[16];

        snprintf(digest, sizeof digest, "sha256:%02x", i);
        if ((f->layers[i] && store_file_sync_name(&s->place, STORE_LAYERS, digest, err) != 0) ||
            (f->blobs[i] && store_file_sync_name(&s->place, STORE_BLOBS, digest, err) != 0))
            return err->code;
    }
    return 0;
}

static int fresh_sync(struct store *s, int64_t lease, struct fresh *f, struct bh_err *err) {
    if (fresh_read(s, lease, f, err) != 0)
        return err->code;
    fresh_named(s, f);
    return sync_folders(s, f, err);
}

static int mark_durable(struct store_db *db, const struct fresh *f, struct bh_err *err) {
    for (size_t i = 0; i < f->n; i++) {
        int r = f->v[i].kind == STORE_LEASE_LAYER
                    ? store_exec(db, NULL, err, "UPDATE layer SET durable=1 WHERE diff_id=?", "t", f->v[i].digest)
                    : store_exec(db, NULL, err, "UPDATE blob SET durable=1 WHERE digest=?", "t", f->v[i].digest);

        if (r != 0)
            return r;
    }
    return 0;
}

/* ---- the commit ---------------------------------------------------------------------------- */

static int put_names(struct store_db *db, uid_t owner, const struct store_publish_image *im, store_moved_fn *moved,
                     void *arg, struct bh_err *err) {
    for (size_t i = 0; i < im->n_names; i++) {
        char previous[STORE_DIGEST_SIZE];

        if (store_name_set(db, owner, &im->names[i], im->out_k, im->image.other, previous, err) != 0)
            return err->code;
        if (previous[0] != '\0' && moved != NULL)
            moved(arg, &im->names[i], previous);
    }
    return 0;
}

static int commit_all(struct store *s, uid_t owner, int64_t lease, bool end, const struct fresh *fresh,
                      struct store_publish_image *images, size_t n, store_moved_fn *moved, void *arg,
                      struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    bool fleeting = n == 1 && images[0].fleeting;

    if (store_write_begin(s->index, fleeting ? STORE_LAZY : STORE_FULL, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (store_image_put(db, owner, &images[i].image, &images[i].out_k, err) != 0 ||
            put_names(db, owner, &images[i], moved, arg, err) != 0)
            return err->code;
    if ((!fleeting && (mark_durable(db, fresh, err) != 0 || store_parked_settle(db, owner, err) != 0)) ||
        (end && store_lease_end(db, lease, err) != 0))
        return err->code;
    return store_write_commit(&db, err);
}

static int publish(struct store *s, uid_t owner, int64_t lease, bool end, struct store_publish_image *images, size_t n,
                   store_moved_fn *moved, void *arg, struct bh_err *err) {
    struct fresh fresh = {.n = 0};
    int r = 0;

    for (size_t i = 0; i < n; i++)
        if (documents(s, owner, lease, &images[i].image, images[i].fleeting, err) != 0)
            return err->code;
    bh_arena_init(&fresh.arena, FRESH_ARENA);
    if (!(n == 1 && images[0].fleeting))
        r = fresh_sync(s, lease, &fresh, err);
    if (r == 0)
        r = commit_all(s, owner, lease, end, &fresh, images, n, moved, arg, err);
    fresh_fini(&fresh);
    return r;
}

int store_publish(struct store *s, uid_t owner, int64_t *lease, struct store_publish_image *images, size_t n,
                  store_moved_fn *moved, void *arg, struct bh_err *err) {
    if (publish(s, owner, *lease, true, images, n, moved, arg, err) != 0)
        return err->code;
    *lease = STORE_LEASE_NONE;
    store_gc_kept(s);
    return 0;
}

int store_publish_under(struct store *s, uid_t owner, int64_t lease, struct store_publish_image *images, size_t n,
                        store_moved_fn *moved, void *arg, struct bh_err *err) {
    return publish(s, owner, lease, false, images, n, moved, arg, err);
}

static int commit_manifest(struct store *s, int64_t image, const struct store_new_image *n, const struct fresh *fresh,
                           struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(s->index, STORE_FULL, &db, err) != 0 || store_manifest_put(db, image, n, err) != 0 ||
        mark_durable(db, fresh, err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

int store_publish_manifest(struct store *s, uid_t owner, int64_t lease, int64_t image, const struct store_new_image *n,
                           struct bh_err *err) {
    const struct store_document d = {n->manifest, STORE_BLOB_MANIFEST, n->manifest_data, n->n_manifest};
    struct fresh fresh = {.n = 0};
    int r;

    if (store_document_put(s, owner, lease, &d, err) != 0)
        return err->code;
    bh_arena_init(&fresh.arena, FRESH_ARENA);
    r = fresh_sync(s, lease, &fresh, err);
    if (r == 0)
        r = commit_manifest(s, image, n, &fresh, err);
    fresh_fini(&fresh);
    return r;
}
