/* Numbers out of an image's passwd and group files, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "owner.h"

static void test_lines(void **state) {
    static const char text[] = "root:x:0:0::/:/bin/sh\nneko:x:77:88::/:/bin/sh\n\n:x:5:5\nshort:x\nminus:x:-1:0\n"
                               "huge:x:4294967295:1\nword:x:7a:1\nlast:x:4294967294:3";
    static const struct {
        const char *name;
        unsigned field;
        int64_t want; /* -1: none */
    } rows[] = {{"root", 2, 0},   {"neko", 2, 77},  {"neko", 3, 88},         {"nek", 2, -1},
                {"nekoo", 2, -1}, {"short", 2, -1}, {"minus", 2, -1},        {"huge", 2, -1},
                {"word", 2, -1},  {"", 2, 5},       {"last", 2, 4294967294}, {"last", 3, 3}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t got = -1;
        bool found = build_owner_in_file(text, sizeof text - 1, rows[i].name, rows[i].field, &got);

        if (found != (rows[i].want >= 0) || (found && got != rows[i].want))
            fail_msg("%s, field %u: %lld", rows[i].name, rows[i].field, (long long)got);
    }
    assert_false(build_owner_in_file("", 0, "root", 2, &(int64_t){0}));
    assert_false(build_owner_in_file("root:x:12", 7, "root", 2, &(int64_t){0}));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
