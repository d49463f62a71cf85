/*
 * layer_read.h - a layer file read back through its index: names, attributes, where contents lie.
 *
 * Room: worker.  The index was written by another worker and is trusted no more than a tar: every offset is
 * checked before it is used.  Nothing is copied: what is handed out points into the mapped index.
 */
#ifndef UNP_LAYER_READ_H
#define UNP_LAYER_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "layer/layer_format.h"
#include "unpack/tar_pax.h"

struct unp_layer {
    struct bh_layer_header h;
    int fd;
    const unsigned char *index; /* index_size bytes */
    void *map;
    size_t map_size;
};

int unp_layer_open(struct unp_layer *l, int fd, struct bh_err *err);
void unp_layer_close(struct unp_layer *l);

/* NULL when there is no inode of that number. */
const struct bh_erofs_inode *unp_layer_inode(const struct unp_layer *l, uint64_t nid);
/* Target of a symlink; NULL when it does not lie in the index. */
const unsigned char *unp_layer_target(const struct unp_layer *l, const struct bh_erofs_inode *ino);
/* The encoded entries of 3.5 behind the header; n 0: none.  false when they do not fit. */
bool unp_layer_xattrs(const struct unp_layer *l, const struct bh_erofs_inode *ino, struct unp_text *out);
bool unp_layer_is_opaque(const struct unp_layer *l, const struct bh_erofs_inode *ino);
/* Where the content of a regular file lies in the layer file; false when that is outside of it. */
bool unp_layer_content(const struct unp_layer *l, const struct bh_erofs_inode *ino, uint64_t *out_at);

/* Every name but "." and ".."; not 0 ends the walk and is returned.  The name has no slash and no NUL. */
typedef int unp_layer_name_fn(void *arg, struct unp_text name, uint64_t nid, struct bh_err *err);
int unp_layer_dir(const struct unp_layer *l, const struct bh_erofs_inode *ino, unp_layer_name_fn *fn, void *arg,
                  struct bh_err *err);
/* *out NULL: no such name. */
int unp_layer_lookup(const struct unp_layer *l, const struct bh_erofs_inode *dir, struct unp_text name,
                     const struct bh_erofs_inode **out, struct bh_err *err);

int unp_layer_bad(const char *what, struct bh_err *err); /* BH_E_DATA_LOSS, reason "bad-layer" */

#endif
