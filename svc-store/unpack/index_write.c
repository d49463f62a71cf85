/*
 * index_write.c - the laid-out index as bytes behind the tar, sparse files expanded, the header last.
 *
 * Room: worker.  Reads the tar's data of sparse files from the layer file itself.  Must write exactly
 * what index_layout.c has laid out.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "oci/digest.h"
#include "unpack/index.h"
#include "unpack/index_dir.h"
#include "unpack/limit.h"

#define OUT_SIZE 65536u

struct out {
    int fd;
    uint64_t at; /* file offset of buf[0] */
    size_t n;
    int error; /* errno of the first failed write */
    struct bh_hash hash;
    unsigned char buf[OUT_SIZE];
};

static void flush(struct out *o) {
    bh_hash_update(&o->hash, o->buf, o->n);
    if (o->error == 0 && bh_pwrite_all(o->fd, o->buf, o->n, (off_t)o->at) != 0)
        o->error = errno;
    o->at += o->n;
    o->n = 0;
}

static void put(struct out *o, const void *data, size_t n) {
    const unsigned char *p = data;
    while (n > 0) {
        size_t k = OUT_SIZE - o->n < n ? OUT_SIZE - o->n : n;
        memcpy(o->buf + o->n, p, k);
        o->n += k;
        p += k;
        n -= k;
        if (o->n == OUT_SIZE)
            flush(o);
    }
}

static void put_zeros(struct out *o, uint64_t n) {
    static const unsigned char zeros[BH_LAYER_BLK];
    for (; n > 0; n -= n < sizeof zeros ? n : sizeof zeros)
        put(o, zeros, n < sizeof zeros ? (size_t)n : sizeof zeros);
}

static uint64_t position(const struct out *o) {
    return o->at + o->n;
}

/* ---- inode area ---------------------------------------------------------------------------- */

static uint32_t start_block(const struct unp_index *x, const struct unp_inode *i, uint64_t extra_offset) {
    unsigned type = i->mode & 0170000;
    if (type == 0100000 && i->size > 0 && (i->flags & UNP_I_SPARSE) != 0)
        return (uint32_t)(extra_offset / BH_LAYER_BLK + i->tail);
    if (type == 0100000 && i->size > 0)
        return (uint32_t)((BH_LAYER_TAR_OFFSET + i->u.at) / BH_LAYER_BLK);
    if (type == 0040000 || (type == 0120000 && (i->flags & UNP_I_INLINE) == 0))
        return (uint32_t)((x->index_offset + x->inode_size) / BH_LAYER_BLK + i->tail);
    return 0;
}

static void put_xattrs(struct out *o, const struct unp_xblob *blob) {
    const struct bh_erofs_xattr_head head = {0};
    if (blob == NULL)
        return;
    put(o, &head, sizeof head);
    put(o, blob->bytes, blob->len);
}

static void put_inode(struct out *o, const struct unp_index *x, uint32_t k, uint64_t extra_offset) {
    const struct unp_inode *i = unp_inode_at(x->tree, x->order[k]);
    bool inl = (i->flags & UNP_I_INLINE) != 0;
    struct bh_erofs_inode disk = {
        .i_format = inl ? BH_EROFS_INLINE : BH_EROFS_PLAIN,
        .i_xattr_icount = i->xattrs == NULL ? 0 : (uint16_t)(i->xattrs->len / 4 + 1),
        .i_mode = i->mode,
        .i_size = i->size,
        .i_u = start_block(x, i, extra_offset),
        .i_ino = k + 1,
        .i_uid = i->uid,
        .i_gid = i->gid,
        .i_mtime = i->mtime,
        .i_mtime_nsec = i->mtime_nsec,
        .i_nlink = i->nlink,
    };
    put_zeros(o, x->index_offset + (uint64_t)i->nid * BH_EROFS_SLOT - position(o));
    put(o, &disk, sizeof disk);
    put_xattrs(o, i->xattrs);
    if (inl)
        put(o, i->u.link, i->size);
}

/* ---- tail area ----------------------------------------------------------------------------- */

struct block {
    struct unp_name name[BH_LAYER_BLK / (sizeof(struct bh_erofs_dirent) + 1)];
    size_t n;
    size_t used;
};

static unsigned file_type(const struct unp_inode *i) {
    switch (i->mode & 0170000) {
    case 0040000:
        return BH_FT_DIR;
    case 0120000:
        return BH_FT_LNK;
    case 0010000:
        return BH_FT_FIFO;
    case 0020000:
        return BH_FT_CHR;
    default:
        return BH_FT_REG;
    }
}

static void put_block(struct out *o, const struct unp_tree *t, struct block *b) {
    unsigned char bytes[BH_LAYER_BLK] = {0};
    size_t name_at = b->n * sizeof(struct bh_erofs_dirent);
    for (size_t k = 0; k < b->n; k++) {
        const struct unp_inode *i = unp_inode_at(t, b->name[k].inode);
        struct bh_erofs_dirent d = {.nid = i->nid, .nameoff = (uint16_t)name_at, .file_type = (uint8_t)file_type(i)};
        memcpy(bytes + k * sizeof d, &d, sizeof d);
        memcpy(bytes + name_at, b->name[k].s, b->name[k].n);
        name_at += b->name[k].n;
    }
    put(o, bytes, sizeof bytes);
    b->n = 0;
    b->used = 0;
}

static void put_dir(struct out *o, const struct unp_tree *t, uint32_t dent) {
    struct unp_dir_walk w;
    struct unp_name name;
    struct block b = {.n = 0};
    unp_dir_begin(&w, t, dent);
    while (unp_dir_next(&w, &name)) {
        size_t need = sizeof(struct bh_erofs_dirent) + name.n;
        if (b.used + need > BH_LAYER_BLK)
            put_block(o, t, &b);
        b.name[b.n++] = name;
        b.used += need;
    }
    put_block(o, t, &b);
}

static void put_tail(struct out *o, const struct unp_tree *t, const struct unp_inode *i) {
    if (unp_inode_is_dir(i)) {
        put_dir(o, t, (uint32_t)i->u.dent);
    } else if ((i->mode & 0170000) == 0120000 && (i->flags & UNP_I_INLINE) == 0) {
        put(o, i->u.link, i->size);
        put_zeros(o, bh_layer_round(i->size, BH_LAYER_BLK) - i->size);
    }
}

/* ---- sparse files -------------------------------------------------------------------------- */

static int copy_range(int fd, uint64_t from, uint64_t to, uint64_t n, struct bh_err *err) {
    unsigned char buf[OUT_SIZE];
    while (n > 0) {
        size_t k = n < sizeof buf ? (size_t)n : sizeof buf;
        ssize_t got = bh_pread_full(fd, buf, k, (off_t)from);
        if (got < 0)
            return bh_err_errno(err, errno, "layer: read back a sparse file");
        if ((size_t)got != k)
            return bh_err_set(err, BH_E_INTERNAL, "layer: a sparse file ended early");
        if (bh_pwrite_all(fd, buf, k, (off_t)to) != 0)
            return bh_err_errno(err, errno, "layer: write of a sparse file");
        from += k;
        to += k;
        n -= k;
    }
    return 0;
}

static int expand(const struct unp_index *x, int fd, uint64_t extra_offset, struct bh_err *err) {
    int rc = 0;
    for (uint32_t k = 0; rc == 0 && k < x->n; k++) {
        const struct unp_inode *i = unp_inode_at(x->tree, x->order[k]);
        if ((i->flags & UNP_I_SPARSE) == 0)
            continue;
        const struct unp_sparse_file *s = unp_pool_at(&x->tree->sparse, (uint32_t)i->u.at);
        uint64_t from = BH_LAYER_TAR_OFFSET + s->data_at;
        uint64_t base = extra_offset + (uint64_t)i->tail * BH_LAYER_BLK;
        for (size_t e = 0; rc == 0 && e < s->n; e++) {
            rc = copy_range(fd, from, base + s->map[e].at, s->map[e].len, err);
            from += s->map[e].len;
        }
    }
    return rc;
}

/* ---- the file ------------------------------------------------------------------------------ */

static int write_areas(const struct unp_index *x, int fd, uint64_t extra_offset, uint8_t sha256[32],
                       struct bh_err *err) {
    struct out o = {.fd = fd, .at = x->index_offset};
    struct bh_digest digest;
    int rc = bh_sha256_init(&o.hash, err);
    if (rc != 0)
        return rc;
    for (uint32_t k = 0; k < x->n; k++)
        put_inode(&o, x, k, extra_offset);
    put_zeros(&o, x->index_offset + x->inode_size - position(&o));
    for (uint32_t k = 0; k < x->n; k++)
        put_tail(&o, x->tree, unp_inode_at(x->tree, x->order[k]));
    flush(&o);
    rc = bh_sha256_final(&o.hash, &digest, err);
    if (rc != 0)
        return rc;
    if (o.error != 0)
        return bh_err_errno(err, o.error, "layer: write of the index");
    if (position(&o) != x->index_offset + x->inode_size + x->tail_blocks * BH_LAYER_BLK)
        return bh_err_set(err, BH_E_INTERNAL, "layer: the index is not as long as it was laid out");
    memcpy(sha256, digest.bytes, 32);
    return 0;
}

static int write_header(const struct unp_index *x, int fd, const struct bh_layer_header *h, struct bh_err *err) {
    struct {
        struct bh_layer_header header;
        struct bh_erofs_super super;
        uint8_t zero[BH_LAYER_HEADER_SIZE - BH_LAYER_SB_OFFSET - sizeof(struct bh_erofs_super)];
    } start = {.header = *h};
    start.super = (struct bh_erofs_super){
        .magic = BH_EROFS_MAGIC,
        .blkszbits = BH_LAYER_BLKBITS,
        .root_nid = BH_EROFS_ROOT_NID,
        .inos = x->n,
        .blocks = (uint32_t)((h->index_offset + h->index_size) / BH_LAYER_BLK),
        .meta_blkaddr = (uint32_t)(h->index_offset / BH_LAYER_BLK),
    };
    memcpy(start.super.uuid, h->diff_id, sizeof start.super.uuid);
    if (bh_pwrite_all(fd, &start, sizeof start, 0) != 0)
        return bh_err_errno(err, errno, "layer: write of the header");
    return 0;
}

int unp_index_write(struct unp_index *x, int fd, uint64_t tar_size, const uint8_t diff_id[32], uint64_t entries,
                    struct bh_layer_header *out, struct bh_err *err) {
    struct bh_layer_header h = {.version = BH_LAYER_VERSION, .tar_offset = BH_LAYER_TAR_OFFSET, .tar_size = tar_size};
    const struct unp_inode *root = unp_inode_at(x->tree, x->order[0]);
    memcpy(h.magic, BH_LAYER_MAGIC, sizeof h.magic);
    h.flags = (root->flags & UNP_I_IMPLIED) != 0 ? BH_LAYER_F_ROOT_IMPLIED : 0;
    h.extra_offset = h.tar_offset + bh_layer_round(tar_size, BH_LAYER_BLK);
    h.extra_size = x->extra_blocks * BH_LAYER_BLK;
    h.index_offset = x->index_offset = h.extra_offset + h.extra_size;
    h.inode_size = x->inode_size;
    h.tail_size = x->tail_blocks * BH_LAYER_BLK;
    h.index_size = h.inode_size + h.tail_size;
    h.inodes = x->n;
    h.entries = entries;
    memcpy(h.diff_id, diff_id, sizeof h.diff_id);
    if (h.index_offset / BH_LAYER_BLK + h.index_size / BH_LAYER_BLK > BH_LAYER_MAX_BLOCKS) {
        bh_err_set(err, BH_E_LIMIT, "layer: its file would be larger than 2 TiB");
        return unp_limit(err, NULL);
    }
    int rc = expand(x, fd, h.extra_offset, err);
    if (rc == 0)
        rc = write_areas(x, fd, h.extra_offset, h.index_sha256, err);
    if (rc == 0)
        rc = write_header(x, fd, &h, err);
    if (rc == 0)
        *out = h;
    return rc;
}
