/*
 * layer.c - see layer.h.
 */
#include "layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "gc.h"
#include "image.h"
#include "index.h"
#include "layer/layer_check.h"
#include "lease.h"
#include "parked.h"
#include "place.h"
#include "worker.h"

#define HASH_STEP ((size_t)512 << 10)

int store_hash_range(int fd, uint64_t offset, uint64_t n, const char *what, char out[STORE_DIGEST_SIZE],
                     struct bh_err *err) {
    BH_SCOPE_HASH struct bh_hash h = BH_HASH_INIT;
    BH_SCOPE_FREE unsigned char *buf = malloc(HASH_STEP);
    struct bh_digest d;

    if (buf == NULL)
        return bh_err_set(err, BH_E_LIMIT, "no memory to read %s", what);
    if (bh_hash_init(&h, BH_DIGEST_SHA256, err) != 0)
        return err->code;
    while (n > 0) {
        size_t want = n < HASH_STEP ? (size_t)n : HASH_STEP;
        ssize_t got = bh_pread_full(fd, buf, want, (off_t)offset);

        if (got < 0)
            return bh_err_errno(err, errno, "read %s", what);
        if ((size_t)got < want)
            return bh_err_set(err, BH_E_DATA_LOSS, "%s is shorter than it should be", what);
        bh_hash_update(&h, buf, want);
        offset += want;
        n -= want;
    }
    if (bh_hash_final(&h, &d, err) != 0)
        return err->code;
    bh_digest_format(&d, out);
    return 0;
}

/* ---- checking what the worker said --------------------------------------------------------- */

static int mismatch(const char *what, const char *which, const char *want, const char *got, struct bh_err *err) {
    bh_err_set(err, BH_E_DATA_LOSS, "%s: %s is %s, expected %s", what, which, got, want);
    bh_err_reason(err, "digest-mismatch");
    return bh_err_hint(err, "the archive is damaged or was changed: fetch or save it again");
}

static int check_wanted(const struct store_layer_source *src, const struct store_layer_result *r, struct bh_err *err) {
    if (src->digest[0] != '\0') {
        if (r->size != src->digest_size) {
            bh_err_set(err, BH_E_DATA_LOSS, "%s: has %llu bytes, its descriptor says %llu", src->what,
                       (unsigned long long)r->size, (unsigned long long)src->digest_size);
            return bh_err_reason(err, "size-mismatch");
        }
        if (strcmp(src->digest, r->digest) != 0)
            return mismatch(src->what, "digest", src->digest, r->digest, err);
    }
    if (src->diff_id[0] != '\0' && strcmp(src->diff_id, r->diff_id) != 0)
        return mismatch(src->what, "diff id", src->diff_id, r->diff_id, err);
    return 0;
}

static int check_header(int fd, const struct store_layer_result *r, const char *what, struct bh_err *err) {
    struct bh_layer_header h;
    struct bh_digest d = {.alg = BH_DIGEST_SHA256};
    char diff_id[STORE_DIGEST_SIZE];
    struct stat st;

    if (fstat(fd, &st) != 0)
        return bh_err_errno(err, errno, "%s: look at the new layer", what);
    if (bh_layer_open(fd, &h, err) != 0)
        return bh_err_prefix(err, "%s", what);
    memcpy(d.bytes, h.diff_id, sizeof h.diff_id);
    bh_digest_format(&d, diff_id);
    if ((uint64_t)st.st_size != r->file_size || h.tar_size != r->tar_size || h.index_offset != r->index_offset ||
        h.index_size != r->index_size || strcmp(diff_id, r->diff_id) != 0 ||
        memcmp(h.index_sha256, r->index_sha256, sizeof h.index_sha256) != 0) {
        bh_err_set(err, BH_E_INTERNAL, "%s: the worker's result and the layer it wrote differ", what);
        return bh_err_reason(err, "worker-result");
    }
    return 0;
}

/* With option rehash not even the first image of a layer trusts the worker's word. */
static int check_again(int layer, int blob, const struct store_layer_result *r, const char *what, struct bh_err *err) {
    char got[STORE_DIGEST_SIZE];

    if (store_hash_range(layer, BH_LAYER_TAR_OFFSET, r->tar_size, what, got, err) != 0)
        return err->code;
    if (strcmp(got, r->diff_id) != 0)
        return mismatch(what, "diff id read again", r->diff_id, got, err);
    if (blob < 0)
        return 0;
    if (store_hash_range(blob, 0, r->size, what, got, err) != 0)
        return err->code;
    if (strcmp(got, r->digest) != 0)
        return mismatch(what, "digest read again", r->digest, got, err);
    return 0;
}

/* ---- making -------------------------------------------------------------------------------- */

static int sync_file(struct store *s, int fd, const char *what, struct bh_err *err) {
    if (fdatasync(fd) != 0)
        return store_write_error(&s->place, errno, what, 0, err);
    return 0;
}

/* For whom. */
struct keeping {
    uid_t owner;
    int64_t lease;
    int64_t parked_ns; /* as in store_layer_source */
};

static int layer_row(struct store_db *db, uid_t owner, const struct store_layer_result *r, struct bh_err *err) {
    return store_exec(
        db, NULL, err,
        "INSERT INTO layer(diff_id, owner, state, durable, tar_size, file_size, index_offset, index_size, index_sha256,"
        " entries, added_ns, verified, content) VALUES(?,?,0,0,?,?,?,?,?,?,?,?,?) ON CONFLICT(diff_id) DO UPDATE SET "
        "state=0, "
        "durable=0, "
        "verified=excluded.verified,"
        " tar_size=excluded.tar_size, file_size=excluded.file_size, index_offset=excluded.index_offset,"
        " index_size=excluded.index_size, index_sha256=excluded.index_sha256, content=excluded.content WHERE state<>0",
        "tiiiiibiiii", r->diff_id, (int64_t)owner, (int64_t)r->tar_size, (int64_t)r->file_size,
        (int64_t)r->index_offset, (int64_t)r->index_size, (const void *)r->index_sha256, sizeof r->index_sha256,
        (int64_t)r->entries, bh_now_ns(), (int64_t)r->verified, (int64_t)r->content);
}

/* A blob that was there before keeps what it was known to be a form of: a worker that a hostile layer has taken
 * over could name any digest. */
static int blob_row(struct store_db *db, uid_t owner, const struct store_layer_result *r, struct bh_err *err) {
    bool known;
    int64_t k;

    if (store_blob_find(db, r->digest, &k, &known, err) != 0 ||
        store_blob_put(db, owner, r->digest, STORE_BLOB_LAYER, r->size, r->codec, err) != 0)
        return err->code;
    if (known)
        return 0;
    return store_exec(db, NULL, err, "UPDATE blob SET diff_id=? WHERE digest=?", "tt", r->diff_id, r->digest);
}

static int rows(struct store *s, const struct keeping *k, const struct store_layer_result *r, bool blob,
                struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0 || layer_row(db, k->owner, r, err) != 0 ||
        store_lease_add(db, k->lease, STORE_LEASE_LAYER, r->diff_id, err) != 0)
        return err->code;
    if (blob &&
        (blob_row(db, k->owner, r, err) != 0 || store_lease_add(db, k->lease, STORE_LEASE_BLOB, r->digest, err) != 0))
        return err->code;
    if (k->parked_ns != 0 && store_parked_add(db, k->owner, k->parked_ns, r->diff_id, blob ? r->digest : "", err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

/* What has this name already will stand for this layer too. */
static int verify_known(struct store *s, const struct store_layer_result *r, struct bh_err *err) {
    if (store_shared_verify(s, STORE_LAYERS, r->diff_id, err) != 0 ||
        (r->blob_written && store_shared_verify(s, STORE_BLOBS, r->digest, err) != 0))
        return err->code;
    return 0;
}

static int name_alone(struct store *s, const struct keeping *k, struct store_temp *layer, struct store_temp *blob,
                      const struct store_layer_result *r, struct bh_err *err) {
    int result = 0;

    if (verify_known(s, r, err) != 0)
        return err->code;
    store_tidy_share(s);
    if (store_temp_publish(&s->place, layer, STORE_LAYERS, r->diff_id, err) != 0 ||
        (r->blob_written && store_temp_publish(&s->place, blob, STORE_BLOBS, r->digest, err) != 0) ||
        rows(s, k, r, r->blob_written, err) != 0)
        result = err->code;
    store_tidy_end(s);
    return result;
}

/* One at a time: a file that another thread named a moment ago is looked at like any other. */
static int name_files(struct store *s, const struct keeping *k, struct store_temp *layer, struct store_temp *blob,
                      const struct store_layer_result *r, struct bh_err *err) {
    struct store_flight_item item = {.key = "name"};

    if (verify_known(s, r, err) != 0) /* reading takes longer than the rest: most of it is done outside */
        return err->code;
    store_flight_enter(&s->flight, &item, NULL, NULL);
    name_alone(s, k, layer, blob, r, err);
    store_flight_leave(&s->flight, &item);
    return err->code;
}

struct telling {
    const struct store_layer_source *src;
    int layer;
};

static void tell_progress(void *arg) {
    const struct telling *t = arg;
    struct stat st;

    if (fstat(t->layer, &st) == 0 && st.st_size > BH_LAYER_TAR_OFFSET)
        t->src->progress(t->src->arg, (uint64_t)st.st_size - BH_LAYER_TAR_OFFSET);
}

static int work(struct store *s, const struct store_layer_source *src, int layer, int blob,
                struct store_layer_result *out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT;
    struct telling telling = {src, layer};
    struct store_job job = {
        .name = BH_JOB_LAYER,
        .what = src->what,
        .source = src->fd,
        .out = layer,
        .blob = blob,
        .flags = src->flags | (blob >= 0 ? BH_JOB_F_KEEP_BLOB : 0) | (src->drop_blob ? BH_JOB_F_PASSING_BLOB : 0),
        .offset = src->offset,
        .size = src->size,
        .resume = src->resume,
        .waits = src->waits,
        .cancel_fd = src->cancel_fd,
        .end_fd = src->end_fd,
        .progress = src->progress != NULL ? tell_progress : NULL,
        .arg = &telling,
    };

    if (store_worker_run(s, &job, &packed, err) != 0)
        return err->code;
    if (store_result_layer(&packed, out, err) != 0) {
        bh_err_prefix(err, "%s", src->what);
        return store_worker_full(&s->place, src->what, src->size, err);
    }
    return 0;
}

static int make_into(struct store *s, const struct keeping *k, const struct store_layer_source *src,
                     struct store_temp *layer, struct store_temp *blob, struct store_layer_result *r,
                     struct bh_err *err) {
    if (work(s, src, layer->fd, blob->fd, r, err) != 0)
        return err->code;
    if (blob->fd < 0 || src->drop_blob || strcmp(r->codec, "none") == 0)
        r->blob_written = false;
    if (check_wanted(src, r, err) != 0 || check_header(layer->fd, r, src->what, err) != 0)
        return err->code;
    /* the disk starts writing while this process reads */
    (void)sync_file_range(layer->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    r->verified = store_options_now(s).rehash;
    if (r->verified && check_again(layer->fd, r->blob_written ? blob->fd : -1, r, src->what, err) != 0)
        return err->code;
    if (sync_file(s, layer->fd, src->what, err) != 0 ||
        (r->blob_written && sync_file(s, blob->fd, src->what, err) != 0))
        return err->code;
    return name_files(s, k, layer, blob, r, err);
}

int store_layer_make(struct store *s, uid_t owner, int64_t lease, const struct store_layer_source *src,
                     struct store_layer_result *out, struct bh_err *err) {
    struct store_temp layer = STORE_TEMP_INIT;
    struct store_temp own = STORE_TEMP_INIT;
    struct store_temp *blob = src->partial != NULL ? src->partial : &own;
    const struct keeping keeping = {owner, lease, src->parked_ns};
    int r;

    if (store_temp_open(&s->place, &layer, err) != 0)
        return err->code;
    r = src->keep_blob && blob == &own ? store_temp_open(&s->place, &own, err) : 0;
    if (r == 0)
        r = make_into(s, &keeping, src, &layer, blob, out, err);
    store_temp_drop(&s->place, &layer);
    store_temp_drop(&s->place, &own);
    return r;
}

int store_layer_keep(struct store *s, uid_t owner, int64_t lease, struct store_temp *layer,
                     struct store_layer_result *r, const char *what, struct bh_err *err) {
    struct store_temp none = STORE_TEMP_INIT;
    const struct keeping keeping = {.owner = owner, .lease = lease};

    r->blob_written = false;
    if (check_header(layer->fd, r, what, err) != 0)
        return err->code;
    r->verified = store_options_now(s).rehash;
    if ((r->verified && check_again(layer->fd, -1, r, what, err) != 0) || sync_file(s, layer->fd, what, err) != 0)
        return err->code;
    return name_files(s, &keeping, layer, &none, r, err);
}

/* ---- one at a time ------------------------------------------------------------------------- */

#define LOOK_AGAIN_NS (200 * (BH_NSEC / 1000)) /* whether the caller is still there */

void store_flight_init(struct store_flight *f) {
    pthread_mutex_init(&f->lock, NULL);
    bh_cond_init(&f->changed);
    f->first = NULL;
}

void store_flight_fini(struct store_flight *f) {
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->changed);
}

static struct store_flight_item **flight_find(struct store_flight *f, const char *key) {
    struct store_flight_item **at = &f->first;

    while (*at != NULL && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    return at;
}

static void flight_add(struct store_flight *f, struct store_flight_item *item) {
    item->next = f->first;
    f->first = item;
}

static void flight_wait(struct store_flight *f) {
    bh_cond_wait_until(&f->changed, &f->lock, bh_mono_ns() + LOOK_AGAIN_NS);
}

bool store_flight_enter(struct store_flight *f, struct store_flight_item *item, bool (*cancelled)(void *arg),
                        void *arg) {
    bool go = true;

    pthread_mutex_lock(&f->lock);
    while (*flight_find(f, item->key) != NULL && (go = cancelled == NULL || !cancelled(arg)))
        flight_wait(f);
    if (go)
        flight_add(f, item);
    pthread_mutex_unlock(&f->lock);
    return go;
}

bool store_flight_try(struct store_flight *f, struct store_flight_item *item) {
    bool go;

    pthread_mutex_lock(&f->lock);
    go = *flight_find(f, item->key) == NULL;
    if (go)
        flight_add(f, item);
    pthread_mutex_unlock(&f->lock);
    return go;
}

void store_flight_leave(struct store_flight *f, struct store_flight_item *item) {
    struct store_flight_item **at;

    pthread_mutex_lock(&f->lock);
    at = flight_find(f, item->key);
    *at = item->next;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

/* A digest is not a right: a layer that another user brought counts as absent, so that naming it in a
 * config gives nobody its content.  It is then made of the bytes that came, and found to be there. */
int store_layer_claim(struct store *s, const struct store_who *who, int64_t lease, const struct store_layer_source *src,
                      bool *out_have, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    bool blob = src->keep_blob && src->digest[0] != '\0' && strcmp(src->digest, src->diff_id) != 0;
    int64_t k;

    *out_have = false;
    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0 ||
        store_get_int(db, &k, out_have, err,
                      "SELECT k FROM layer WHERE diff_id=?1 AND state=0 AND (?2 OR owner=?3 OR EXISTS(SELECT 1 FROM"
                      " image_layer il JOIN image i ON i.k=il.image WHERE il.layer=layer.k AND i.owner=?3) OR"
                      " EXISTS(SELECT 1 FROM cache_layer cl JOIN cache c ON c.k=cl.cache WHERE cl.layer=layer.k AND"
                      " c.owner=?3))",
                      "tii", src->diff_id, (int64_t)who->all, (int64_t)who->owner) != 0)
        return err->code;
    /* a blob that is known to unpack to this layer tells nothing that the layer does not */
    if (*out_have && blob && store_blob_of_layer(db, src->digest, src->diff_id, out_have, err) != 0)
        return err->code;
    if (!*out_have)
        return 0;
    if (store_lease_add(db, lease, STORE_LEASE_LAYER, src->diff_id, err) != 0 ||
        (blob && store_lease_add(db, lease, STORE_LEASE_BLOB, src->digest, err) != 0))
        return err->code;
    return store_write_commit(&db, err);
}

int store_layer_ensure(struct store *s, const struct store_who *who, int64_t lease,
                       const struct store_layer_source *src, bool *out_made, struct bh_err *err) {
    struct store_flight_item item = {0};
    struct store_layer_result result;
    bool have = false;
    int r;

    bh_str_copy(item.key, sizeof item.key, src->diff_id);
    store_flight_enter(&s->flight, &item, NULL, NULL);
    r = store_shared_verify(s, STORE_LAYERS, src->diff_id, err);
    if (r == 0 && src->digest[0] != '\0' && src->keep_blob)
        r = store_shared_verify(s, STORE_BLOBS, src->digest, err);
    if (r == 0)
        r = store_layer_claim(s, who, lease, src, &have, err);
    if (r == 0 && !have)
        r = store_layer_make(s, who->owner, lease, src, &result, err);
    store_flight_leave(&s->flight, &item);
    *out_made = !have;
    return r;
}
