/* Signals as users write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-runtime/signal_name.h"

static void good(void **state) {
    static const struct {
        const char *text;
        int want;
    } rows[] = {{"KILL", 9},  {"SIGKILL", 9}, {"sigkill", 9},  {"Term", 15},       {"9", 9},      {"15", 15},
                {"64", 64},   {"RTMIN", 34},  {"RTMIN+3", 37}, {"SIGRTMAX-1", 63}, {"RTMAX", 64}, {"WINCH", 28},
                {"CHLD", 17}, {"CLD", 17},    {"IOT", 6},      {"POLL", 29},       {"1", 1}};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        int n = -1;

        assert_int_equal(rt_signal_parse(rows[i].text, &n, &err), 0);
        assert_int_equal(n, rows[i].want);
    }
}

static void bad(void **state) {
    static const char *const rows[] = {"",
                                       "0",
                                       "65",
                                       "-9",
                                       "KILLX",
                                       "SIG",
                                       "SIGSIGKILL",
                                       "RTMIN+31",
                                       "RTMIN-1",
                                       "RTMAX+1",
                                       "9 ",
                                       " 9",
                                       "99999999999999999999",
                                       "RTMIN+",
                                       "TERM\n"};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        int n = -1;

        assert_int_equal(rt_signal_parse(rows[i], &n, &err), BH_E_INVALID);
        assert_int_equal(n, -1);
        assert_string_equal(err.reason, "invalid-signal");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
