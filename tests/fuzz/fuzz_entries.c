/*
 * fuzz_entries.c - the walk over a layer's index, and the view of a stack: any bytes behind a header that fits them.
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "layer/layer_format.h"
#include "unpack/job.h"
#include "unpack/view.h"

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

static void walk(const struct unp_vnode *dir, unsigned depth, unsigned *left) {
    struct unp_vnames names;
    struct unp_file f;
    const struct unp_vnode *again;
    struct bh_err err = BH_ERR_INIT;

    if (unp_view_list(dir, &names, &err) == 0 && depth < 6)
        for (size_t i = 0; i<names.n && * left> 0; i++) {
            --*left;
            bh_err_clear(&err);
            unp_view_file(names.v[i].node, &f, &err);
            unp_view_lookup(dir, names.v[i].name, &again, &err);
            walk(names.v[i].node, depth + 1, left);
        }
    unp_vnames_fini(&names);
}

/* The same file twice, one over the other. */
static void view(int fd) {
    struct unp_layer layer;
    struct unp_layer *stack[] = {&layer, &layer};
    const struct unp_vnode *node;
    struct unp_view v;
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;
    unsigned left = 2000;

    if (unp_layer_open(&layer, fd, &err) != 0)
        return;
    bh_arena_init(&arena, (size_t)8 << 20);
    if (unp_view_layers(&v, stack, 2, &arena, &err) == 0) {
        walk(v.root, 0, &left);
        unp_view_find(&v, (struct unp_text){"/a/../b/c", 9}, true, &node, &err);
    }
    bh_arena_fini(&arena);
    unp_layer_close(&layer);
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
    view(fds.source);
    close(fds.source);
    close(fds.out);
    return 0;
}
