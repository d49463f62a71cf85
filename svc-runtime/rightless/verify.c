/*
 * verify.c - is this index the canonical subset of EROFS, every byte of it, before the kernel reads it?
 *
 * Room: a child of launch without any right; also the fuzz target.  The file is foreign: a worker
 * that unpacked hostile bytes may have been taken over.  Written from docs/store-format.md, section
 * 3, and shares no code with the writer.  One pass in the order of 3.1: each inode is placed when an
 * entry first names it, so there is at any time exactly one place where the next may lie; memory is
 * 16 bytes for each 64 bytes of index.  Nothing is ever read outside the mapped index.
 */
#include "rightless/verify.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "layer/layer_check.h"
#include "rightless/confine.h"
#include "rightless/verify_xattr.h"

#define BAD(v, ...) bh_err_set((v)->err, BH_E_DATA_LOSS, "verify layer: " __VA_ARGS__)

/* What is kept of a placed inode. */
struct node {
    uint32_t at;     /* byte of the inode area / 64 */
    uint32_t parent; /* directories: index of the parent */
    uint32_t links;  /* entries that name it; directories: 2 + sub-directories */
    uint32_t type;   /* BH_FT_* */
};

struct verify {
    const struct bh_layer_header *h;
    const unsigned char *inodes; /* the inode area */
    const unsigned char *tail;
    struct node *node;
    uint32_t n, max;    /* placed; what the header promises */
    uint64_t next;      /* first byte of the inode area that is not placed */
    uint64_t next_tail; /* first byte of the tail area that is not placed */
    struct bh_err *err;
};

static bool zeros(const unsigned char *p, uint64_t n) {
    uint64_t i = 0;

    for (; i + 64 <= n; i += 64) {
        uint64_t w[8];

        memcpy(w, p + i, sizeof(w));
        if ((w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7]) != 0)
            return false;
    }
    for (; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static struct bh_erofs_inode inode_at(const struct verify *v, uint64_t at) {
    struct bh_erofs_inode in;

    memcpy(&in, v->inodes + at, sizeof(in));
    return in;
}

/* ---- one inode --------------------------------------------------------------------------------- */

static uint32_t type_of(const struct bh_erofs_inode *in) {
    switch (in->i_mode & S_IFMT) {
    case S_IFREG:
        return BH_FT_REG;
    case S_IFDIR:
        return BH_FT_DIR;
    case S_IFLNK:
        return in->i_mode == (S_IFLNK | 0777) ? BH_FT_LNK : 0;
    case S_IFIFO:
        return BH_FT_FIFO;
    case S_IFCHR:
        return in->i_mode == S_IFCHR ? BH_FT_CHR : 0;
    default:
        return 0;
    }
}

static bool whiteout_ok(const struct bh_erofs_inode *in) {
    return in->i_u == 0 && in->i_uid == 0 && in->i_gid == 0 && in->i_mtime == 0 && in->i_mtime_nsec == 0 &&
           in->i_xattr_icount == 0 && in->i_nlink == 1;
}

/* Plain data in the tail area lies where the tail has come to. */
static int take_tail(struct verify *v, const struct bh_erofs_inode *in) {
    uint64_t len = bh_layer_round(in->i_size, BH_LAYER_BLK);

    if ((uint64_t)in->i_u * BH_LAYER_BLK != v->h->index_offset + v->h->inode_size + v->next_tail)
        return BAD(v, "inode %u: its blocks are not the next of the tail area", v->n);
    if (!bh_layer_inside(v->next_tail, len, 0, v->h->tail_size))
        return BAD(v, "inode %u: its blocks leave the tail area", v->n);
    if (!zeros(v->tail + v->next_tail + in->i_size, len - in->i_size))
        return BAD(v, "inode %u: bytes behind its data are not zero", v->n);
    v->next_tail += len;
    return 0;
}

static int check_link(struct verify *v, const struct bh_erofs_inode *in, uint64_t at, uint64_t head) {
    const unsigned char *target = v->inodes + at + head;

    if (in->i_size < 1 || in->i_size > BH_LAYER_SYMLINK_MAX)
        return BAD(v, "inode %u: a symlink of %llu bytes", v->n, (unsigned long long)in->i_size);
    if ((head + in->i_size <= BH_LAYER_BLK) != (in->i_format == BH_EROFS_INLINE))
        return BAD(v, "inode %u: symlink target in the wrong place", v->n);
    if (in->i_format == BH_EROFS_PLAIN) {
        target = v->tail + v->next_tail;
        if (take_tail(v, in) != 0)
            return v->err->code;
    } else if (in->i_u != 0 || at / BH_LAYER_BLK != (at + head + in->i_size - 1) / BH_LAYER_BLK) {
        return BAD(v, "inode %u: an inline symlink crosses a block", v->n);
    }
    return memchr(target, 0, in->i_size) == NULL ? 0 : BAD(v, "inode %u: NUL in a symlink", v->n);
}

static int check_data(struct verify *v, const struct bh_erofs_inode *in, uint32_t type) {
    switch (type) {
    case BH_FT_REG:
        if (in->i_size == 0
                ? in->i_u != 0
                : in->i_size > v->h->index_offset ||
                      !bh_layer_inside((uint64_t)in->i_u * BH_LAYER_BLK, bh_layer_round(in->i_size, BH_LAYER_BLK),
                                       v->h->tar_offset, v->h->index_offset - v->h->tar_offset))
            return BAD(v, "inode %u: the file's data leaves the tar", v->n);
        return 0;
    case BH_FT_DIR:
        if (in->i_size == 0 || in->i_size > v->h->tail_size)
            return BAD(v, "inode %u: a directory of %llu bytes", v->n, (unsigned long long)in->i_size);
        return take_tail(v, in);
    case BH_FT_CHR:
        return whiteout_ok(in) && in->i_size == 0 ? 0 : BAD(v, "inode %u: a device that is no whiteout", v->n);
    default:
        return in->i_size == 0 && in->i_u == 0 ? 0 : BAD(v, "inode %u: a fifo with data", v->n);
    }
}

/* Everything that the inode says by itself.  *out_len: its bytes in the inode area. */
static int check_inode(struct verify *v, uint64_t at, uint64_t *out_len, uint32_t *out_type) {
    struct bh_erofs_inode in = inode_at(v, at);
    uint64_t xattrs = in.i_xattr_icount == 0 ? 0 : 12 + ((uint64_t)in.i_xattr_icount - 1) * 4;
    uint64_t len = sizeof(in) + xattrs;
    uint32_t type = type_of(&in);

    if (type == 0)
        return BAD(v, "inode %u: mode %o does not occur", v->n, in.i_mode);
    if (in.i_format != BH_EROFS_PLAIN && !(in.i_format == BH_EROFS_INLINE && type == BH_FT_LNK))
        return BAD(v, "inode %u: format %#x does not occur", v->n, in.i_format);
    if (in.i_zero != 0 || !zeros(in.i_zero2, sizeof(in.i_zero2)) || in.i_ino != v->n + 1 ||
        in.i_mtime_nsec >= 1000000000)
        return BAD(v, "inode %u: a field has a value that does not occur", v->n);
    if (xattrs > BH_XATTR_MAX_BYTES || !bh_layer_inside(at, len, 0, v->h->inode_size))
        return BAD(v, "inode %u: its xattrs leave the inode area", v->n);
    if (xattrs > 0 && lnc_verify_xattrs(v->inodes + at + sizeof(in), (uint32_t)xattrs, type) != 0)
        return BAD(v, "inode %u: its xattrs are not in the canonical form", v->n);
    if (in.i_format == BH_EROFS_INLINE)
        len += in.i_size <= BH_LAYER_SYMLINK_MAX ? in.i_size : 0;
    *out_len = bh_layer_round(len, BH_EROFS_INODE_STEP);
    if (!bh_layer_inside(at, *out_len, 0, v->h->inode_size) || !zeros(v->inodes + at + len, *out_len - len))
        return BAD(v, "inode %u: bytes behind it are not zero", v->n);
    *out_type = type;
    return type == BH_FT_LNK ? check_link(v, &in, at, sizeof(in) + xattrs) : check_data(v, &in, type);
}

/* The next inode lies at v->next, but for an inline symlink that would not fit into what is left of
 * the block: that one starts the next block. */
static int place(struct verify *v, uint64_t at, uint32_t parent) {
    uint64_t len;
    uint32_t type;

    if (v->n >= v->max || !bh_layer_inside(at, sizeof(struct bh_erofs_inode), 0, v->h->inode_size))
        return BAD(v, "more inodes than the header tells");
    if (check_inode(v, at, &len, &type) != 0)
        return v->err->code;
    if (at != v->next) {
        struct bh_erofs_inode in = inode_at(v, at);
        uint64_t exact =
            sizeof(in) + in.i_size + (in.i_xattr_icount == 0 ? 0 : 12 + ((uint64_t)in.i_xattr_icount - 1) * 4);

        if (in.i_format != BH_EROFS_INLINE || v->next % BH_LAYER_BLK + exact <= BH_LAYER_BLK ||
            !zeros(v->inodes + v->next, at - v->next))
            return BAD(v, "inode %u: a gap before it", v->n);
    }
    v->node[v->n] = (struct node){
        .at = (uint32_t)(at / BH_EROFS_INODE_STEP), .parent = parent, .links = type == BH_FT_DIR ? 2 : 1, .type = type};
    v->n++;
    v->next = at + len;
    return 0;
}

/* ---- directories -------------------------------------------------------------------------------- */

static struct node *find(struct verify *v, uint64_t at) {
    uint32_t low = 0, high = v->n;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        uint64_t here = (uint64_t)v->node[mid].at * BH_EROFS_INODE_STEP;

        if (here == at)
            return &v->node[mid];
        if (here < at)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static uint64_t nid_of(const struct verify *v, uint32_t index) {
    return (uint64_t)v->node[index].at * (BH_EROFS_INODE_STEP / BH_EROFS_SLOT);
}

static int check_entry(struct verify *v, uint32_t dir, const struct bh_erofs_dirent *e, const char *name,
                       uint32_t len) {
    uint64_t at = e->nid * BH_EROFS_SLOT;
    struct node *known;

    if (len <= 2 && memcmp(name, "..", len) == 0) {
        uint32_t self = len == 1 ? dir : v->node[dir].parent;

        return e->nid == nid_of(v, self) && e->file_type == BH_FT_DIR ? 0
                                                                      : BAD(v, "inode %u: . or .. lead astray", dir);
    }
    if (e->nid >= v->h->inode_size / BH_EROFS_SLOT || at % BH_EROFS_INODE_STEP != 0)
        return BAD(v, "inode %u: an entry names what is no inode", dir);
    if (at >= v->next) {
        if (at != v->next && at != bh_layer_round(v->next, BH_LAYER_BLK))
            return BAD(v, "inode %u: an entry names an inode out of order", dir);
        if (place(v, at, dir) != 0)
            return v->err->code;
        known = &v->node[v->n - 1];
        if (known->type == BH_FT_DIR)
            v->node[dir].links++;
    } else {
        known = find(v, at);
        if (known == NULL || known->type == BH_FT_DIR || known->type == BH_FT_CHR || known->links == UINT32_MAX)
            return BAD(v, "inode %u: an entry names what may have no second name", dir);
        known->links++;
    }
    return known->type == e->file_type ? 0 : BAD(v, "inode %u: an entry tells a wrong type", dir);
}

/* The name before, for the order; and how full the block before was. */
struct order {
    const char *name;
    uint32_t len;
    uint32_t block_used;
    bool dot, dotdot;
};

static int check_name(struct verify *v, uint32_t dir, struct order *o, const char *name, uint32_t len) {
    uint32_t shorter = len < o->len ? len : o->len;
    int c;

    if (len == 0 || len > BH_LAYER_NAME_MAX || memchr(name, 0, len) != NULL || memchr(name, '/', len) != NULL)
        return BAD(v, "inode %u: a name that cannot be", dir);
    c = o->name == NULL ? -1 : memcmp(o->name, name, shorter);
    if (c > 0 || (c == 0 && o->len >= len))
        return BAD(v, "inode %u: names out of order", dir);
    o->dot = o->dot || (len == 1 && name[0] == '.');
    o->dotdot = o->dotdot || (len == 2 && name[0] == '.' && name[1] == '.');
    o->name = name;
    o->len = len;
    return 0;
}

/* One block of `used` bytes, the rest of the 512 is known to be zero or checked here. */
static int check_block(struct verify *v, uint32_t dir, const unsigned char *block, uint32_t size, bool last,
                       struct order *o) {
    struct bh_erofs_dirent e, next;
    uint32_t n, end;

    memcpy(&e, block, sizeof(e));
    n = e.nameoff / (uint32_t)sizeof(e);
    if (size < sizeof(e) || e.nameoff % sizeof(e) != 0 || n == 0 || e.nameoff >= size)
        return BAD(v, "inode %u: a directory block with a wrong first entry", dir);
    for (uint32_t i = 0; i < n; i++) {
        const char *name = (const char *)block + e.nameoff;

        next = e;
        end = size;
        if (i + 1 < n) {
            memcpy(&next, block + (i + 1) * sizeof(e), sizeof(e));
            end = next.nameoff;
        } else if (!last) { /* padding in a full block: the last name ends at the first NUL */
            end = e.nameoff < size ? e.nameoff + (uint32_t)strnlen(name, size - e.nameoff) : size;
        }
        if (e.zero != 0 || end > size || e.nameoff >= end)
            return BAD(v, "inode %u: a directory entry with a wrong offset", dir);
        if (i == 0 && o->block_used != 0 && o->block_used + sizeof(e) + end - e.nameoff <= BH_LAYER_BLK)
            return BAD(v, "inode %u: a directory block that is not full", dir);
        if (check_name(v, dir, o, name, end - e.nameoff) != 0 || check_entry(v, dir, &e, name, end - e.nameoff) != 0)
            return v->err->code;
        e = next;
    }
    o->block_used = end;
    return zeros(block + end, size - end) ? 0 : BAD(v, "inode %u: bytes behind the names are not zero", dir);
}

static int check_dir(struct verify *v, uint32_t dir) {
    struct bh_erofs_inode in = inode_at(v, (uint64_t)v->node[dir].at * BH_EROFS_INODE_STEP);
    uint64_t start = (uint64_t)in.i_u * BH_LAYER_BLK - v->h->index_offset - v->h->inode_size;
    struct order o = {0};

    for (uint64_t at = 0; at < in.i_size; at += BH_LAYER_BLK) {
        bool last = in.i_size - at <= BH_LAYER_BLK;

        if (check_block(v, dir, v->tail + start + at, last ? (uint32_t)(in.i_size - at) : BH_LAYER_BLK, last, &o) != 0)
            return v->err->code;
    }
    return o.dot && o.dotdot ? 0 : BAD(v, "inode %u: a directory without . or ..", dir);
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static int check_links(struct verify *v) {
    for (uint32_t i = 0; i < v->n; i++) {
        struct bh_erofs_inode in = inode_at(v, (uint64_t)v->node[i].at * BH_EROFS_INODE_STEP);

        if (in.i_nlink != v->node[i].links)
            return BAD(v, "inode %u: %u links told, %u found", i, in.i_nlink, v->node[i].links);
    }
    return 0;
}

static int check_tree(struct verify *v) {
    if (!zeros(v->inodes, v->next))
        return BAD(v, "the first bytes of the inode area are not zero");
    if (place(v, v->next, 0) != 0)
        return v->err->code;
    if (v->node[0].type != BH_FT_DIR)
        return BAD(v, "the root is no directory");
    for (uint32_t i = 0; i < v->n; i++)
        if (v->node[i].type == BH_FT_DIR && check_dir(v, i) != 0)
            return v->err->code;
    if (v->n != v->max || v->next_tail != v->h->tail_size ||
        bh_layer_round(v->next, BH_LAYER_BLK) != v->h->inode_size ||
        !zeros(v->inodes + v->next, v->h->inode_size - v->next))
        return BAD(v, "the index holds more than its tree");
    return check_links(v);
}

int lnc_verify_index(const struct bh_layer_header *h, const unsigned char *index, struct bh_err *err) {
    struct verify v = {.h = h, .inodes = index, .tail = index + h->inode_size, .next = BH_EROFS_INODE_STEP, .err = err};
    int r;

    if (h->inodes == 0 || h->inodes > h->inode_size / BH_EROFS_INODE_STEP || h->inodes > UINT32_MAX / 2)
        return BAD(&v, "%llu inodes cannot be", (unsigned long long)h->inodes);
    v.max = (uint32_t)h->inodes;
    v.node = calloc(v.max, sizeof(*v.node));
    if (v.node == NULL)
        return bh_err_set(err, BH_E_LIMIT, "verify layer: no memory for %u inodes", v.max);
    r = check_tree(&v);
    free(v.node);
    return r;
}

int lnc_verify_layer(int fd, const unsigned char diff_id[32], struct bh_err *err) {
    struct bh_layer_header h;
    uint64_t page, size;
    unsigned char *map;
    int r = bh_layer_open(fd, &h, err);

    if (r != 0)
        return r;
    if (memcmp(h.diff_id, diff_id, 32) != 0)
        return bh_err_set(err, BH_E_DATA_LOSS, "verify layer: it is another layer than was asked for");
    page = h.index_offset % 4096;
    size = h.index_size + page;
    map = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, (off_t)(h.index_offset - page));
    if (map == MAP_FAILED)
        return bh_err_set(err, BH_E_LIMIT, "verify layer: cannot map an index of %llu bytes",
                          (unsigned long long)h.index_size);
    r = lnc_verify_index(&h, map + page, err);
    munmap(map, size);
    return r;
}

int lnc_verify_work(const void *arg, void *out, struct bh_err *err) {
    (void)out;
    return lnc_confine(0, err) == 0 && lnc_verify_layer(RLS_FD, arg, err) == 0 ? 0 : bh_err_reason(err, "bad-layer");
}
