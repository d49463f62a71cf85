/*
 * test_clock.c - RFC 3339 both ways, durations.
 */
#include <time.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"

static void test_parse(void **state) {
    static const struct {
        const char *text;
        int64_t ns;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2024-01-02T03:04:05Z", 1704164645 * BH_NSEC},
        {"2024-01-02T03:04:05.000000006Z", 1704164645 * BH_NSEC + 6},
        {"2024-01-02T03:04:05.5Z", 1704164645 * BH_NSEC + 500000000},
        {"2024-01-02T03:04:05.1234567891Z", 1704164645 * BH_NSEC + 123456789},
        {"2024-01-02T05:04:05+02:00", 1704164645 * BH_NSEC},
        {"2024-01-01T21:34:05-05:30", 1704164645 * BH_NSEC},
        {"2024-02-29T00:00:00Z", 1709164800 * BH_NSEC},
        {"2000-02-29T00:00:00Z", 951782400 * BH_NSEC},
        {"1969-12-31T23:59:59Z", -BH_NSEC},
    };
    static const char *const bad[] = {"",
                                      "2024",
                                      "2024-01-02",
                                      "2024-01-02T03:04:05",
                                      "2024-13-02T03:04:05Z",
                                      "2024-00-02T03:04:05Z",
                                      "2024-01-32T03:04:05Z",
                                      "2024-01-00T03:04:05Z",
                                      "2023-02-29T00:00:00Z",
                                      "1900-02-29T00:00:00Z",
                                      "2024-04-31T00:00:00Z",
                                      "2024-01-02T24:04:05Z",
                                      "2024-01-02T03:60:05Z",
                                      "2024-01-02T03:04:60Z",
                                      "2024-01-02T03:04:05.Z",
                                      "2024-01-02T03:04:05Zx",
                                      "2024-01-02T03:04:05+2:00",
                                      "2024-01-02T03:04:05+25:00",
                                      "0001-01-01T00:00:00Z",
                                      "9999-01-01T00:00:00Z",
                                      "2024-1-2T03:04:05Z",
                                      "+024-01-02T03:04:05Z",
                                      "2024-01-02T03:04:0",
                                      "2024-",
                                      "2024-01-02T03:04:05.00000000000000000000000000000000000000000000000000000Z"};
    int64_t ns;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        if (!bh_time_parse(rows[i].text, &ns) || ns != rows[i].ns)
            fail_msg("%s", rows[i].text);
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        if (bh_time_parse(bad[i], &ns))
            fail_msg("accepted: %s", bad[i]);
    }
}

/* The calendar against the C library's, over three centuries, and there and back. */
static void test_calendar(void **state) {
    char text[BH_RFC3339_SIZE], want[64];
    int64_t back;

    (void)state;
    for (int64_t s = -4e9; s < (int64_t)8e9; s += 7654321) {
        time_t t = (time_t)s;
        struct tm tm;

        gmtime_r(&t, &tm);
        strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", &tm);
        bh_time_rfc3339(s * BH_NSEC, text);
        assert_string_equal(text, want);
        assert_true(bh_time_parse(text, &back));
        assert_true(back == s * BH_NSEC);
        bh_time_rfc3339(s * BH_NSEC + 120, text);
        assert_true(bh_time_parse(text, &back));
        assert_true(back == s * BH_NSEC + 120);
    }
    bh_time_rfc3339(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999999Z");
    bh_time_rfc3339(INT64_MAX, text);
    bh_time_rfc3339(INT64_MIN, text);
    assert_memory_equal(text, "1677-09-21T", 11);
}

static void test_duration(void **state) {
    static const struct {
        const char *text;
        int64_t ns;
    } rows[] = {{"0", 0},
                {"1ns", 1},
                {"250ms", 250000000},
                {"10s", 10 * BH_NSEC},
                {"1h30m", 5400 * BH_NSEC},
                {"1.5h", 5400 * BH_NSEC},
                {"-2m", -120 * BH_NSEC},
                {"+1s", BH_NSEC},
                {".5s", BH_NSEC / 2},
                {"2us", 2000},
                {"2\xc2\xb5s", 2000},
                {"2\xce\xbcs", 2000},
                {"0s", 0}};
    static const char *const bad[] = {"",    "-",    "+",    "1",    "s",    ".",     ".s",           "1x",
                                      "1s2", "1e3s", "0x1s", "infs", "nans", "1..5s", "99999999999h", " 1s",
                                      "1 s", "--1s"};
    int64_t ns;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        if (!bh_duration_parse(rows[i].text, &ns) || ns != rows[i].ns)
            fail_msg("%s", rows[i].text);
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        if (bh_duration_parse(bad[i], &ns))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void test_now(void **state) {
    int64_t a = bh_mono_ns(), b = bh_mono_ns();

    (void)state;
    assert_true(b >= a);
    assert_true(bh_now_ns() > 1700000000 * BH_NSEC);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_calendar),
                                       cmocka_unit_test(test_duration), cmocka_unit_test(test_now)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
