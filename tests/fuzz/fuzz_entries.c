/*
 * fuzz_entries.c - the walk over a layer's index: any bytes behind a header that fits them.
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "layer/layer_format.h"
#include "unpack/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(unsigned char *start, const uint8_t *data, uint64_t inode_size, uint64_t tail_size) {
    struct bh_layer_header *h = (void *)start;
    struct bh_erofs_super *sb = (void *)(start + BH_LAYER_SB_OFFSET);

    memcpy(h->magic, BH_LAYER_MAGIC, sizeof h->magic);
    h->version = BH_LAYER_VERSION;
    h->tar_offset = h->extra_offset = h->index_offset = BH_LAYER_TAR_OFFSET;
    h->inode_size = inode_size;
    h->tail_size = tail_size;
    h->index_size = inode_size + tail_size;
    h->inodes = data[0] % ((inode_size - 64) / 64) + 1;
    sb->magic = BH_EROFS_MAGIC;
    sb->blkszbits = BH_LAYER_BLKBITS;
    sb->root_nid = BH_EROFS_ROOT_NID;
    sb->inos = h->inodes;
    sb->blocks = (uint32_t)((h->index_offset + h->index_size) / BH_LAYER_BLK);
    sb->meta_blkaddr = (uint32_t)(h->index_offset / BH_LAYER_BLK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static unsigned char start[BH_LAYER_HEADER_SIZE];
    struct bh_job_params p = {.magic = BH_JOB_PARAMS_MAGIC};
    struct bh_buf result = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    uint64_t blocks = size / BH_LAYER_BLK;
    struct unp_fds fds = {.blob = -1};

    if (blocks < 2 || blocks > 256)
        return 0;
    memset(start, 0, sizeof start);
    fill(start, data, blocks / 2 * BH_LAYER_BLK, (blocks - blocks / 2) * BH_LAYER_BLK);
    fds.source = memfd_create("layer", MFD_CLOEXEC);
    fds.out = memfd_create("out", MFD_CLOEXEC);
    bh_write_all(fds.source, start, sizeof start);
    bh_write_all(fds.source, data, blocks * BH_LAYER_BLK);
    unp_job_entries(&fds, &p, &result, &err);
    bh_buf_fini(&result);
    close(fds.source);
    close(fds.out);
    return 0;
}
