/*
 * layer_read.c - see layer_read.h.  The form is docs/store-format.md, section 3.
 *
 * Room: worker.
 */
#include "unpack/layer_read.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/layer_check.h"

int unp_layer_bad(const char *what, struct bh_err *err) {
    bh_err_set(err, BH_E_DATA_LOSS, "layer index: %s", what);
    return bh_err_reason(err, "bad-layer");
}

int unp_layer_open(struct unp_layer *l, int fd, struct bh_err *err) {
    *l = (struct unp_layer){.fd = fd};
    if (bh_layer_open(fd, &l->h, err) != 0)
        return err->code;
    uint64_t skip = l->h.index_offset % (uint64_t)sysconf(_SC_PAGESIZE);
    l->map_size = (size_t)(l->h.index_size + skip);
    l->map = mmap(NULL, l->map_size, PROT_READ, MAP_SHARED, fd, (off_t)(l->h.index_offset - skip));
    if (l->map == MAP_FAILED) {
        l->map = NULL;
        return bh_err_errno(err, errno, "map the index of a layer");
    }
    l->index = (const unsigned char *)l->map + skip;
    return 0;
}

void unp_layer_close(struct unp_layer *l) {
    if (l->map != NULL)
        munmap(l->map, l->map_size);
    l->map = NULL;
}

/* ---- inodes -------------------------------------------------------------------------------- */

const struct bh_erofs_inode *unp_layer_inode(const struct unp_layer *l, uint64_t nid) {
    uint64_t at = nid * BH_EROFS_SLOT;

    if (nid > l->h.inode_size / BH_EROFS_SLOT || at % BH_EROFS_INODE_STEP != 0 ||
        !bh_layer_inside(at, sizeof(struct bh_erofs_inode), 0, l->h.inode_size))
        return NULL;
    return (const struct bh_erofs_inode *)(l->index + at);
}

static uint64_t xattr_bytes(const struct bh_erofs_inode *ino) {
    return ino->i_xattr_icount == 0
               ? 0
               : sizeof(struct bh_erofs_xattr_head) + sizeof(uint32_t) * (ino->i_xattr_icount - 1u);
}

static uint64_t behind(const struct unp_layer *l, const struct bh_erofs_inode *ino) {
    return (uint64_t)((const unsigned char *)(ino + 1) - l->index);
}

/* Bytes [0, n) of a directory or a long symlink, which lie in the tail area. */
static const unsigned char *tail_data(const struct unp_layer *l, const struct bh_erofs_inode *ino, uint64_t n) {
    uint64_t at = (uint64_t)ino->i_u * BH_LAYER_BLK;

    if (!bh_layer_inside(at, n, l->h.index_offset + l->h.inode_size, l->h.tail_size))
        return NULL;
    return l->index + (at - l->h.index_offset);
}

const unsigned char *unp_layer_target(const struct unp_layer *l, const struct bh_erofs_inode *ino) {
    uint64_t at = behind(l, ino) + xattr_bytes(ino);

    if (ino->i_size == 0 || ino->i_size > BH_LAYER_SYMLINK_MAX)
        return NULL;
    if (ino->i_format == BH_EROFS_PLAIN)
        return tail_data(l, ino, ino->i_size);
    return bh_layer_inside(at, ino->i_size, 0, l->h.inode_size) ? l->index + at : NULL;
}

bool unp_layer_xattrs(const struct unp_layer *l, const struct bh_erofs_inode *ino, struct unp_text *out) {
    uint64_t at = behind(l, ino) + sizeof(struct bh_erofs_xattr_head);
    uint64_t n = xattr_bytes(ino);

    *out = (struct unp_text){"", 0};
    if (n <= sizeof(struct bh_erofs_xattr_head))
        return true;
    n -= sizeof(struct bh_erofs_xattr_head);
    if (!bh_layer_inside(at, n, 0, l->h.inode_size))
        return false;
    *out = (struct unp_text){(const char *)l->index + at, (size_t)n};
    return true;
}

bool unp_layer_is_opaque(const struct unp_layer *l, const struct bh_erofs_inode *ino) {
    struct unp_text list;
    size_t at = 0;

    if (!unp_layer_xattrs(l, ino, &list))
        return false;
    while (at + sizeof(struct bh_erofs_xattr) <= list.n) {
        struct bh_erofs_xattr x;
        size_t name = at + sizeof x;

        memcpy(&x, list.s + at, sizeof x);
        if (name + x.name_len + x.value_size > list.n)
            return false;
        if (x.name_index == BH_XATTR_TRUSTED && x.name_len == strlen(BH_XATTR_OPAQUE) &&
            memcmp(list.s + name, BH_XATTR_OPAQUE, x.name_len) == 0)
            return true;
        at = name + ((size_t)x.name_len + x.value_size + 3) / 4 * 4;
    }
    return false;
}

bool unp_layer_content(const struct unp_layer *l, const struct bh_erofs_inode *ino, uint64_t *out_at) {
    *out_at = (uint64_t)ino->i_u * BH_LAYER_BLK;
    return ino->i_size == 0 ||
           bh_layer_inside(*out_at, ino->i_size, BH_LAYER_TAR_OFFSET, l->h.index_offset - BH_LAYER_TAR_OFFSET);
}

/* ---- directories --------------------------------------------------------------------------- */

struct block {
    const unsigned char *p;
    size_t used;
    size_t n; /* names */
};

static int block_open(struct block *b, struct bh_err *err) {
    struct bh_erofs_dirent first;

    if (b->used < sizeof first)
        return unp_layer_bad("a directory block that is too short", err);
    memcpy(&first, b->p, sizeof first);
    b->n = first.nameoff / sizeof first;
    if (b->n == 0 || first.nameoff % sizeof first != 0 || first.nameoff > b->used)
        return unp_layer_bad("a directory block without entries", err);
    return 0;
}

static int block_name(const struct block *b, size_t i, struct unp_text *out, uint64_t *nid, struct bh_err *err) {
    struct bh_erofs_dirent d;
    struct bh_erofs_dirent next;
    size_t end = b->used;

    memcpy(&d, b->p + i * sizeof d, sizeof d);
    if (i + 1 < b->n) {
        memcpy(&next, b->p + (i + 1) * sizeof d, sizeof d);
        end = next.nameoff;
    }
    if (d.nameoff < b->n * sizeof d || end > b->used || d.nameoff > end)
        return unp_layer_bad("a name outside of its block", err);
    out->s = (const char *)b->p + d.nameoff;
    out->n = strnlen(out->s, end - d.nameoff); /* zeros fill up all blocks but the last */
    *nid = d.nid;
    if (out->n == 0 || memchr(out->s, '/', out->n) != NULL)
        return unp_layer_bad("an entry that cannot be", err);
    return 0;
}

static int dir_open(const struct unp_layer *l, const struct bh_erofs_inode *ino, const unsigned char **out,
                    struct bh_err *err) {
    *out = tail_data(l, ino, ino->i_size);
    return *out == NULL ? unp_layer_bad("a directory outside of the tail area", err) : 0;
}

static int block_at(const struct bh_erofs_inode *ino, const unsigned char *data, uint64_t at, struct block *b,
                    struct bh_err *err) {
    uint64_t left = ino->i_size - at;

    *b = (struct block){.p = data + at, .used = left < BH_LAYER_BLK ? (size_t)left : BH_LAYER_BLK};
    return block_open(b, err);
}

static bool is_dots(struct unp_text name) {
    return name.s[0] == '.' && (name.n == 1 || (name.n == 2 && name.s[1] == '.'));
}

int unp_layer_dir(const struct unp_layer *l, const struct bh_erofs_inode *ino, unp_layer_name_fn *fn, void *arg,
                  struct bh_err *err) {
    const unsigned char *data;
    struct unp_text name;
    struct block b;
    uint64_t nid;

    if (dir_open(l, ino, &data, err) != 0)
        return err->code;
    for (uint64_t at = 0; at < ino->i_size; at += BH_LAYER_BLK) {
        if (block_at(ino, data, at, &b, err) != 0)
            return err->code;
        for (size_t i = 0; i < b.n; i++) {
            if (block_name(&b, i, &name, &nid, err) != 0)
                return err->code;
            int rc = is_dots(name) ? 0 : fn(arg, name, nid, err);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

static int compare(struct unp_text a, struct unp_text b) {
    int c = memcmp(a.s, b.s, a.n < b.n ? a.n : b.n);

    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

/* The last block whose first name is not behind the one that is looked for. */
static int find_block(const struct bh_erofs_inode *ino, const unsigned char *data, struct unp_text name,
                      struct block *b, struct bh_err *err) {
    uint64_t low = 0;
    uint64_t high = (ino->i_size + BH_LAYER_BLK - 1) / BH_LAYER_BLK;
    struct unp_text first;
    uint64_t nid;

    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;

        if (block_at(ino, data, middle * BH_LAYER_BLK, b, err) != 0 || block_name(b, 0, &first, &nid, err) != 0)
            return err->code;
        if (compare(first, name) <= 0)
            low = middle;
        else
            high = middle;
    }
    return block_at(ino, data, low * BH_LAYER_BLK, b, err);
}

int unp_layer_lookup(const struct unp_layer *l, const struct bh_erofs_inode *dir, struct unp_text name,
                     const struct bh_erofs_inode **out, struct bh_err *err) {
    const unsigned char *data;
    struct unp_text at;
    struct block b;
    uint64_t nid;

    *out = NULL;
    if (dir->i_size == 0 || name.n == 0 || is_dots(name))
        return 0;
    if (dir_open(l, dir, &data, err) != 0 || find_block(dir, data, name, &b, err) != 0)
        return err->code;
    for (size_t i = 0; i < b.n; i++) {
        if (block_name(&b, i, &at, &nid, err) != 0)
            return err->code;
        if (compare(at, name) != 0)
            continue;
        *out = unp_layer_inode(l, nid);
        return *out == NULL ? unp_layer_bad("a name without inode", err) : 0;
    }
    return 0;
}
