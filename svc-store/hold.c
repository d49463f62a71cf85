/*
 * hold.c - see hold.h.
 */
#include "hold.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "gc.h"
#include "layer/layer_format.h"
#include "lease.h"
#include "oci/digest.h"
#include "place.h"

#define HOLD_BYTES ((size_t)48 << 20)  /* documents of one hold */
#define ALL_BYTES  ((size_t)256 << 20) /* of all */

struct store_hold_part {
    struct store_hold_part *next;
    char digest[STORE_DIGEST_SIZE];
    struct bh_buf data;
};

/* ---- life ---------------------------------------------------------------------------------- */

static uint64_t new_id(const struct store_holds *t) {
    uint64_t id = 0;
    const struct store_hold *h;

    do {
        if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
            id++; /* the caller's uid is what protects a hold */
        for (h = t->first; h != NULL && h->id != id; h = h->next)
            continue;
    } while (id == 0 || h != NULL);
    return id;
}

static void hold_free(struct store_hold *h) {
    struct store_hold_part *p;
    struct store_hold_doc *d;

    while ((p = h->parts) != NULL) {
        h->parts = p->next;
        bh_buf_fini(&p->data);
        free(p);
    }
    while ((d = h->docs) != NULL) {
        h->docs = d->next;
        free(d);
    }
    if (h->end_fd >= 0)
        close(h->end_fd);
    free(h);
}

int store_hold_open(struct store *s, uid_t caller, const struct store_who *who, const char *purpose,
                    struct store_hold **out, struct bh_err *err) {
    struct store_hold *h = bh_xcalloc(1, sizeof *h);

    h->caller = caller;
    h->who = *who;
    h->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->end_fd < 0)
        bh_err_errno(err, errno, "make a hold");
    else
        store_lease_take(s, who->owner, purpose, &h->lease, err);
    if (err->code != 0) {
        hold_free(h);
        return err->code;
    }
    pthread_mutex_lock(&s->holds.lock);
    h->id = new_id(&s->holds);
    h->next = s->holds.first;
    s->holds.first = h;
    pthread_mutex_unlock(&s->holds.lock);
    *out = h;
    return 0;
}

static void ring(int fd) {
    const uint64_t one = 1;

    (void)!write(fd, &one, sizeof one);
}

void store_hold_close(struct store *s, struct store_hold *h) {
    struct store_hold **at = &s->holds.first;

    pthread_mutex_lock(&s->holds.lock);
    h->ended = true;
    ring(h->end_fd);
    while (h->uses > 0)
        pthread_cond_wait(&s->holds.changed, &s->holds.lock);
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    s->holds.bytes -= h->bytes;
    pthread_mutex_unlock(&s->holds.lock);
    store_lease_drop(s, &h->lease);
    store_gc_now(s);
    hold_free(h);
}

static int use(struct store *s, uint64_t id, const uid_t *caller, struct store_hold **out, struct bh_err *err) {
    struct store_hold *h;

    pthread_mutex_lock(&s->holds.lock);
    h = s->holds.first;
    while (h != NULL && (h->id != id || h->ended || (caller != NULL ? h->caller != *caller : !h->lent)))
        h = h->next;
    if (h != NULL)
        h->uses++;
    pthread_mutex_unlock(&s->holds.lock);
    if (h == NULL) {
        bh_err_set(err, BH_E_NOT_FOUND, "there is no such hold: its call has ended");
        return bh_err_reason(err, "no-hold");
    }
    *out = h;
    return 0;
}

int store_hold_use(struct store *s, uint64_t id, uid_t caller, struct store_hold **out, struct bh_err *err) {
    return use(s, id, &caller, out, err);
}

int store_hold_use_lent(struct store *s, uint64_t id, struct store_hold **out, struct bh_err *err) {
    return use(s, id, NULL, out, err);
}

void store_hold_done(struct store *s, struct store_hold *h) {
    pthread_mutex_lock(&s->holds.lock);
    if (--h->uses == 0)
        pthread_cond_broadcast(&s->holds.changed);
    pthread_mutex_unlock(&s->holds.lock);
}

static int too_much(struct bh_err *err) {
    return bh_err_set(err, BH_E_LIMIT, "more than %zu MiB of manifests and configs at once", HOLD_BYTES >> 20);
}

/* ---- documents ----------------------------------------------------------------------------- */

static struct store_hold_doc *find(struct store_hold *h, const char *digest, enum store_doc_kind kind) {
    struct store_hold_doc *d = h->docs;

    while (d != NULL && (d->kind != kind || strcmp(d->digest, digest) != 0))
        d = d->next;
    return d;
}

const struct store_hold_doc *store_hold_find(struct store *s, struct store_hold *h, const char *digest,
                                             enum store_doc_kind kind) {
    const struct store_hold_doc *d;

    pthread_mutex_lock(&s->holds.lock);
    d = find(h, digest, kind);
    pthread_mutex_unlock(&s->holds.lock);
    return d;
}

static struct store_hold_doc *copy_doc(const struct store_hold_doc *doc) {
    struct store_hold_doc *d = malloc(sizeof *d + doc->n + doc->n_packed);
    char *to;

    if (d == NULL)
        return NULL;
    *d = *doc;
    to = (char *)(d + 1);
    if (doc->n > 0)
        memcpy(to, doc->data, doc->n);
    if (doc->n_packed > 0)
        memcpy(to + doc->n, doc->packed, doc->n_packed);
    d->data = to;
    d->packed = to + doc->n;
    return d;
}

int store_hold_add(struct store *s, struct store_hold *h, const struct store_hold_doc *doc,
                   const struct store_hold_doc **out, struct bh_err *err) {
    size_t n = doc->n + doc->n_packed;
    struct store_hold_doc *d;

    pthread_mutex_lock(&s->holds.lock);
    d = find(h, doc->digest, doc->kind);
    if (d == NULL && h->bytes + n <= HOLD_BYTES && s->holds.bytes + n <= ALL_BYTES && (d = copy_doc(doc)) != NULL) {
        h->bytes += n;
        s->holds.bytes += n;
        d->next = h->docs;
        h->docs = d;
    }
    pthread_mutex_unlock(&s->holds.lock);
    if (d == NULL)
        return too_much(err);
    *out = d;
    return 0;
}

static struct store_hold_part **part_find(struct store_hold *h, const char *digest) {
    struct store_hold_part **at = &h->parts;

    while (*at != NULL && strcmp((*at)->digest, digest) != 0)
        at = &(*at)->next;
    return at;
}

int store_hold_part(struct store *s, struct store_hold *h, const char *digest, const void *data, size_t n,
                    struct bh_err *err) {
    struct store_hold_part *p;
    bool fits;

    pthread_mutex_lock(&s->holds.lock);
    fits = h->bytes + n <= HOLD_BYTES && s->holds.bytes + n <= ALL_BYTES;
    p = *part_find(h, digest);
    if (p == NULL && fits) {
        p = bh_xcalloc(1, sizeof *p);
        bh_str_copy(p->digest, sizeof p->digest, digest);
        bh_buf_init(&p->data, HOLD_BYTES);
        p->next = h->parts;
        h->parts = p;
    }
    if (fits) {
        bh_buf_add(&p->data, data, n);
        h->bytes += n;
        s->holds.bytes += n;
    }
    pthread_mutex_unlock(&s->holds.lock);
    return fits ? 0 : too_much(err);
}

void store_hold_parts(struct store *s, struct store_hold *h, const char *digest, struct bh_buf *out) {
    struct store_hold_part **at;
    struct store_hold_part *p;

    pthread_mutex_lock(&s->holds.lock);
    at = part_find(h, digest);
    p = *at;
    if (p != NULL) {
        *at = p->next;
        h->bytes -= p->data.len;
        s->holds.bytes -= p->data.len;
        *out = p->data;
    }
    pthread_mutex_unlock(&s->holds.lock);
    free(p);
}

/* ---- blobs ----------------------------------------------------------------------- */

static int find_blob(struct store *s, struct store_hold *h, const char *digest, enum store_tree *out_tree,
                     uint64_t *out_size, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    int64_t size = 0;
    bool found;

    if (store_read_begin(s->index, &db, err) != 0 ||
        store_get_int(db, &size, &found, err,
                      "SELECT b.size FROM lease_item li JOIN blob b ON b.digest=li.digest WHERE li.lease=?"
                      " AND li.kind=2 AND li.digest=? AND b.state=0",
                      "it", h->lease, digest) != 0)
        return err->code;
    *out_tree = STORE_BLOBS;
    if (!found) {
        if (store_get_int(db, &size, &found, err,
                          "SELECT l.tar_size FROM lease_item li JOIN layer l ON l.diff_id=li.digest WHERE li.lease=?"
                          " AND li.kind=1 AND li.digest=? AND l.state=0",
                          "it", h->lease, digest) != 0)
            return err->code;
        *out_tree = STORE_LAYERS;
    }
    *out_size = (uint64_t)size;
    if (found)
        return 0;
    bh_err_set(err, BH_E_NOT_FOUND, "blob %.19s is not under this hold", digest);
    return bh_err_reason(err, "no-blob");
}

int store_hold_blob(struct store *s, struct store_hold *h, const char *digest, int *out_fd, uint64_t *out_offset,
                    uint64_t *out_size, struct bh_err *err) {
    struct bh_digest d;
    enum store_tree tree = STORE_BLOBS;

    if (bh_digest_parse(digest, &d, err) != 0 || find_blob(s, h, digest, &tree, out_size, err) != 0)
        return err->code;
    *out_offset = tree == STORE_LAYERS ? BH_LAYER_TAR_OFFSET : 0;
    return store_file_open(&s->place, tree, digest, out_fd, err);
}
