/*
 * tar_entry.c - which of several headers decides: name, size, owner, time, sparse map.
 *
 * Room: worker.  Trusts nothing.  PAX wins over the plain header, also for the size that tells where
 * the next header is; two sources that contradict each other are refused.
 */
#include "unpack/tar_entry.h"

#include <string.h>

#include "unpack/tar_number.h"
#include "unpack/limit.h"

#define SIZE_MAX_ENTRY ((uint64_t)1 << 62)

static int bad(const struct unp_tar *t, struct bh_err *err, const char *what) {
    bh_err_set(err, BH_E_INVALID, "tar: entry at byte %llu: %s", (unsigned long long)t->entry_at, what);
    return bh_err_reason(err, "invalid-tar");
}

static int limit(const struct unp_tar *t, struct bh_err *err, const char *what, const char *name, uint64_t max) {
    bh_err_set(err, BH_E_LIMIT, "tar: entry at byte %llu: %s, %s is %llu", (unsigned long long)t->entry_at, what, name,
               (unsigned long long)max);
    return unp_limit(err, name);
}

static bool type_of(const struct unp_tar_header *h, enum unp_type *out) {
    static const enum unp_type plain[] = {UNP_REG, UNP_LINK, UNP_SYMLINK, UNP_CHR, UNP_BLK, UNP_DIR, UNP_FIFO, UNP_REG};
    if (h->type >= '0' && h->type <= '7') {
        *out = plain[h->type - '0'];
        return true;
    }
    *out = UNP_REG;
    return h->type == 'S' && h->form == UNP_TAR_GNU;
}

/* ---- names --------------------------------------------------------------------------------- */

static bool same(const struct bh_buf *a, struct unp_text b) {
    return a->len == b.n && memcmp(a->data, b.s, b.n) == 0;
}

static struct unp_text joined(struct unp_tar *t, const struct unp_tar_header *h) {
    if (h->prefix_len == 0)
        return (struct unp_text){h->name, h->name_len};
    bh_buf_reset(&t->name);
    bh_buf_add(&t->name, h->prefix, h->prefix_len);
    bh_buf_addc(&t->name, '/');
    bh_buf_add(&t->name, h->name, h->name_len);
    return (struct unp_text){bh_buf_str(&t->name), t->name.len};
}

static int name_of(struct unp_tar *t, struct unp_text *out, struct bh_err *err) {
    const struct unp_pax *p = &t->pax;
    if (t->has_long_name && t->has_pax && p->path.s != NULL && !same(&t->long_name, p->path))
        return bad(t, err, "a PAX name and a GNU name that differ");
    if (t->has_pax && p->sparse && p->sparse_name.s != NULL)
        *out = p->sparse_name;
    else if (t->has_pax && p->path.s != NULL)
        *out = p->path;
    else if (t->has_long_name)
        *out = (struct unp_text){t->long_name.data, t->long_name.len};
    else
        *out = joined(t, &t->header);
    if (out->n == 0)
        return bad(t, err, "the name is empty");
    if (out->n > t->limits.max_path)
        return limit(t, err, "a name is too long", "limits.path", t->limits.max_path);
    return 0;
}

static int link_of(struct unp_tar *t, enum unp_type type, struct unp_text *out, struct bh_err *err) {
    const struct unp_pax *p = &t->pax;
    *out = (struct unp_text){NULL, 0};
    if (type != UNP_LINK && type != UNP_SYMLINK)
        return 0;
    if (t->has_long_link && t->has_pax && p->link.s != NULL && !same(&t->long_link, p->link))
        return bad(t, err, "a PAX link target and a GNU link target that differ");
    if (t->has_pax && p->link.s != NULL)
        *out = p->link;
    else if (t->has_long_link)
        *out = (struct unp_text){t->long_link.data, t->long_link.len};
    else
        *out = (struct unp_text){t->header.link, t->header.link_len};
    if (out->n == 0)
        return bad(t, err, "a link without target");
    if (out->n > t->limits.max_path)
        return limit(t, err, "a link target is too long", "limits.path", t->limits.max_path);
    return 0;
}

/* ---- owner and time ------------------------------------------------------------------------ */

static int owner_of(const struct unp_tar *t, struct unp_entry *e, struct bh_err *err) {
    const struct unp_pax *p = t->has_pax ? &t->pax : &t->global;
    const struct unp_pax *u = p->has_uid ? p : &t->global;
    const struct unp_pax *g = p->has_gid ? p : &t->global;
    int64_t uid = u->has_uid ? (int64_t)u->uid : t->header.uid;
    int64_t gid = g->has_gid ? (int64_t)g->gid : t->header.gid;
    if (uid < 0 || uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX)
        return bad(t, err, "an owner is not a number of 32 bits");
    e->uid = (uint32_t)uid;
    e->gid = (uint32_t)gid;
    return 0;
}

static void time_of(const struct unp_tar *t, struct unp_entry *e) {
    const struct unp_pax *p = t->has_pax && t->pax.has_mtime ? &t->pax : &t->global;
    e->mtime = p->has_mtime ? p->mtime : t->header.mtime;
    e->mtime_nsec = p->has_mtime ? p->mtime_nsec : 0;
}

/* ---- sparse -------------------------------------------------------------------------------- */

static int begin_old_sparse(struct unp_tar *t, struct bh_err *err) {
    const unsigned char *b = t->header.block;
    int64_t real = 0;
    if (!unp_tar_field(b + 483, 12, &real) || real < 0)
        return bad(t, err, "a sparse file's size is not a number");
    t->real_size = (uint64_t)real;
    int rc = unp_sparse_add_old(&t->sparse, b + 386, 4, err);
    if (rc != 0)
        return rc;
    if (b[482] == 0)
        return unp_tar_tell_entry(t, err);
    t->state = UNP_TAR_OLD_SPARSE;
    return 0;
}

static int add_pairs(struct unp_tar *t, struct bh_err *err) {
    for (size_t i = 0; i + 16 <= t->pax.pairs.len; i += 16) {
        uint64_t pair[2];
        memcpy(pair, t->pax.pairs.data + i, sizeof pair);
        int rc = unp_sparse_add(&t->sparse, pair[0], pair[1], err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int begin_pax_sparse(struct unp_tar *t, struct bh_err *err) {
    const struct unp_pax *p = &t->pax;
    if (!p->has_real)
        return bad(t, err, "a sparse file without its size");
    t->real_size = p->real_size;
    if (p->has_major && p->major == 1 && p->has_minor && p->minor == 0) {
        if (p->pairs.len != 0 || p->sparse_map.s != NULL)
            return bad(t, err, "a sparse file with two maps");
        t->lines = (struct unp_sparse_lines){0};
        t->state = UNP_TAR_MAP;
        return 0;
    }
    if ((p->has_major && p->major != 0) || (p->pairs.len != 0 && p->sparse_map.s != NULL))
        return bad(t, err, "a form of sparse file that is not known");
    int rc = p->sparse_map.s != NULL ? unp_sparse_add_text(&t->sparse, p->sparse_map.s, p->sparse_map.n, err)
                                     : add_pairs(t, err);
    return rc != 0 ? rc : unp_tar_tell_entry(t, err);
}

/* Later blocks will come before the entry can be told: keep the header. */
static void keep_header(struct unp_tar *t) {
    const unsigned char *from = t->header.block;
    struct unp_tar_header *h = &t->header;
    memcpy(t->entry_block, from, UNP_TAR_BLK);
    h->name = (const char *)t->entry_block + (h->name - (const char *)from);
    h->link = (const char *)t->entry_block + (h->link - (const char *)from);
    if (h->prefix_len != 0)
        h->prefix = (const char *)t->entry_block + (h->prefix - (const char *)from);
    h->block = t->entry_block;
}

/* ---- the entry ----------------------------------------------------------------------------- */

int unp_tar_begin_entry(struct unp_tar *t, const struct unp_tar_header *h, struct bh_err *err) {
    enum unp_type type;
    t->header = *h;
    t->entry_at = t->at - UNP_TAR_BLK;
    t->stored = t->has_pax && t->pax.has_size ? t->pax.size : (uint64_t)h->size;
    if (unp_tar_no_data(h->type))
        t->stored = 0;
    if (t->stored > SIZE_MAX_ENTRY)
        return bad(t, err, "the size is out of range");
    if (h->type == 'V') { /* a volume label, not a file */
        unp_tar_clear_pending(t);
        unp_tar_pass_data(t, t->stored);
        return 0;
    }
    if (!type_of(h, &type)) {
        bh_err_set(err, BH_E_INVALID, "tar: entry at byte %llu: type 0x%02x is not supported",
                   (unsigned long long)t->entry_at, (unsigned char)h->type);
        return bh_err_reason(err, "invalid-tar");
    }
    bool pax_sparse = t->has_pax && t->pax.sparse;
    t->is_sparse = h->type == 'S' || pax_sparse;
    if (!t->is_sparse)
        return unp_tar_tell_entry(t, err);
    if (type != UNP_REG || (h->type == 'S' && pax_sparse))
        return bad(t, err, "a sparse map where none belongs");
    keep_header(t);
    return pax_sparse ? begin_pax_sparse(t, err) : begin_old_sparse(t, err);
}

static int fill_entry(struct unp_tar *t, struct unp_entry *e, struct bh_err *err) {
    int rc;
    if (!type_of(&t->header, &e->type))
        return bad(t, err, "an unknown type");
    if ((rc = name_of(t, &e->name, err)) != 0 || (rc = link_of(t, e->type, &e->link, err)) != 0 ||
        (rc = owner_of(t, e, err)) != 0)
        return rc;
    if (t->header.old_regular && e->name.s[e->name.n - 1] == '/') {
        e->type = UNP_DIR;
        t->stored = 0;
    }
    time_of(t, e);
    e->mode = t->header.mode;
    e->data_at = t->at;
    e->data_size = t->stored;
    e->size = t->is_sparse ? t->real_size : t->stored;
    e->sparse = t->is_sparse ? &t->sparse : NULL;
    e->xattrs = t->pax.xattrs;
    e->n_xattrs = t->has_pax ? t->pax.n_xattrs : 0;
    return t->is_sparse ? unp_sparse_check(&t->sparse, t->real_size, t->stored, t->entry_at, err) : 0;
}

int unp_tar_tell_entry(struct unp_tar *t, struct bh_err *err) {
    struct unp_entry e = {0};
    int rc = fill_entry(t, &e, err);
    if (rc != 0)
        return rc;
    if (++t->entries > t->limits.max_entries)
        return limit(t, err, "too many entries", "limits.entries", t->limits.max_entries);
    rc = t->fn(t->arg, &e, err);
    unp_tar_clear_pending(t);
    unp_tar_pass_data(t, t->stored);
    return rc;
}
