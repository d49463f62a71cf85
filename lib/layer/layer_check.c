/*
 * layer_check.c - sums and ranges of the header of a layer file.
 *
 * Room: worker, store, launch.  Trusts nothing it reads.  Must not follow any address of the
 * index: that is the verifier's work in launch.  Explained in docs/store-format.md, section 2.
 */
#include "layer/layer_check.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"

static int bad(struct bh_err *err, const char *what) {
    bh_err_set(err, BH_E_DATA_LOSS, "layer header: %s", what);
    bh_err_reason(err, "bad-layer");
    return bh_err_hint(err, "the layer file is damaged: run 'bulkhead system check --repair' or load the image again");
}

static bool all_zero(const void *p, size_t n) {
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++)
        if (b[i] != 0)
            return false;
    return true;
}

int bh_layer_header_check(const struct bh_layer_header *h, uint64_t file_size, struct bh_err *err) {
    const uint64_t max = BH_LAYER_MAX_BLOCKS * BH_LAYER_BLK;
    if (memcmp(h->magic, BH_LAYER_MAGIC, sizeof h->magic) != 0 || h->version != BH_LAYER_VERSION)
        return bad(err, "not a layer file of this version");
    if ((h->flags & ~BH_LAYER_F_ROOT_IMPLIED) != 0 || !all_zero(h->zero, sizeof h->zero))
        return bad(err, "unknown flags or fields");
    if (h->tar_size > max || h->extra_size > max || h->inode_size > max || h->tail_size > max)
        return bad(err, "a size is out of range");
    if (h->tar_offset != BH_LAYER_TAR_OFFSET ||
        h->extra_offset != h->tar_offset + bh_layer_round(h->tar_size, BH_LAYER_BLK))
        return bad(err, "the tar is not where it must be");
    if (h->extra_size % BH_LAYER_BLK != 0 || h->index_offset != h->extra_offset + h->extra_size)
        return bad(err, "the sparse area is not where it must be");
    if (h->inode_size % BH_LAYER_BLK != 0 || h->tail_size % BH_LAYER_BLK != 0 ||
        h->index_size != h->inode_size + h->tail_size || h->index_offset + h->index_size != file_size)
        return bad(err, "the index does not end with the file");
    if (file_size > max)
        return bad(err, "the file is larger than 2 TiB");
    if (h->inode_size == 0 || h->inodes == 0 || h->inodes > (h->inode_size - BH_EROFS_INODE_STEP) / BH_EROFS_INODE_STEP)
        return bad(err, "the number of inodes does not fit the inode area");
    return 0;
}

int bh_layer_super_check(const struct bh_layer_header *h, const struct bh_erofs_super *sb, struct bh_err *err) {
    struct bh_erofs_super want = {
        .magic = BH_EROFS_MAGIC,
        .blkszbits = BH_LAYER_BLKBITS,
        .root_nid = BH_EROFS_ROOT_NID,
        .inos = h->inodes,
        .blocks = (uint32_t)((h->index_offset + h->index_size) / BH_LAYER_BLK),
        .meta_blkaddr = (uint32_t)(h->index_offset / BH_LAYER_BLK),
    };
    memcpy(want.uuid, h->diff_id, sizeof want.uuid);
    if (memcmp(&want, sb, sizeof want) != 0)
        return bad(err, "the superblock does not agree with the header");
    return 0;
}

int bh_layer_open(int fd, struct bh_layer_header *out, struct bh_err *err) {
    struct {
        struct bh_layer_header header;
        struct bh_erofs_super super;
        uint8_t zero[BH_LAYER_HEADER_SIZE - BH_LAYER_SB_OFFSET - sizeof(struct bh_erofs_super)];
    } start;
    static_assert(sizeof start == BH_LAYER_HEADER_SIZE, "no padding");
    struct stat st;
    if (fstat(fd, &st) != 0)
        return bh_err_errno(err, errno, "stat of a layer file");
    ssize_t n = bh_pread_full(fd, &start, sizeof start, 0);
    if (n < 0)
        return bh_err_errno(err, errno, "read of a layer header");
    if ((size_t)n != sizeof start)
        return bad(err, "the file is shorter than its header");
    int rc = bh_layer_header_check(&start.header, (uint64_t)st.st_size, err);
    if (rc == 0)
        rc = bh_layer_super_check(&start.header, &start.super, err);
    if (rc == 0 && !all_zero(start.zero, sizeof start.zero))
        rc = bad(err, "bytes behind the superblock");
    if (rc == 0)
        *out = start.header;
    return rc;
}
