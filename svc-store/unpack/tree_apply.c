/*
 * tree_apply.c - what one entry of the tar does to the tree.
 *
 * Room: worker.  Follows what docker's extraction would do in an empty directory, as
 * docs/store-format.md, section 4, tells.  Must not let an entry give more than it may:
 * devices and foreign overlay marks never reach the index.
 */
#include <string.h>

#include "layer/layer_format.h"
#include "unpack/tree.h"
#include "unpack/limit.h"

#define WH      ".wh."
#define WH_META ".wh..wh."
#define WH_OPQ  ".wh..wh..opq"

static int refuse(struct bh_err *err, struct unp_text name, const char *what) {
    char shown[UNP_SHOWN];
    bh_err_set(err, BH_E_INVALID, "layer: '%s' %s", unp_shown(name, shown), what);
    return bh_err_reason(err, "unsafe-entry");
}

static bool starts(struct unp_text s, const char *prefix) {
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.s, prefix, n) == 0;
}

static bool is_opaque_mark(struct unp_text base) {
    return base.n == strlen(WH_OPQ) && starts(base, WH_OPQ);
}

static uint16_t mode_of(const struct unp_entry *e) {
    static const uint16_t type[] = {
        [UNP_REG] = 0100000, [UNP_SYMLINK] = 0120000, [UNP_CHR] = 0020000,
        [UNP_BLK] = 0060000, [UNP_DIR] = 0040000,     [UNP_FIFO] = 0010000,
    };
    if (e->type == UNP_SYMLINK)
        return 0120777;
    return (uint16_t)(type[e->type] | (e->mode & 07777));
}

static int describe(struct unp_tree *t, struct unp_inode *i, const struct unp_entry *e, struct bh_err *err) {
    i->mode = mode_of(e);
    i->uid = e->uid;
    i->gid = e->gid;
    i->mtime = e->mtime;
    i->mtime_nsec = e->mtime_nsec;
    i->flags = 0;
    i->xattrs = NULL;
    return e->n_xattrs == 0 ? 0 : unp_tree_xattrs(t, e, &i->xattrs, err);
}

/* ---- data ---------------------------------------------------------------------------------- */

/* A map without holes that starts at a block is no different from a plain file. */
static bool is_dense(const struct unp_entry *e) {
    return e->sparse == NULL || (e->size == e->data_size && e->sparse->n <= 1);
}

static int keep_sparse(struct unp_tree *t, struct unp_inode *i, const struct unp_entry *e, struct bh_err *err) {
    uint64_t room = bh_layer_round(e->size > t->limits.max_sparse ? t->limits.max_sparse : e->size, BH_LAYER_BLK);
    if (e->size > t->limits.max_sparse || room > t->limits.max_sparse - t->sparse_bytes) {
        char shown[UNP_SHOWN];
        bh_err_set(err, BH_E_LIMIT, "layer: sparse file '%s' of %llu bytes, the limit is %llu in all",
                   unp_shown(e->name, shown), (unsigned long long)e->size, (unsigned long long)t->limits.max_sparse);
        return unp_limit(err, NULL);
    }
    uint32_t n = unp_pool_add(&t->sparse);
    size_t bytes = e->sparse->n * sizeof(struct unp_extent);
    struct unp_extent *map = bh_arena_alloc(&t->arena, bytes);
    if (n == 0 || map == NULL)
        return unp_tree_no_memory(err);
    if (bytes > 0)
        memcpy(map, e->sparse->v, bytes);
    *(struct unp_sparse_file *)unp_pool_at(&t->sparse, n) =
        (struct unp_sparse_file){.map = map, .n = e->sparse->n, .size = e->size, .data_at = e->data_at};
    t->sparse_bytes += room;
    i->u.at = n;
    i->flags |= UNP_I_SPARSE;
    return 0;
}

static int keep_data(struct unp_tree *t, struct unp_inode *i, const struct unp_entry *e, struct bh_err *err) {
    i->size = e->size;
    i->u.at = e->data_at;
    t->content += e->size;
    return is_dense(e) ? 0 : keep_sparse(t, i, e, err);
}

static int keep_target(struct unp_tree *t, struct unp_inode *i, const struct unp_entry *e, struct bh_err *err) {
    if (e->link.n > BH_LAYER_SYMLINK_MAX)
        return refuse(err, e->name, "is a symbolic link with a target of more than 4095 bytes");
    char *copy = bh_arena_alloc(&t->arena, e->link.n);
    if (copy == NULL)
        return unp_tree_no_memory(err);
    memcpy(copy, e->link.s, e->link.n);
    i->u.link = copy;
    i->size = e->link.n;
    return 0;
}

/* ---- placing ------------------------------------------------------------------------------- */

/* The name now stands for this inode; what it stood for before is gone. */
static void put(struct unp_tree *t, uint32_t dent, uint32_t inode) {
    struct unp_dent *d = unp_dent_at(t, dent);
    if (d->child != 0)
        unp_tree_empty(t, dent);
    if (d->inode != 0)
        t->last_len = 0;
    d->flags &= (uint8_t)~UNP_D_OPAQUE;
    d->inode = inode;
}

static int hard_link_target(struct unp_tree *t, const struct unp_entry *e, uint32_t dent, uint32_t *out,
                            struct bh_err *err) {
    struct unp_path path;
    uint32_t parent = 0;
    int rc = unp_path_clean(&t->limits, e->link, &path, err);
    if (rc == 0 && path.n > 0)
        rc = unp_tree_walk(t, &path, path.n - 1, false, &parent, err);
    if (rc != 0)
        return rc;
    uint32_t target = parent == 0 ? 0 : unp_tree_lookup(t, parent, path.part[path.n - 1]);
    *out = target == 0 ? 0 : unp_dent_at(t, target)->inode;
    if (*out == 0 && path.n > 0)
        return refuse(err, e->name, "is a hard link to a file that is not in this layer");
    if (*out == 0 || unp_inode_is_dir(unp_inode_at(t, *out)))
        return refuse(err, e->name, "is a hard link to a directory");
    if (target == dent)
        return refuse(err, e->name, "is a hard link to itself");
    return 0;
}

static int add_hard_link(struct unp_tree *t, const struct unp_entry *e, uint32_t dent, struct bh_err *err) {
    uint32_t inode;
    int rc = hard_link_target(t, e, dent, &inode, err);
    if (rc == 0)
        put(t, dent, inode);
    return rc;
}

/* A directory over a directory keeps what is inside. */
static int add_dir(struct unp_tree *t, const struct unp_entry *e, uint32_t dent, struct bh_err *err) {
    uint32_t inode = unp_dent_at(t, dent)->inode;
    if (inode == 0 || !unp_inode_is_dir(unp_inode_at(t, inode))) {
        int rc = unp_tree_new_inode(t, 0, &inode, err);
        if (rc != 0)
            return rc;
        put(t, dent, inode);
    }
    unp_inode_at(t, inode)->u.dent = dent;
    return describe(t, unp_inode_at(t, inode), e, err);
}

static int add_other(struct unp_tree *t, const struct unp_entry *e, uint32_t dent, struct bh_err *err) {
    uint32_t inode;
    int rc = unp_tree_new_inode(t, 0, &inode, err);
    if (rc != 0)
        return rc;
    struct unp_inode *i = unp_inode_at(t, inode);
    if ((rc = describe(t, i, e, err)) != 0)
        return rc;
    if (e->type == UNP_REG)
        rc = keep_data(t, i, e, err);
    else if (e->type == UNP_SYMLINK)
        rc = keep_target(t, i, e, err);
    else if (e->type != UNP_FIFO) {
        i->flags |= UNP_I_LEFT_OUT;
        t->left_out++;
    }
    if (rc == 0)
        put(t, dent, inode);
    return rc;
}

static int add_whiteout(struct unp_tree *t, const struct unp_entry *e, uint32_t parent, struct unp_text base,
                        struct bh_err *err) {
    struct unp_text target = {base.s + strlen(WH), base.n - strlen(WH)};
    uint32_t dent;
    t->whiteouts++;
    if (is_opaque_mark(base)) {
        unp_dent_at(t, parent)->flags |= UNP_D_OPAQUE;
        return 0;
    }
    if (target.n == 0 || (target.n <= 2 && memcmp(target.s, "..", target.n) == 0))
        return refuse(err, e->name, "is a whiteout of nothing");
    int rc = unp_tree_child(t, parent, target, &dent, err);
    if (rc == 0)
        unp_dent_at(t, dent)->flags |= UNP_D_WHITEOUT;
    return rc;
}

static int add_named(struct unp_tree *t, const struct unp_entry *e, const struct unp_path *path, struct bh_err *err) {
    struct unp_text base = path->part[path->n - 1];
    uint32_t parent;
    uint32_t dent;
    int rc = unp_tree_parent(t, path, &parent, err);
    if (rc != 0)
        return rc;
    bool meta = starts(base, WH_META) && !is_opaque_mark(base); /* AUFS's own; hidden when the index is laid out */
    if (starts(base, WH) && !meta)
        return add_whiteout(t, e, parent, base, err);
    t->left_out += meta;
    if ((rc = unp_tree_child(t, parent, base, &dent, err)) != 0)
        return rc;
    if (e->type == UNP_LINK)
        return add_hard_link(t, e, dent, err);
    return e->type == UNP_DIR ? add_dir(t, e, dent, err) : add_other(t, e, dent, err);
}

int unp_tree_apply(void *tree, const struct unp_entry *e, struct bh_err *err) {
    struct unp_tree *t = tree;
    struct unp_path path;
    int rc = unp_path_clean(&t->limits, e->name, &path, err);
    if (rc != 0)
        return rc;
    if (path.n > 0)
        return add_named(t, e, &path, err);
    if (e->type != UNP_DIR)
        return refuse(err, e->name, "is the root of the layer and not a directory");
    return add_dir(t, e, UNP_ROOT, err);
}
