/*
 * receive.c - see receive.h.
 */
#include "receive.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "image.h"
#include "layer.h"
#include "lease.h"
#include "oci/manifest.h"
#include "parked.h"
#include "partial.h"
#include "unpack/jobs.h"
#include "worker.h"

#define STEP          ((size_t)256 << 10)
#define SIZE_MAX_BLOB ((uint64_t)1 << 40)
/* A caller shows up for his descriptor within 10 s of his call or not at all (lib/rpc). */
#define LATE_NS (8 * BH_NSEC)

struct receiving {
    struct store *s;
    struct store_hold *h;
    const struct store_receive *r;
    struct store_partial partial;
    char what[100];
    uint64_t told; /* unpacked */
};

/* ---- checks -------------------------------------------------------------------------------- */

static int check_digest(const char *what, const char *text, struct bh_err *err) {
    struct bh_digest d;

    if (bh_digest_parse(text, &d, err) != 0)
        return bh_err_prefix(err, "%s", what);
    if (d.alg == BH_DIGEST_SHA256)
        return 0;
    bh_err_set(err, BH_E_UNIMPLEMENTED, "%s %.24s..: only sha256 content is stored here", what, text);
    return bh_err_reason(err, "digest-algorithm");
}

static int check(const struct store_receive *r, struct bh_err *err) {
    if (check_digest("layer", r->digest, err) != 0 ||
        (r->diff_id[0] != '\0' && check_digest("diff id", r->diff_id, err) != 0))
        return err->code;
    if (r->size > SIZE_MAX_BLOB)
        return bh_err_set(err, BH_E_LIMIT, "layer %.19s: %llu bytes are more than a layer may have", r->digest,
                          (unsigned long long)r->size);
    if (r->diff_id[0] != '\0' && bh_media_layer(r->media, NULL) == BH_LAYER_ENCRYPTED) {
        bh_err_set(err, BH_E_UNIMPLEMENTED, "layer %.19s is encrypted", r->digest);
        return bh_err_reason(err, "encrypted-layer");
    }
    return 0;
}

/* ---- blobs that are no layers -------------------------------------------------------------- */

/* A digest is not a right here either: the blob is this owner's, or in an image of his. */
static int claim_blob(struct receiving *x, bool *out_have, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    int64_t size;

    if (store_write_begin(x->s->index, STORE_LAZY, &db, err) != 0 ||
        store_get_int(db, &size, out_have, err,
                      "SELECT b.size FROM blob b WHERE b.digest=?1 AND b.state=0 AND (?2 OR b.owner=?3"
                      " OR EXISTS(SELECT 1 FROM manifest_layer ml JOIN manifest m ON m.k=ml.manifest JOIN image i"
                      "  ON i.k=m.image WHERE ml.digest=?1 AND i.owner=?3 AND i.artifact<>'')"
                      " OR EXISTS(SELECT 1 FROM image i WHERE i.config=b.k AND i.owner=?3))",
                      "tii", x->r->digest, (int64_t)x->h->who.all, (int64_t)x->h->who.owner) != 0)
        return err->code;
    if (!*out_have)
        return 0;
    if ((uint64_t)size != x->r->size) {
        bh_err_set(err, BH_E_DATA_LOSS, "%s: has %lld bytes, its descriptor says %llu", x->what, (long long)size,
                   (unsigned long long)x->r->size);
        return bh_err_reason(err, "size-mismatch");
    }
    if (store_lease_add(db, x->h->lease, STORE_LEASE_BLOB, x->r->digest, err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

static int wait_for_bytes(struct receiving *x, int fd, struct bh_err *err) {
    struct pollfd p[3] = {{.fd = fd, .events = POLLIN},
                          {.fd = x->r->cancel_fd, .events = POLLIN},
                          {.fd = x->h->end_fd, .events = POLLIN}};

    while (poll(p, BH_ARRAY_LEN(p), -1) < 0)
        if (errno != EINTR)
            return bh_err_errno(err, errno, "%s: wait for its bytes", x->what);
    if (p[1].revents != 0 || p[2].revents != 0)
        return bh_err_set(err, BH_E_CANCELLED, "%s: cancelled by the client", x->what);
    return 0;
}

static int hash_received(struct receiving *x, struct bh_hash *h, unsigned char *buf, struct bh_err *err) {
    uint64_t at = 0;

    while (at < x->partial.received) {
        size_t want = x->partial.received - at < STEP ? (size_t)(x->partial.received - at) : STEP;
        ssize_t n = bh_pread_full(x->partial.file.fd, buf, want, (off_t)at);

        if (n < 0 || (size_t)n < want)
            return bh_err_errno(err, n < 0 ? errno : EIO, "%s: read what came before", x->what);
        bh_hash_update(h, buf, want);
        at += want;
    }
    return 0;
}

/* Until the pipe's end. */
static int hash_pipe(struct receiving *x, int fd, struct bh_hash *h, unsigned char *buf, uint64_t *at,
                     struct bh_err *err) {
    for (;;) {
        ssize_t n;

        if (wait_for_bytes(x, fd, err) != 0)
            return err->code;
        n = read(fd, buf, STEP);
        if (n == 0)
            return 0;
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return bh_err_errno(err, errno, "%s: read its bytes", x->what);
        if ((uint64_t)n > x->r->size - *at) {
            bh_err_set(err, BH_E_DATA_LOSS, "%s: there is more data than its descriptor says", x->what);
            return bh_err_reason(err, "size-mismatch");
        }
        bh_hash_update(h, buf, (size_t)n);
        if (bh_pwrite_all(x->partial.file.fd, buf, (size_t)n, (off_t)*at) != 0)
            return store_write_error(&x->s->place, errno, x->what, (uint64_t)n, err);
        *at += (uint64_t)n;
    }
}

static int check_blob(struct receiving *x, uint64_t at, struct bh_hash *h, struct bh_err *err) {
    struct bh_digest got, want;
    char text[STORE_DIGEST_SIZE];

    if (at < x->r->size) {
        bh_err_set(err, BH_E_INVALID, "%s: the data ends %llu bytes too early", x->what,
                   (unsigned long long)(x->r->size - at));
        return bh_err_reason(err, "short");
    }
    if (bh_hash_final(h, &got, err) != 0 || bh_digest_parse(x->r->digest, &want, err) != 0)
        return err->code;
    if (bh_digest_equal(&got, &want))
        return 0;
    bh_digest_format(&got, text);
    bh_err_set(err, BH_E_DATA_LOSS, "%s: digest is %s, expected %s", x->what, text, x->r->digest);
    return bh_err_reason(err, "digest-mismatch");
}

/* What has come is kept, if the image does not, as long as an unfinished download. */
static int64_t parked_until(struct receiving *x) {
    return x->r->alone || store_options_now(x->s).partial_days == 0 ? 0 : store_partial_expiry(x->s);
}

/* Hashed by this room: verified. */
static int blob_rows(struct receiving *x, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    int64_t until = parked_until(x);

    if (store_write_begin(x->s->index, STORE_LAZY, &db, err) != 0 ||
        store_blob_put(db, x->h->who.owner, x->r->digest, STORE_BLOB_OTHER, x->r->size, "", err) != 0 ||
        store_lease_add(db, x->h->lease, STORE_LEASE_BLOB, x->r->digest, err) != 0 ||
        (until != 0 && store_parked_add(db, x->h->who.owner, until, "", x->r->digest, err) != 0))
        return err->code;
    return store_write_commit(&db, err);
}

static int name_blob(struct receiving *x, struct bh_err *err) {
    int r = 0;

    if (fdatasync(x->partial.file.fd) != 0)
        return store_write_error(&x->s->place, errno, x->what, 0, err);
    if (store_shared_verify(x->s, STORE_BLOBS, x->r->digest, err) != 0)
        return err->code;
    pthread_rwlock_rdlock(&x->s->tidy);
    if (store_temp_publish(&x->s->place, &x->partial.file, STORE_BLOBS, x->r->digest, err) != 0 ||
        blob_rows(x, err) != 0)
        r = err->code;
    pthread_rwlock_unlock(&x->s->tidy);
    return r;
}

static int receive_blob(struct receiving *x, int fd, struct bh_err *err) {
    BH_SCOPE_HASH struct bh_hash h = BH_HASH_INIT;
    BH_SCOPE_FREE unsigned char *buf = malloc(STEP);
    uint64_t at = x->partial.received;

    if (buf == NULL)
        return bh_err_set(err, BH_E_LIMIT, "%s: no memory to receive it", x->what);
    if (bh_sha256_init(&h, err) != 0 || hash_received(x, &h, buf, err) != 0 ||
        hash_pipe(x, fd, &h, buf, &at, err) != 0 || check_blob(x, at, &h, err) != 0)
        return err->code;
    return name_blob(x, err);
}

/* ---- layers -------------------------------------------------------------------------------- */

static struct store_layer_source source_of(struct receiving *x) {
    enum store_keep keep = store_options_now(x->s).keep;

    return (struct store_layer_source){
        .size = x->r->size - x->partial.received,
        .flags = BH_JOB_F_EXACT,
        .keep_blob = keep == STORE_KEEP_ALWAYS || (keep == STORE_KEEP_SOURCE && x->r->source[0] == '\0'),
        .waits = true,
        .digest = x->r->digest,
        .digest_size = x->r->size,
        .diff_id = x->r->diff_id,
        .what = x->what,
        .cancel_fd = x->r->cancel_fd,
        .end_fd = x->h->end_fd,
    };
}

static void tell_unpacked(void *arg, uint64_t unpacked) {
    struct receiving *x = arg;

    if (unpacked == x->told)
        return;
    x->told = unpacked;
    x->r->event(x->r->arg, &(struct store_receive_event){.unpacked = unpacked});
}

static int receive_layer(struct receiving *x, int fd, struct bh_err *err) {
    struct store_layer_source src = source_of(x);
    struct store_layer_result result;

    src.fd = fd;
    src.partial = &x->partial.file;
    src.resume = x->partial.received;
    src.drop_blob = !src.keep_blob;
    src.keep_blob = true; /* while it is received */
    src.parked_ns = parked_until(x);
    src.progress = tell_unpacked;
    src.arg = x;
    return store_layer_make(x->s, x->h->who.owner, x->h->lease, &src, &result, err);
}

static int claim(struct receiving *x, bool *out_have, struct bh_err *err) {
    const struct store_layer_source src = source_of(x);

    *out_have = false;
    if (x->r->diff_id[0] == '\0')
        return store_shared_verify(x->s, STORE_BLOBS, x->r->digest, err) != 0 ? err->code
                                                                              : claim_blob(x, out_have, err);
    if (store_shared_verify(x->s, STORE_LAYERS, x->r->diff_id, err) != 0 ||
        (src.keep_blob && store_shared_verify(x->s, STORE_BLOBS, x->r->digest, err) != 0))
        return err->code;
    return store_layer_claim(x->s, &x->h->who, x->h->lease, &src, out_have, err);
}

/* ---- both ---------------------------------------------------------------------------------- */

/* Is what has come still good for something? */
static bool worth_keeping(const struct bh_err *err) {
    return strcmp(err->reason, "short") == 0 || strcmp(err->reason, "disk-full") == 0 || err->code == BH_E_CANCELLED ||
           err->code == BH_E_UNAVAILABLE;
}

static int receive(struct receiving *x, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;
    bool layer = x->r->diff_id[0] != '\0';

    if (store_room_check(&x->s->place, x->what, x->r->size, err) != 0 ||
        store_partial_open(x->s, x->h->who.owner, x->r->digest, x->r->size, x->r->restart, &x->partial, err) != 0)
        return err->code;
    if (x->r->pipe(x->r->arg, x->partial.received, &fd, err) == 0)
        (void)(layer ? receive_layer(x, fd, err) : receive_blob(x, fd, err));
    else if (err->code != BH_E_CANCELLED)
        bh_err_prefix(err, "%s", x->what);
    if (err->code != 0 && (worth_keeping(err) || fd < 0))
        store_partial_keep(x->s, &x->partial);
    else
        store_partial_drop(x->s, &x->partial);
    return err->code;
}

static int receive_alone(struct receiving *x, bool late, struct bh_err *err) {
    bool have;

    if (claim(x, &have, err) != 0)
        return err->code;
    if (have) {
        x->r->event(x->r->arg, &(struct store_receive_event){.have = true});
        return 0;
    }
    if (late) {
        bh_err_set(err, BH_E_ABORTED, "%s: the download that this one waited for has failed", x->what);
        return bh_err_reason(err, "again");
    }
    if (receive(x, err) != 0)
        return err->code;
    x->r->event(x->r->arg, &(struct store_receive_event){.done = true});
    return 0;
}

static bool given_up(void *arg) {
    const struct receiving *x = arg;
    struct pollfd p = {.fd = x->h->end_fd, .events = POLLIN};

    return x->r->cancelled(x->r->arg) || poll(&p, 1, 0) > 0;
}

static int begin(struct receiving *x, struct store *s, struct store_hold *h, const struct store_receive *r,
                 struct bh_err *err) {
    *x = (struct receiving){.s = s, .h = h, .r = r, .partial = {.file = STORE_TEMP_INIT}};
    snprintf(x->what, sizeof x->what, "%s %.19s", r->diff_id[0] != '\0' ? "layer" : "blob", r->digest);
    return check(r, err);
}

int store_receive_have(struct store *s, struct store_hold *h, const struct store_receive *r, bool *out_have,
                       struct bh_err *err) {
    struct receiving x;

    return begin(&x, s, h, r, err) == 0 ? claim(&x, out_have, err) : err->code;
}

int store_receive(struct store *s, struct store_hold *h, const struct store_receive *r, struct bh_err *err) {
    struct receiving x;
    struct store_flight_item item;
    int64_t since = bh_mono_ns();

    if (begin(&x, s, h, r, err) != 0)
        return err->code;
    store_partial_key(&item, h->who.owner, r->digest);
    if (!store_flight_try(&s->flight, &item)) {
        r->event(r->arg, &(struct store_receive_event){.waiting = true});
        if (!store_flight_enter(&s->flight, &item, given_up, &x))
            return bh_err_set(err, BH_E_CANCELLED, "%s: cancelled by the client", x.what);
    }
    receive_alone(&x, bh_mono_ns() - since > LATE_NS, err);
    store_flight_leave(&s->flight, &item);
    return err->code;
}
