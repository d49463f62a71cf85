/*
 * tree.h - the tree of one layer in memory: names, inodes, and looking a path up in it.
 *
 * Room: worker.  Nothing here touches a file system: a path of the archive is a walk through this tree,
 * so there is no link that could lead out.  Names are kept as bytes.  Memory is bounded by the
 * limits of the job; what it makes of the entries of a tar is told in docs/store-format.md, section 4.
 */
#ifndef UNP_TREE_H
#define UNP_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "unpack/tar_reader.h"

/* Numbered elements of one size that never move. */
struct unp_pool {
    char **chunks;
    size_t size; /* of an element */
    uint32_t n;  /* elements in use; number 0 is never given out */
    uint32_t n_chunks;
};

enum {                     /* unp_inode.flags */
       UNP_I_LEFT_OUT = 1, /* a device: in the tree so that names are right, not in the index */
       UNP_I_SPARSE = 2,
       UNP_I_IMPLIED = 4, /* a directory that no entry describes */
       UNP_I_WHITEOUT = 8,
       UNP_I_INLINE = 16, /* a symlink whose target lies behind the inode */
};

struct unp_xblob {
    uint32_t len;
    unsigned char bytes[]; /* encoded entries in order, without the 12-byte header */
};

struct unp_inode {
    int64_t mtime;
    uint64_t size;
    union {
        uint64_t at;      /* regular file: offset of its data in the tar; sparse: number of its record */
        const char *link; /* symlink; size is its length */
        uint64_t dent;    /* directory: its one name */
    } u;
    const struct unp_xblob *xattrs; /* NULL: none */
    uint32_t mtime_nsec;
    uint32_t uid;
    uint32_t gid;
    uint32_t nlink; /* counted when the index is laid out, as are nid and tail */
    uint32_t nid;   /* 0: not placed */
    uint32_t tail;  /* first block in the tail area, or in the extra area if sparse */
    uint16_t mode;
    uint8_t flags;
};

enum {                     /* unp_dent.flags */
       UNP_D_WHITEOUT = 1, /* ".wh.<name>" was there */
       UNP_D_OPAQUE = 2,   /* ".wh..wh..opq" was inside */
       UNP_D_DEAD = 4,     /* it was in a directory that was replaced */
};

struct unp_dent {
    const char *name;
    uint32_t parent;
    uint32_t inode; /* 0: a whiteout alone */
    uint32_t child; /* first child, directories only; newest first until the index is laid out */
    uint32_t next;  /* sibling */
    uint32_t hash;
    uint32_t hash_next;
    uint16_t name_len;
    uint8_t flags;
};

struct unp_sparse_file {
    struct unp_extent *map;
    size_t n;
    uint64_t size;
    uint64_t data_at; /* in the tar */
};

struct unp_tree_limits {
    uint64_t max_entries; /* names may be twice as many: implied directories */
    uint64_t max_sparse;
    uint32_t max_depth;
    uint32_t max_xattrs;
    uint32_t max_path;
};

#define UNP_ROOT      1u
#define UNP_PARTS_MAX 1024u
#define UNP_LINKS_MAX 40u

struct unp_tree {
    struct unp_tree_limits limits;
    struct unp_pool inodes; /* struct unp_inode */
    struct unp_pool dents;  /* struct unp_dent; UNP_ROOT is the root */
    struct unp_pool sparse; /* struct unp_sparse_file */
    struct bh_arena arena;  /* names, link targets, xattrs, maps */
    uint32_t *buckets;
    uint32_t mask;
    uint64_t seed[2];
    char last_dir[256]; /* entries mostly come folder by folder: the last parent, by the text of its name */
    size_t last_len;    /* 0: none */
    uint32_t last_at;
    uint64_t left_out;
    uint64_t whiteouts;
    uint64_t content;
    uint64_t sparse_bytes;
};

int unp_tree_init(struct unp_tree *t, const struct unp_tree_limits *limits, struct bh_err *err);
void unp_tree_fini(struct unp_tree *t);
/* Apply one entry of the tar; of type unp_tar_fn with the tree as arg. */
int unp_tree_apply(void *tree, const struct unp_entry *e, struct bh_err *err);

/* --- the parts, for tree_*.c and tests -------------------------------------------------------- */

static inline void *unp_pool_at(const struct unp_pool *p, uint32_t i) {
    return p->chunks[i >> 12] + (size_t)(i & 4095) * p->size;
}
static inline struct unp_inode *unp_inode_at(const struct unp_tree *t, uint32_t i) {
    return unp_pool_at(&t->inodes, i);
}
static inline struct unp_dent *unp_dent_at(const struct unp_tree *t, uint32_t i) {
    return unp_pool_at(&t->dents, i);
}
static inline bool unp_inode_is_dir(const struct unp_inode *i) {
    return (i->mode & 0170000) == 0040000;
}
/* A zeroed element; 0 when memory is gone. */
uint32_t unp_pool_add(struct unp_pool *p);

int unp_tree_no_memory(struct bh_err *err);
uint32_t unp_tree_lookup(const struct unp_tree *t, uint32_t parent, struct unp_text name);
/* The child of that name, made (without inode) if it is not there. */
int unp_tree_child(struct unp_tree *t, uint32_t parent, struct unp_text name, uint32_t *out, struct bh_err *err);
/* Take away everything below a directory. */
void unp_tree_empty(struct unp_tree *t, uint32_t dir);
int unp_tree_new_inode(struct unp_tree *t, uint16_t mode, uint32_t *out, struct bh_err *err);
/* Give the name a directory 0755 root:root. */
int unp_tree_imply_dir(struct unp_tree *t, uint32_t dent, struct bh_err *err);

struct unp_path {
    struct unp_text part[UNP_PARTS_MAX];
    size_t n;
};
/* Parts without "", "." and ".."; BH_E_INVALID (reason "unsafe-name") if it leaves the root, or a part is too long. */
int unp_path_clean(const struct unp_tree_limits *limits, struct unp_text raw, struct unp_path *out, struct bh_err *err);
/* The directory that holds the last part of path, made if need be. */
int unp_tree_parent(struct unp_tree *t, const struct unp_path *path, uint32_t *out, struct bh_err *err);
/* Walk the first n parts, following symlinks.  create: make what is missing; else *out = 0 when missing. */
int unp_tree_walk(struct unp_tree *t, const struct unp_path *path, size_t n, bool create, uint32_t *out,
                  struct bh_err *err);

/* Keep what docs/store-format.md 3.5 allows; *out NULL when nothing is left. */
int unp_tree_xattrs(struct unp_tree *t, const struct unp_entry *e, const struct unp_xblob **out, struct bh_err *err);
/* The same with both opaque marks in their places. */
int unp_tree_opaque(struct unp_tree *t, const struct unp_xblob *in, const struct unp_xblob **out, struct bh_err *err);

/* "name" of an entry for a message: escaped, cut. */
#define UNP_SHOWN 200
const char *unp_shown(struct unp_text name, char out[UNP_SHOWN]);

#endif
