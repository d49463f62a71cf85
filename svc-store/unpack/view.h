/*
 * view.h - the tree that a stack of layers is, or a context: looked at by name, nothing unpacked.
 *
 * Room: worker.  Layers are seen merged, upper ones over lower ones, whiteouts and opaque folders hiding what is
 * below, as a mount would show it.  Folders are read when they are asked for: of an image of 100,000 files only
 * those on the way are touched.  What is handed out points into mapped files and lives as long as the view.
 */
#ifndef UNP_VIEW_H
#define UNP_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/err.h"
#include "unpack/context_list.h"
#include "unpack/layer_read.h"
#include "unpack/tree.h"

struct unp_view;

struct unp_vpart {
    const struct bh_erofs_inode *ino;
    uint32_t layer;
};

/* A file, folder or link of a view. */
struct unp_vnode {
    struct unp_view *view;
    uint32_t record; /* contexts: number of the record; UINT32_MAX: the root */
    uint16_t mode;
    uint16_t n_parts; /* layers: folders may have several, the uppermost first */
    bool hides;       /* hiding views: a folder below which layers under the view count no more */
    struct unp_vpart part[];
};

struct unp_file {
    uint16_t mode;
    uint32_t uid;
    uint32_t gid;
    uint32_t mtime_nsec;
    int64_t mtime;
    uint64_t size;               /* regular files */
    struct unp_text link;        /* symlinks */
    struct unp_text xattrs;      /* encoded entries of the index, docs/store-format.md 3.5 */
    const unsigned char *sha256; /* of the content; NULL: not known */
    uint64_t same;               /* not 0: names with the same number are one file */
    uint64_t at;                 /* of the content in fd */
    int fd;
};

struct unp_view {
    struct bh_arena *arena;
    bool hiding; /* layers: there are more below, not seen; whiteouts are nodes (S_IFCHR) */
    const struct unp_vnode *root;
    /* layers */
    struct unp_layer **layers; /* the caller's, lowest first */
    uint32_t n_layers;
    /* contexts */
    const struct bh_context_record **records;
    uint32_t *ends; /* of each record: the first that is not below it */
    uint32_t n_records;
    const int *packs;
    const uint64_t *pack_sizes;
    uint32_t n_packs;
    void *map;
    size_t map_size;
};

/* The parts of a path that are still to be walked; the next is the last. */
struct unp_parts {
    struct unp_text v[UNP_PARTS_MAX];
    size_t n;
};
/* On top of what is there, without empty ones and ".".  False for one that is longer than name_max or has no room:
 * *bad. */
bool unp_parts_push(struct unp_parts *p, struct unp_text path, size_t name_max, struct unp_text *bad);

int unp_view_layers(struct unp_view *v, struct unp_layer **layers, uint32_t n, struct bh_arena *arena,
                    struct bh_err *err);
/* list_fd: context_list.h; the packs are given in their order. */
int unp_view_context(struct unp_view *v, int list_fd, const int *packs, uint32_t n_packs, struct bh_arena *arena,
                     struct bh_err *err);
/* The list alone: its records are all that may be looked at. */
int unp_view_context_list(struct unp_view *v, int list_fd, struct bh_arena *arena, struct bh_context_head *out,
                          struct bh_err *err);
void unp_view_fini(struct unp_view *v);

static inline bool unp_vnode_is_dir(const struct unp_vnode *n) {
    return S_ISDIR(n->mode);
}
/* *out NULL: no such name.  dir may be no folder: then it has none. */
int unp_view_lookup(const struct unp_vnode *dir, struct unp_text name, const struct unp_vnode **out,
                    struct bh_err *err);
/* What the node is; BH_E_DATA_LOSS when its layer is damaged. */
int unp_view_file(const struct unp_vnode *n, struct unp_file *out, struct bh_err *err);

struct unp_vname {
    struct unp_text name;
    const struct unp_vnode *node;
};
struct unp_vnames {
    struct unp_vname *v; /* malloc'd, by the bytes of the names */
    size_t n;
    size_t cap;
};
int unp_view_list(const struct unp_vnode *dir, struct unp_vnames *out, struct bh_err *err);
void unp_vnames_fini(struct unp_vnames *names);

/* The node at an absolute or relative path, links followed inside the view, the last one too with follow.
 * ".." stops at the root.  *out NULL: there is none.  BH_E_INVALID after 40 links. */
int unp_view_find(const struct unp_view *v, struct unp_text path, bool follow, const struct unp_vnode **out,
                  struct bh_err *err);

#endif
