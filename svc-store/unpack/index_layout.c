/*
 * index_layout.c - breadth-first numbering, link counts, and the place of every inode and block.
 *
 * Room: worker.  No input is read here but the tree.  Must agree with index_write.c about sizes:
 * what is laid out is what is written.
 */
#include <stdlib.h>
#include <string.h>

#include "unpack/index.h"
#include "unpack/index_dir.h"
#include "unpack/limit.h"

/* Names that stand in the tar for AUFS alone. */
static bool hidden(const struct unp_dent *d) {
    return d->name_len >= 8 && memcmp(d->name, ".wh..wh.", 8) == 0;
}

static bool visible(const struct unp_tree *t, const struct unp_dent *d) {
    if ((d->flags & UNP_D_DEAD) != 0 || hidden(d))
        return false;
    if (d->inode == 0)
        return (d->flags & UNP_D_WHITEOUT) != 0;
    return (unp_inode_at(t, d->inode)->flags & UNP_I_LEFT_OUT) == 0;
}

static int limit_blocks(struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "layer: its file would be larger than 2 TiB");
    return unp_limit(err, NULL);
}

/* ---- inodes -------------------------------------------------------------------------------- */

static uint64_t xattr_bytes(const struct unp_inode *i) {
    return i->xattrs == NULL ? 0 : sizeof(struct bh_erofs_xattr_head) + i->xattrs->len;
}

static int append(struct unp_index *x, uint32_t inode, struct bh_err *err) {
    if (x->n == x->cap) {
        uint32_t cap = x->cap == 0 ? 4096 : x->cap * 2;
        uint32_t *order = realloc(x->order, cap * sizeof *order);
        if (order == NULL)
            return unp_tree_no_memory(err);
        x->order = order;
        x->cap = cap;
    }
    x->order[x->n++] = inode;
    return 0;
}

static int place(struct unp_index *x, uint32_t inode, struct bh_err *err) {
    struct unp_inode *i = unp_inode_at(x->tree, inode);
    uint64_t bytes = sizeof(struct bh_erofs_inode) + xattr_bytes(i);
    if ((i->mode & 0170000) == 0120000 && bytes + i->size <= BH_LAYER_BLK) {
        i->flags |= UNP_I_INLINE;
        bytes += i->size;
        if (x->inode_size % BH_LAYER_BLK + bytes > BH_LAYER_BLK)
            x->inode_size = bh_layer_round(x->inode_size, BH_LAYER_BLK);
    }
    i->nid = (uint32_t)(x->inode_size / BH_EROFS_SLOT);
    i->nlink = unp_inode_is_dir(i) ? 2 : 1;
    x->inode_size = bh_layer_round(x->inode_size + bytes, BH_EROFS_INODE_STEP);
    if (x->inode_size / BH_EROFS_SLOT > UINT32_MAX)
        return limit_blocks(err);
    return append(x, inode, err);
}

static int make_whiteout(struct unp_tree *t, struct unp_dent *d, struct bh_err *err) {
    int rc = unp_tree_new_inode(t, 0020000, &d->inode, err);
    if (rc == 0)
        unp_inode_at(t, d->inode)->flags = UNP_I_WHITEOUT;
    return rc;
}

static int place_child(struct unp_index *x, uint32_t dir, uint32_t dent, struct bh_err *err) {
    struct unp_tree *t = x->tree;
    struct unp_dent *d = unp_dent_at(t, dent);
    int rc = d->inode == 0 ? make_whiteout(t, d, err) : 0;
    if (rc != 0)
        return rc;
    struct unp_inode *i = unp_inode_at(t, d->inode);
    if (i->nid != 0) {
        i->nlink++;
        return 0;
    }
    if (unp_inode_is_dir(i))
        unp_inode_at(t, dir)->nlink++;
    return place(x, d->inode, err);
}

/* ---- directories --------------------------------------------------------------------------- */

static int mark_opaque(struct unp_tree *t, const struct unp_dent *d, struct unp_inode *i, struct bh_err *err) {
    bool opaque = (d->flags & (UNP_D_OPAQUE | UNP_D_WHITEOUT)) != 0;
    return opaque ? unp_tree_opaque(t, i->xattrs, &i->xattrs, err) : 0;
}

/* The children become those that are visible, in name order. */
static int sort_children(struct unp_tree *t, uint32_t dent, struct unp_sorted *s, struct bh_err *err) {
    struct unp_dent *d = unp_dent_at(t, dent);
    s->n = 0;
    for (uint32_t c = d->child; c != 0; c = unp_dent_at(t, c)->next)
        if (visible(t, unp_dent_at(t, c)) && !unp_sorted_add(s, t, c))
            return unp_tree_no_memory(err);
    unp_sorted_sort(s, t);
    uint32_t *link = &d->child;
    for (size_t k = 0; k < s->n; k++) {
        *link = s->v[k].dent;
        link = &unp_dent_at(t, *link)->next;
    }
    *link = 0;
    return 0;
}

static int layout_dir(struct unp_index *x, uint32_t inode, struct unp_sorted *s, struct bh_err *err) {
    struct unp_tree *t = x->tree;
    uint32_t dent = (uint32_t)unp_inode_at(t, inode)->u.dent;
    int rc = sort_children(t, dent, s, err);
    for (size_t k = 0; rc == 0 && k < s->n; k++) {
        uint32_t child = unp_dent_at(t, s->v[k].dent)->inode;
        /* Marks take room behind the inode, so they are made before it is placed. */
        if (child != 0 && unp_inode_is_dir(unp_inode_at(t, child)))
            rc = mark_opaque(t, unp_dent_at(t, s->v[k].dent), unp_inode_at(t, child), err);
        if (rc == 0)
            rc = place_child(x, inode, s->v[k].dent, err);
    }
    if (rc == 0)
        unp_inode_at(t, inode)->size = unp_dir_size(t, dent);
    return rc;
}

/* ---- blocks outside the inode area --------------------------------------------------------- */

static int place_blocks(struct unp_index *x, struct bh_err *err) {
    struct unp_tree *t = x->tree;
    for (uint32_t k = 0; k < x->n; k++) {
        struct unp_inode *i = unp_inode_at(t, x->order[k]);
        uint64_t blocks = bh_layer_round(i->size, BH_LAYER_BLK) / BH_LAYER_BLK;
        bool symlink = (i->mode & 0170000) == 0120000;
        if (unp_inode_is_dir(i) || (symlink && (i->flags & UNP_I_INLINE) == 0)) {
            i->tail = (uint32_t)x->tail_blocks;
            x->tail_blocks += blocks;
        } else if ((i->flags & UNP_I_SPARSE) != 0) {
            i->tail = (uint32_t)x->extra_blocks;
            x->extra_blocks += blocks;
        }
        if (x->tail_blocks > BH_LAYER_MAX_BLOCKS || x->extra_blocks > BH_LAYER_MAX_BLOCKS)
            return limit_blocks(err);
    }
    return 0;
}

int unp_index_layout(struct unp_index *x, struct unp_tree *tree, struct bh_err *err) {
    struct unp_sorted sorted = {0};
    uint32_t root = unp_dent_at(tree, UNP_ROOT)->inode;
    *x = (struct unp_index){.tree = tree, .inode_size = BH_EROFS_INODE_STEP};
    int rc = mark_opaque(tree, unp_dent_at(tree, UNP_ROOT), unp_inode_at(tree, root), err);
    if (rc == 0)
        rc = place(x, root, err);
    for (uint32_t k = 0; rc == 0 && k < x->n; k++)
        if (unp_inode_is_dir(unp_inode_at(tree, x->order[k])))
            rc = layout_dir(x, x->order[k], &sorted, err);
    x->inode_size = bh_layer_round(x->inode_size, BH_LAYER_BLK);
    if (rc == 0)
        rc = place_blocks(x, err);
    free(sorted.v);
    return rc;
}

void unp_index_fini(struct unp_index *x) {
    free(x->order);
    *x = (struct unp_index){0};
}
