/*
 * index.h - the tree laid out and written as the EROFS index of a layer file.
 *
 * Room: worker.  Deterministic: the same tree gives the same bytes.  The form is docs/store-format.md,
 * section 3; launch checks it with code of its own.
 */
#ifndef UNP_INDEX_H
#define UNP_INDEX_H

#include <stdint.h>

#include "base/err.h"
#include "layer/layer_format.h"
#include "unpack/tree.h"

struct unp_index {
    struct unp_tree *tree;
    uint32_t *order; /* inodes, as 3.1 numbers them */
    uint32_t n;
    uint32_t cap;
    uint64_t inode_size;
    uint64_t tail_blocks;
    uint64_t extra_blocks;
    uint64_t index_offset; /* known to the writer only */
};

/* Number inodes, count links, give every piece its place.  BH_E_LIMIT when 2 TiB are not enough. */
int unp_index_layout(struct unp_index *x, struct unp_tree *tree, struct bh_err *err);
void unp_index_fini(struct unp_index *x);
/*
 * fd already holds the tar at 4096; tar_size is its length.  Copies sparse files out, writes the index and
 * then the header with diff_id.  *out is the header.  The file ends where the index ends.
 */
int unp_index_write(struct unp_index *x, int fd, uint64_t tar_size, const uint8_t diff_id[32], uint64_t entries,
                    struct bh_layer_header *out, struct bh_err *err);

#endif
