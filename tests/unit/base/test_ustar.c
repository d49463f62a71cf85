/*
 * test_ustar.c - headers of a tar, byte for byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "base/ustar.h"

static char block[BH_USTAR_BLOCK];

static void field(size_t at, const char *bytes, size_t n) {
    assert_memory_equal(block + at, bytes, n);
}

static void test_file(void **state) {
    (void)state;
    bh_ustar_header(block, &(struct bh_ustar){.name = "a/b", .type = '0', .mode = 0644, .size = 511});
    field(0, "a/b\0", 5);
    field(100,
          "0000644\0"
          "0000000\0"
          "0000000\0"
          "00000000777\0"
          "00000000000\0"
          "006344\0 "
          "0",
          57);
    field(257,
          "ustar\0"
          "00",
          8);
    bh_ustar_header(block, &(struct bh_ustar){.name = "d/", .type = '5', .mode = 0755, .mtime_s = 8});
    field(100, "0000755\0", 8);
    field(136, "00000000010\0", 12);
    field(156, "5", 1);
}

static void test_what_octal_cannot_hold(void **state) {
    (void)state;
    bh_ustar_header(block,
                    &(struct bh_ustar){.name = "x", .type = '0', .size = ((uint64_t)1 << 33) - 1, .mtime_s = -1});
    field(124,
          "77777777777\0"
          "00000000000\0",
          24);
    bh_ustar_header(
        block, &(struct bh_ustar){.name = "x", .type = '0', .size = (uint64_t)1 << 33, .mtime_s = INT64_C(1) << 33});
    field(124,
          "\x80\0\0\0\0\0\0\2\0\0\0\0"
          "00000000000\0",
          24);
}

static void test_padding(void **state) {
    (void)state;
    assert_int_equal(bh_ustar_padding(0), 0);
    assert_int_equal(bh_ustar_padding(1), 511);
    assert_int_equal(bh_ustar_padding(512), 0);
    assert_int_equal(bh_ustar_padding(((uint64_t)1 << 40) + 513), 511);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_what_octal_cannot_hold),
        cmocka_unit_test(test_padding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
