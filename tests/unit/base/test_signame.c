/*
 * test_signame.c - signals by name and number, against the system's own numbers.
 */
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/signame.h"

static void test_parse(void **state) {
    static const struct {
        const char *text;
        int want;
    } rows[] = {{"TERM", SIGTERM},
                {"SIGTERM", SIGTERM},
                {"sigterm", SIGTERM},
                {"15", 15},
                {"64", 64},
                {"1", 1},
                {"kill", SIGKILL},
                {"SIGWINCH", SIGWINCH},
                {"SIGSYS", SIGSYS},
                {"IOT", SIGABRT},
                {"SIGPOLL", SIGPOLL},
                {"CLD", SIGCHLD},
                {"SIGSTKFLT", 16},
                {"RTMIN", 34},
                {"SIGRTMIN+3", 37},
                {"SIGRTMAX-1", 63},
                {"rtmax", 64},
                {"0", 0},
                {"65", 0},
                {"-1", 0},
                {"", 0},
                {"SIG", 0},
                {"SIGSIGTERM", 0},
                {"TERMS", 0},
                {"RTMIN+31", 0},
                {"RTMIN+", 0},
                {"RTMAX-31", 0},
                {"99999999999999999999", 0},
                {" TERM", 0}};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        if (bh_signal_parse(rows[i].text) != rows[i].want)
            fail_msg("%s: %d", rows[i].text, bh_signal_parse(rows[i].text));
    }
}

static void test_names(void **state) {
    (void)state;
    for (int i = 1; i < 32; i++) {
        char want[32];

        assert_int_equal(bh_signal_parse(bh_signal_name(i)), i);
        snprintf(want, sizeof want, "SIG%s", sigabbrev_np(i));
        if (i != SIGIO) /* the library says POLL */
            assert_string_equal(bh_signal_name(i), want);
    }
    assert_string_equal(bh_signal_name(0), "");
    assert_string_equal(bh_signal_name(-1), "");
    assert_string_equal(bh_signal_name(34), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
