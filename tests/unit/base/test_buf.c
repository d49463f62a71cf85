/*
 * test_buf.c - the growing buffer: appends, its ceiling, JSON strings.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"

static void test_append(void **state) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT;
    char *taken;

    (void)state;
    assert_string_equal(bh_buf_str(&b), "");
    bh_buf_adds(&b, "ab");
    bh_buf_addc(&b, 'c');
    bh_buf_addf(&b, "%d-%s", 7, "x");
    bh_buf_add(&b, "\0z", 2);
    bh_buf_add(&b, NULL, 0);
    assert_int_equal(b.len, 8);
    assert_memory_equal(b.data, "abc7-x\0z", 9);
    bh_buf_shift(&b, 3);
    assert_string_equal(bh_buf_str(&b), "7-x");
    bh_buf_shift(&b, 100);
    assert_int_equal(b.len, 0);
    bh_buf_adds(&b, "keep");
    taken = bh_buf_take(&b);
    assert_string_equal(taken, "keep");
    assert_int_equal(b.len, 0);
    free(taken);
    taken = bh_buf_take(&b);
    assert_string_equal(taken, "");
    free(taken);
}

static void test_growth(void **state) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT;

    (void)state;
    for (int i = 0; i < 100000; i++)
        bh_buf_addc(&b, (char)('a' + i % 26));
    assert_false(bh_buf_failed(&b));
    assert_int_equal(b.len, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], 'a' + i % 26);
}

static void test_ceiling(void **state) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT_MAX(10);

    (void)state;
    bh_buf_adds(&b, "0123456789");
    assert_false(bh_buf_failed(&b));
    bh_buf_adds(&b, "x");
    assert_true(bh_buf_failed(&b));
    assert_string_equal(bh_buf_str(&b), "0123456789");
    bh_buf_shift(&b, 10);
    bh_buf_adds(&b, "y"); /* the failure sticks */
    assert_int_equal(b.len, 0);
    assert_null(bh_buf_room(&b, 0));
    bh_buf_reset(&b);
    assert_false(bh_buf_failed(&b));
    bh_buf_addf(&b, "%020d", 1);
    assert_true(bh_buf_failed(&b));
    bh_buf_reset(&b);
    assert_null(bh_buf_room(&b, SIZE_MAX));
    assert_true(bh_buf_failed(&b));
    bh_buf_fini(&b);
    assert_int_equal(b.max, 10); /* the ceiling outlives the content */
}

static void check_json(const char *in, size_t n, const char *want) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT;

    bh_buf_add_json_str(&b, in, n);
    assert_string_equal(bh_buf_str(&b), want);
}

static void test_json(void **state) {
    (void)state;
    check_json("", 0, "\"\"");
    check_json("a\"b\\c", 5, "\"a\\\"b\\\\c\"");
    check_json("\n\r\t\x01\x7f\0", 6, "\"\\n\\r\\t\\u0001\\u007f\\u0000\"");
    check_json("\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\"");
    check_json("\xff\xc3", 2, "\"\\ufffd\\ufffd\"");
    check_json("\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_append), cmocka_unit_test(test_growth),
                                       cmocka_unit_test(test_ceiling), cmocka_unit_test(test_json)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
