/*
 * test_str.c - numbers, hex, UTF-8, escaping, sizes and durations for people.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"

static void test_copy(void **state) {
    char dst[4] = "zzz";

    (void)state;
    assert_true(bh_str_copy(dst, sizeof dst, "abc"));
    assert_string_equal(dst, "abc");
    assert_false(bh_str_copy(dst, sizeof dst, "abcd"));
    assert_string_equal(dst, "");
    assert_true(bh_str_copy_n(dst, sizeof dst, "abcd", 2));
    assert_string_equal(dst, "ab");
    assert_false(bh_str_copy(dst, 0, ""));
    assert_true(bh_str_starts("abc", "ab") && bh_str_starts("abc", "") && !bh_str_starts("a", "ab"));
    assert_true(bh_str_ends("abc", "bc") && bh_str_ends("abc", "") && !bh_str_ends("c", "bc"));
    assert_true(bh_str_eq("a", "a") && bh_str_eq(NULL, NULL) && !bh_str_eq("a", NULL) && !bh_str_eq(NULL, "a"));
}

static void test_numbers(void **state) {
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "1x", "0x1", "18446744073709551616", "99999999999999999999"};
    uint64_t u = 7;
    int64_t i = 7;

    (void)state;
    assert_true(bh_str_u64("0", &u) && u == 0);
    assert_true(bh_str_u64("18446744073709551615", &u) && u == UINT64_MAX);
    for (size_t k = 0; k < BH_ARRAY_LEN(bad); k++)
        assert_false(bh_str_u64(bad[k], &u));
    assert_true(u == UINT64_MAX);
    assert_true(bh_str_i64("-5", &i) && i == -5);
    assert_true(bh_str_i64("9223372036854775807", &i) && i == INT64_MAX);
    assert_false(bh_str_i64("9223372036854775808", &i));
    assert_false(bh_str_i64("--5", &i));
    assert_false(bh_str_i64("-", &i));
}

static void test_bytes(void **state) {
    static const struct {
        const char *text;
        uint64_t want;
    } rows[] = {{"0", 0},
                {"512", 512},
                {"512b", 512},
                {"64k", 65536},
                {"64K", 65536},
                {"64kb", 65536},
                {"64KiB", 65536},
                {"1.5g", 1610612736},
                {"2 m", 2 << 20},
                {"1t", (uint64_t)1 << 40},
                {"1P", (uint64_t)1 << 50},
                {"0.5k", 512}};
    static const char *const bad[] = {"",
                                      "k",
                                      "-1",
                                      "+1",
                                      ".5",
                                      "1x",
                                      "1kk",
                                      "1kibx",
                                      "0x10",
                                      "1e3",
                                      "1e3k",
                                      "1.2.3",
                                      "nan",
                                      "inf",
                                      " 1",
                                      "1  k",
                                      "9999999999999999999",
                                      "99999p",
                                      "1k "};
    uint64_t v;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        if (!bh_str_bytes(rows[i].text, &v) || v != rows[i].want)
            fail_msg("%s", rows[i].text);
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        if (bh_str_bytes(bad[i], &v))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void test_hex(void **state) {
    unsigned char bytes[3];
    char text[7];

    (void)state;
    bh_hex((const unsigned char *)"\x00\xab\xff", 3, text);
    assert_string_equal(text, "00abff");
    assert_true(bh_unhex("00abff", 6, bytes));
    assert_memory_equal(bytes, "\x00\xab\xff", 3);
    assert_false(bh_unhex("00a", 3, bytes));
    assert_false(bh_unhex("AB", 2, bytes));
    assert_false(bh_unhex("g0", 2, bytes));
}

static void test_utf8(void **state) {
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2 ",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xe0\xa0",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "a\xff"};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(good); i++)
        assert_true(bh_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++)
        assert_false(bh_utf8_valid(bad[i], strlen(bad[i])));
    assert_true(bh_utf8_valid("a\0b", 3));
    assert_int_equal(bh_utf8_len("", 0), 0);
    const char *text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc3(\xff";
    static const uint32_t each[] = {'a', 0xe9, 0x20ac, 0x1f600, BH_UTF8_BYTE + 0xc3, '(', BH_UTF8_BYTE + 0xff};
    for (size_t i = 0; i < sizeof each / sizeof *each; i++)
        assert_int_equal(bh_utf8_next(&text), each[i]);
    assert_int_equal(*text, '\0');
}

static void check_escape(const char *in, size_t n, bool newlines, const char *want) {
    char out[64];

    bh_str_escape(out, sizeof out, in, n, newlines);
    assert_string_equal(out, want);
}

static void test_escape(void **state) {
    char tiny[5];

    (void)state;
    check_escape("plain \xc3\xa9", 8, false, "plain \xc3\xa9");
    check_escape("\x1b[31m", 5, false, "\\x1b[31m");
    check_escape("a\nb\tc", 5, false, "a\\x0ab\\x09c");
    check_escape("a\nb\tc\r", 6, true, "a\nb\tc\\x0d");
    check_escape("\0\x7f", 2, false, "\\x00\\x7f");
    check_escape("\xc2\x9b", 2, false, "\\xc2\\x9b"); /* CSI as one character */
    check_escape("\xff\xc3", 2, false, "\\xff\\xc3");
    check_escape("a\xe2\x80\xae"
                 "b",
                 5, false, "a\\xe2\\x80\\xaeb"); /* right to left from here on */
    check_escape("\xe2\x81\xa6\xd8\x9c", 5, true, "\\xe2\\x81\\xa6\\xd8\\x9c");
    check_escape("\xe2\x80\xa6", 3, false, "\xe2\x80\xa6"); /* three dots are none */
    bh_str_escape(tiny, sizeof tiny,
                  "ab\x01"
                  "cd",
                  5, false);
    assert_string_equal(tiny, "ab");
    bh_str_escape(tiny, sizeof tiny, "abc\xc3\xa9", 5, false); /* never half a character */
    assert_string_equal(tiny, "abc");
    bh_str_escape(tiny, 1, "abc", 3, false);
    assert_string_equal(tiny, "");
    bh_str_escape(NULL, 0, "abc", 3, false);
}

static void test_human_size(void **state) {
    static const struct {
        uint64_t bytes;
        int prec;
        const char *want;
    } rows[] = {{0, 4, "0B"},         {1, 4, "1B"},          {999, 3, "999B"},       {1000, 3, "1kB"},
                {1024, 4, "1.024kB"}, {123456, 3, "123kB"},  {1230000, 4, "1.23MB"}, {4900000000, 3, "4.9GB"},
                {999950, 3, "1MB"},   {999999, 4, "1000kB"}, {999400, 3, "999kB"},   {UINT64_MAX, 4, "18.45EB"}};
    char text[32];

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        bh_human_size(text, sizeof text, rows[i].bytes, rows[i].prec);
        assert_string_equal(text, rows[i].want);
    }
}

static void test_human_duration(void **state) {
    static const struct {
        int64_t s;
        const char *want;
    } rows[] = {
        {-5, "Less than a second"}, {0, "Less than a second"},  {1, "1 second"},         {59, "59 seconds"},
        {60, "About a minute"},     {119, "About a minute"},    {120, "2 minutes"},      {3599, "59 minutes"},
        {3600, "About an hour"},    {5399, "About an hour"},    {5400, "2 hours"},       {47 * 3600, "47 hours"},
        {48 * 3600, "2 days"},      {13 * 86400, "13 days"},    {14 * 86400, "2 weeks"}, {59 * 86400, "8 weeks"},
        {60 * 86400, "2 months"},   {729 * 86400, "24 months"}, {730 * 86400, "2 years"}};
    char text[32];

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        bh_human_duration(text, sizeof text, rows[i].s);
        assert_string_equal(text, rows[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),       cmocka_unit_test(test_numbers),        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_hex),        cmocka_unit_test(test_utf8),           cmocka_unit_test(test_escape),
        cmocka_unit_test(test_human_size), cmocka_unit_test(test_human_duration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
