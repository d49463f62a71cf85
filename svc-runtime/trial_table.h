/*
 * trial_table.h - the layer file of an empty tar: header, no tar, one directory; trial.c has launch mount it.
 *
 * Room: runtime.  Constant data.  The form is told in docs/store-format.md and lib/layer/layer_format.h.
 */
#include <assert.h>
#include <sys/stat.h>

#include "layer/layer_format.h"

/* SHA-256 of nothing */
#define TRIAL_DIFF_ID                                                                                                  \
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,  \
        0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55

static const struct {
    struct bh_layer_header header;
    struct bh_erofs_super super;
    char rest[BH_LAYER_HEADER_SIZE - BH_LAYER_SB_OFFSET - sizeof(struct bh_erofs_super)];
    char before_root[BH_EROFS_INODE_STEP];
    struct bh_erofs_inode root;
    char after_root[BH_LAYER_BLK - 2 * BH_EROFS_INODE_STEP];
    struct bh_erofs_dirent dots[2];
    char names[3];
    char end[BH_LAYER_BLK - 2 * sizeof(struct bh_erofs_dirent) - 3];
} trial_layer = {
    .header = {.magic = {'B', 'H', 'L', 'A', 'Y', 'E', 'R', '1'},
               .version = BH_LAYER_VERSION,
               .flags = BH_LAYER_F_ROOT_IMPLIED,
               .tar_offset = BH_LAYER_TAR_OFFSET,
               .extra_offset = BH_LAYER_TAR_OFFSET,
               .index_offset = BH_LAYER_TAR_OFFSET,
               .index_size = 2ull * BH_LAYER_BLK,
               .inode_size = BH_LAYER_BLK,
               .tail_size = BH_LAYER_BLK,
               .inodes = 1,
               .diff_id = {TRIAL_DIFF_ID}},
    .super = {.magic = BH_EROFS_MAGIC,
              .blkszbits = BH_LAYER_BLKBITS,
              .root_nid = BH_EROFS_ROOT_NID,
              .inos = 1,
              .blocks = BH_LAYER_TAR_BLK + 2,
              .meta_blkaddr = BH_LAYER_TAR_BLK,
              .uuid = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24}},
    .root = {.i_format = BH_EROFS_PLAIN,
             .i_mode = S_IFDIR | 0755,
             .i_size = 27,
             .i_u = BH_LAYER_TAR_BLK + 1,
             .i_ino = 1,
             .i_nlink = 2},
    .dots = {{.nid = BH_EROFS_ROOT_NID, .nameoff = 24, .file_type = BH_FT_DIR},
             {.nid = BH_EROFS_ROOT_NID, .nameoff = 25, .file_type = BH_FT_DIR}},
    .names = {'.', '.', '.'}};

static_assert(sizeof(trial_layer) == BH_LAYER_HEADER_SIZE + 2 * BH_LAYER_BLK, "no padding");
