/*
 * test_layer_check.c - a header by hand: accepted as it is, refused with any one field changed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "layer/layer_check.h"

#define TAR_SIZE  10000u
#define FILE_SIZE (4096u + 10240u + 512u + 1024u + 512u)

static struct bh_layer_header header(void) {
    struct bh_layer_header h = {.version = BH_LAYER_VERSION,
                                .tar_offset = 4096,
                                .tar_size = TAR_SIZE,
                                .extra_offset = 4096 + 10240,
                                .extra_size = 512,
                                .index_offset = 4096 + 10240 + 512,
                                .index_size = 1536,
                                .inode_size = 1024,
                                .tail_size = 512,
                                .inodes = 15,
                                .entries = 14};
    memcpy(h.magic, BH_LAYER_MAGIC, 8);
    for (unsigned i = 0; i < 32; i++)
        h.diff_id[i] = (uint8_t)i;
    return h;
}

static struct bh_erofs_super super(const struct bh_layer_header *h) {
    struct bh_erofs_super sb = {.magic = BH_EROFS_MAGIC,
                                .blkszbits = 9,
                                .root_nid = 2,
                                .inos = h->inodes,
                                .blocks = FILE_SIZE / 512,
                                .meta_blkaddr = (uint32_t)(h->index_offset / 512)};
    memcpy(sb.uuid, h->diff_id, 16);
    return sb;
}

static void sums(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_layer_header h = header();
    (void)state;
    assert_int_equal(bh_layer_header_check(&h, FILE_SIZE, &err), 0);
    assert_int_equal(bh_layer_header_check(&h, FILE_SIZE + 512, &err), BH_E_DATA_LOSS);
    assert_string_equal(err.reason, "bad-layer");
    uint64_t *fields[] = {&h.tar_offset,   &h.tar_size,   &h.extra_offset, &h.extra_size,
                          &h.index_offset, &h.index_size, &h.inode_size,   &h.tail_size};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        static const uint64_t wrong[] = {0, 1, 511, UINT64_MAX, UINT64_MAX - 511, (uint64_t)1 << 41, 777216};
        for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
            uint64_t was = *fields[i];
            *fields[i] = wrong[k];
            assert_int_equal(bh_layer_header_check(&h, FILE_SIZE, &err), BH_E_DATA_LOSS);
            *fields[i] = was;
        }
    }
    h.inodes = 16; /* fifteen fit */
    assert_int_equal(bh_layer_header_check(&h, FILE_SIZE, &err), BH_E_DATA_LOSS);
    h.inodes = 0;
    assert_int_equal(bh_layer_header_check(&h, FILE_SIZE, &err), BH_E_DATA_LOSS);
    h = header();
    h.flags = 2;
    assert_int_equal(bh_layer_header_check(&h, FILE_SIZE, &err), BH_E_DATA_LOSS);
    h = header();
    h.zero[500] = 1;
    assert_int_equal(bh_layer_header_check(&h, FILE_SIZE, &err), BH_E_DATA_LOSS);
    h = header();
    h.magic[0] = 'X';
    assert_int_equal(bh_layer_header_check(&h, FILE_SIZE, &err), BH_E_DATA_LOSS);
}

static void superblock(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_layer_header h = header();
    struct bh_erofs_super sb = super(&h);
    unsigned char *bytes = (unsigned char *)&sb;
    (void)state;
    assert_int_equal(bh_layer_super_check(&h, &sb, &err), 0);
    for (size_t i = 0; i < sizeof sb; i++) {
        bytes[i] ^= 1;
        assert_int_equal(bh_layer_super_check(&h, &sb, &err), BH_E_DATA_LOSS);
        bytes[i] ^= 1;
    }
}

static void from_file(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_layer_header h = header();
    struct bh_layer_header out;
    struct bh_erofs_super sb = super(&h);
    int fd = memfd_create("layer", 0);
    (void)state;
    assert_int_equal(bh_layer_open(fd, &out, &err), BH_E_DATA_LOSS);
    assert_int_equal(ftruncate(fd, FILE_SIZE), 0);
    assert_int_equal(bh_layer_open(fd, &out, &err), BH_E_DATA_LOSS);
    assert_int_equal(pwrite(fd, &h, sizeof h, 0), sizeof h);
    assert_int_equal(pwrite(fd, &sb, sizeof sb, 1024), sizeof sb);
    assert_int_equal(bh_layer_open(fd, &out, &err), 0);
    assert_memory_equal(&out, &h, sizeof h);
    assert_int_equal(pwrite(fd, "x", 1, 4095), 1);
    assert_int_equal(bh_layer_open(fd, &out, &err), BH_E_DATA_LOSS);
    close(fd);
}

static void bounds(void **state) {
    (void)state;
    assert_true(bh_layer_inside(10, 5, 10, 5));
    assert_true(bh_layer_inside(15, 0, 10, 5));
    assert_false(bh_layer_inside(9, 1, 10, 5));
    assert_false(bh_layer_inside(11, 5, 10, 5));
    assert_false(bh_layer_inside(UINT64_MAX, 2, 10, 5));
    assert_false(bh_layer_inside(11, UINT64_MAX, 10, 5));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums), cmocka_unit_test(superblock),
                                       cmocka_unit_test(from_file), cmocka_unit_test(bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
