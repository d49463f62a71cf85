/* The index of a layer.  Input: u16 blocks of the inode area, u16 inodes, then the index; the header
 * around it is made to fit, so that the fuzzer is not stopped by sums. */
#include <stdlib.h>
#include <string.h>

#include "layer/layer_check.h"
#include "rightless/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bh_layer_header h = {.magic = {'B', 'H', 'L', 'A', 'Y', 'E', 'R', '1'},
                                .version = 1,
                                .tar_offset = 4096,
                                .tar_size = 8192,
                                .extra_offset = 4096 + 8192};
    struct bh_err err = BH_ERR_INIT;
    uint16_t blocks, inodes;
    unsigned char *index;

    if (n < 4)
        return 0;
    memcpy(&blocks, data, 2);
    memcpy(&inodes, data + 2, 2);
    data += 4;
    n = (n - 4) / 512 * 512;
    h.index_offset = h.extra_offset;
    h.index_size = n;
    h.inode_size = (uint64_t)blocks * 512;
    h.inodes = inodes;
    if (h.inode_size > n)
        return 0;
    h.tail_size = n - h.inode_size;
    if (bh_layer_header_check(&h, h.index_offset + h.index_size, &err) != 0)
        return 0;
    index = malloc(n); /* a copy of exact size: a byte too far is noticed */
    memcpy(index, data, n);
    lnc_verify_index(&h, index, &err);
    free(index);
    return 0;
}
