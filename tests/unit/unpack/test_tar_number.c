/*
 * test_tar_number.c - octal, base-256, decimal and PAX times; what is refused as well as what is read.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "unpack/tar_number.h"

static int64_t field(const char *text, size_t n) {
    int64_t v = -12345;
    return unp_tar_field((const unsigned char *)text, n, &v) ? v : INT64_MIN;
}

static void octal(void **state) {
    (void)state;
    assert_int_equal(field("0000644\0", 8), 0644);
    assert_int_equal(field("  644 \0 ", 8), 0644);
    assert_int_equal(field("77777777777\0", 12), 077777777777);
    assert_int_equal(field("777777777777", 12), 0777777777777);
    assert_int_equal(field("\0\0\0\0\0\0\0\0", 8), 0);
    assert_int_equal(field("        ", 8), 0);
    assert_true(field("000064x\0", 8) == INT64_MIN);
    assert_true(field("0000648\0", 8) == INT64_MIN);
    assert_true(field("-000644\0", 8) == INT64_MIN);
    assert_true(field("644\0 644", 8) == INT64_MIN);
    assert_true(field("0x00644\0", 8) == INT64_MIN);
}

static void base256(void **state) {
    (void)state;
    assert_int_equal(field("\x80\0\0\0\0\0\0\0\0\0\0\x7f", 12), 127);
    assert_int_equal(field("\x80\0\0\0\xee\x6b\x28\0", 8), 4000000000);
    assert_int_equal(field("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12), -2);
    assert_int_equal(field("\xff\xff\xff\xff\xff\xff\xff\xff", 8), -1);
    assert_true(field("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12) == INT64_MAX);
    assert_true(field("\x80\0\0\0\x80\0\0\0\0\0\0\0", 12) == INT64_MIN);     /* 2^63 */
    assert_true(field("\x80\0\0\x01\0\0\0\0\0\0\0\0", 12) == INT64_MIN);     /* 2^64 */
    assert_true(field("\xff\xff\xff\xfe\0\0\0\0\0\0\0\0", 12) == INT64_MIN); /* below -2^63 */
}

static void decimal(void **state) {
    uint64_t v = 0;
    (void)state;
    assert_true(unp_pax_u64("18446744073709551615", 20, &v));
    assert_true(v == UINT64_MAX);
    assert_false(unp_pax_u64("18446744073709551616", 20, &v));
    assert_false(unp_pax_u64("", 0, &v));
    assert_false(unp_pax_u64("+1", 2, &v));
    assert_false(unp_pax_u64("1 ", 2, &v));
    assert_false(unp_pax_u64("1\0", 2, &v));
}

static void check_time(const char *text, int64_t sec, uint32_t nsec) {
    int64_t s = 0;
    uint32_t ns = 0;
    assert_true(unp_pax_time(text, strlen(text), &s, &ns));
    assert_true(s == sec);
    assert_int_equal(ns, nsec);
}

static void times(void **state) {
    int64_t s;
    uint32_t ns;
    (void)state;
    check_time("0", 0, 0);
    check_time("1700000000.123456789", 1700000000, 123456789);
    check_time("1.5", 1, 500000000);
    check_time("1.1234567891", 1, 123456789);
    check_time("-1", -1, 0);
    check_time("-0.5", -1, 500000000);
    check_time("-1.25", -2, 750000000);
    check_time("-0.0000000001", -1, 999999999);
    check_time("-1.9999999999", -2, 0);
    check_time("5.", 5, 0);
    assert_false(unp_pax_time("", 0, &s, &ns));
    assert_false(unp_pax_time("-", 1, &s, &ns));
    assert_false(unp_pax_time("1e3", 3, &s, &ns));
    assert_false(unp_pax_time("1.2.3", 5, &s, &ns));
    assert_false(unp_pax_time("99999999999999999999", 20, &s, &ns));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octal),
        cmocka_unit_test(base256),
        cmocka_unit_test(decimal),
        cmocka_unit_test(times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
