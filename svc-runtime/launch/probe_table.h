/*
 * probe_table.h - the layer file of an empty tar: header, no tar, one directory; probe.c mounts it.
 *
 * Room: launch.  Constant data.  The form is told in docs/store-format.md and lib/layer/layer_format.h.
 */
#include <assert.h>
#include <sys/stat.h>

#include "layer/layer_format.h"

static const struct {
    char front[BH_LAYER_SB_OFFSET];
    struct bh_erofs_super super;
    char rest[BH_LAYER_HEADER_SIZE - BH_LAYER_SB_OFFSET - sizeof(struct bh_erofs_super)];
    char before_root[BH_EROFS_INODE_STEP];
    struct bh_erofs_inode root;
    char after_root[BH_LAYER_BLK - 2 * BH_EROFS_INODE_STEP];
    struct bh_erofs_dirent dots[2];
    char names[3];
    char end[BH_LAYER_BLK - 2 * sizeof(struct bh_erofs_dirent) - 3];
} probe_image = {.super = {.magic = BH_EROFS_MAGIC,
                           .blkszbits = BH_LAYER_BLKBITS,
                           .root_nid = BH_EROFS_ROOT_NID,
                           .inos = 1,
                           .blocks = BH_LAYER_TAR_BLK + 2,
                           .meta_blkaddr = BH_LAYER_TAR_BLK},
                 .root = {.i_format = BH_EROFS_PLAIN,
                          .i_mode = S_IFDIR | 0755,
                          .i_size = 27,
                          .i_u = BH_LAYER_TAR_BLK + 1,
                          .i_ino = 1,
                          .i_nlink = 2},
                 .dots = {{.nid = BH_EROFS_ROOT_NID, .nameoff = 24, .file_type = BH_FT_DIR},
                          {.nid = BH_EROFS_ROOT_NID, .nameoff = 25, .file_type = BH_FT_DIR}},
                 .names = {'.', '.', '.'}};

static_assert(sizeof(probe_image) == BH_LAYER_HEADER_SIZE + 2 * BH_LAYER_BLK, "no padding");
