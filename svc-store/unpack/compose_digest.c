/*
 * compose_digest.c - what the items of a request take, as one digest: the same files give the same one, whenever they
 * were written and whichever way they came.
 *
 * Room: worker.  Contents of a context are known by their digests already; those of layers are read.
 */
#include <errno.h>
#include <string.h>

#include "base/fdio.h"
#include "unpack/compose.h"
#include "unpack/limit.h"

#define STEP ((size_t)256 << 10)

struct digesting {
    struct unp_compose *c;
    struct bh_hash hash;
    struct unp_same same;
};

static void put_u64(struct bh_hash *h, uint64_t v) {
    bh_sha256_update(h, &v, sizeof v);
}

static void put_text(struct bh_hash *h, const void *s, size_t n) {
    put_u64(h, n);
    bh_sha256_update(h, s, n);
}

static int put_content(struct digesting *d, const struct unp_file *f, struct bh_err *err) {
    static unsigned char buf[STEP];
    struct bh_hash h = BH_HASH_INIT;
    struct bh_digest digest;
    uint64_t at = f->at;
    uint64_t left = f->size;

    if (f->sha256 != NULL) {
        bh_sha256_update(&d->hash, f->sha256, 32);
        return 0;
    }
    if (bh_sha256_init(&h, err) != 0)
        return err->code;
    while (left > 0) {
        size_t n = left < sizeof buf ? (size_t)left : sizeof buf;
        ssize_t got = bh_pread_full(f->fd, buf, n, (off_t)at);

        if (got != (ssize_t)n) {
            bh_hash_fini(&h);
            return got < 0 ? bh_err_errno(err, errno, "read of a file to copy")
                           : bh_err_set(err, BH_E_DATA_LOSS, "a file to copy is shorter than it should be");
        }
        bh_sha256_update(&h, buf, n);
        at += n;
        left -= n;
    }
    if (bh_sha256_final(&h, &digest, err) != 0)
        return err->code;
    bh_sha256_update(&d->hash, digest.bytes, 32);
    return 0;
}

/* The picks are in the order of a walk: name and number of the folder tell where a file is. */
static int put_pick(struct digesting *d, const unp_item_msg *item, const struct unp_match *m, uint32_t i,
                    struct bh_err *err) {
    const struct unp_pick *k = &d->c->picks.v[i];
    struct unp_file f;
    uint32_t first = i;

    if (unp_view_file(k->node, &f, err) != 0)
        return err->code;
    bool dir = S_ISDIR(f.mode);
    if (unp_compose_attributes(d->c, item, &f, err) != 0)
        return err->code;
    if (f.same != 0 && !unp_same_note(&d->same, k->node->view, f.same, i, &first))
        return bh_err_set(err, BH_E_LIMIT, "not enough memory to copy so many files");
    put_u64(&d->hash, i == m->first ? 0 : k->parent - m->first + 1);
    if (i == m->first)
        put_text(&d->hash, m->base.s, dir ? 0 : m->base.n); /* a folder's own name does not count */
    else
        put_text(&d->hash, k->name, k->name_len);
    put_u64(&d->hash,
            (uint64_t)(f.mode | (uint32_t)k->node->hides << 16) << 32 | (first == i ? 0 : first - m->first + 1));
    put_u64(&d->hash, (uint64_t)f.uid << 32 | f.gid);
    put_u64(&d->hash, S_ISREG(f.mode) ? f.size : 0);
    put_text(&d->hash, f.link.s, S_ISLNK(f.mode) ? f.link.n : 0);
    put_text(&d->hash, f.xattrs.s, f.xattrs.n);
    return S_ISREG(f.mode) && f.size > 0 ? put_content(d, &f, err) : 0;
}

static void put_item(struct digesting *d, const unp_item_msg *item) {
    struct bh_hash *h = &d->hash;

    put_text(h, item->target.data, item->target.len);
    put_u64(h, (uint64_t)item->uid);
    put_u64(h, (uint64_t)item->gid);
    put_text(h, item->chmod, strlen(item->chmod));
    put_u64(h, (uint64_t)item->parents | (uint64_t)item->unpack << 1 | (uint64_t)item->mkdir << 2 |
                   (uint64_t)item->contents << 3 | (uint64_t)(item->from != NULL) << 4 | (uint64_t)item->mode << 32);
    put_text(h, item->data.data, item->data.len);
}

static int digest_all(struct digesting *d, struct bh_err *err) {
    const struct unp_picks *k = &d->c->picks;
    uint32_t next = 0;

    for (uint32_t i = 0; i < d->c->job->request->n_item; i++) {
        const unp_item_msg *item = d->c->job->request->item[i];

        put_item(d, item);
        for (; next < k->n_match && k->match[next].item == i; next++) {
            put_u64(&d->hash, UINT64_MAX); /* a match begins */
            for (uint32_t n = k->match[next].first; n < k->match[next].end; n++)
                if (put_pick(d, item, &k->match[next], n, err) != 0)
                    return err->code;
        }
    }
    return 0;
}

/* ---- where it goes --------------------------------------------------------------------------- */

/* Numbers of names, inodes and contents are given in the order of placing. */
static void put_name(struct bh_hash *h, const struct unp_dent *d) {
    put_u64(h, (uint64_t)d->parent << 32 | d->inode);
    put_u64(h, d->flags);
    put_text(h, d->name, d->name_len);
}

static void put_inode(struct bh_hash *h, const struct unp_inode *i) {
    put_u64(h, i->mode);
    put_u64(h, (uint64_t)i->uid << 32 | i->gid);
    put_u64(h, S_ISREG(i->mode) ? i->u.at : 0);
    put_u64(h, unp_inode_is_dir(i) ? 0 : i->size);
    put_text(h, i->u.link, S_ISLNK(i->mode) ? i->size : 0);
    put_text(h, i->xattrs != NULL ? i->xattrs->bytes : NULL, i->xattrs != NULL ? i->xattrs->len : 0);
}

int unp_compose_place_digest(struct unp_compose *c, struct bh_digest *out, struct bh_err *err) {
    struct bh_hash h = BH_HASH_INIT;

    if (bh_sha256_init(&h, err) != 0)
        return err->code;
    put_u64(&h, c->placed == 0);
    put_u64(&h, c->tree.dents.n);
    for (uint32_t i = UNP_ROOT; i < c->tree.dents.n; i++)
        put_name(&h, unp_dent_at(&c->tree, i));
    for (uint32_t i = 1; i < c->tree.inodes.n; i++)
        put_inode(&h, unp_inode_at(&c->tree, i));
    bh_sha256_final(&h, out, err);
    bh_hash_fini(&h);
    return err->code;
}

/* ---- what is taken --------------------------------------------------------------------------- */

int unp_compose_digest(struct unp_compose *c, struct bh_digest *out, struct bh_err *err) {
    struct digesting d = {.c = c, .hash = BH_HASH_INIT};
    int rc = bh_sha256_init(&d.hash, err);

    if (rc == 0)
        rc = digest_all(&d, err);
    if (rc == 0)
        rc = bh_sha256_final(&d.hash, out, err);
    bh_hash_fini(&d.hash);
    unp_same_fini(&d.same);
    return rc;
}
