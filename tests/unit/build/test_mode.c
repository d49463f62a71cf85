/*
 * test_mode.c - values of --chmod.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-build/recipe_mode.h"

static void test_apply(void **state) {
    static const struct {
        const char *text;
        uint16_t old, file, dir;
    } rows[] = {
        {"755", 0600, 0755, 0755},
        {"0644", 0777, 0644, 0644},
        {"0", 0777, 0, 0},
        {"7777", 0, 07777, 07777},
        {"+x", 0644, 0755, 0755},
        {"-x", 0755, 0644, 0644},
        {"a+x", 0644, 0755, 0755},
        {"u+x", 0644, 0744, 0744},
        {"go-rwx", 0777, 0700, 0700},
        {"u=rw,go=r", 0777, 0644, 0644},
        {"=", 0777, 0, 0},
        {"u=rwX,go=rX", 0600, 0644, 0755},
        {"u=rwX,go=rX", 0700, 0755, 0755},
        {"g=u", 0740, 0770, 0770},
        {"o=g,g=", 0750, 0705, 0705},
        {"u+s", 0755, 04755, 04755},
        {"g+s,+t", 0755, 03755, 03755},
        {"u=rwx", 04755, 0755, 04755},
        {"u+rw-x", 0100, 0600, 0600},
        {"ug+w,o-r", 0444, 0660, 0660},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct build_mode mode;

        assert_int_equal(build_mode_parse(rows[i].text, &mode, &err), 0);
        if (build_mode_apply(&mode, rows[i].old, false) != rows[i].file ||
            build_mode_apply(&mode, rows[i].old, true) != rows[i].dir)
            fail_msg("%s of %o: %o and %o", rows[i].text, rows[i].old, build_mode_apply(&mode, rows[i].old, false),
                     build_mode_apply(&mode, rows[i].old, true));
    }
}

static void test_refused(void **state) {
    static const char *const texts[] = {"",    "8",   "10000",    "99999999999", "7x",  "x",       "u",   "u+q",
                                        "+x,", ",+x", "u+x,,g+x", "-1",          "rwx", "u+x g+x", "u=gx"};
    char many[400] = "";

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(texts); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct build_mode mode;

        if (build_mode_parse(texts[i], &mode, &err) != BH_E_INVALID)
            fail_msg("\"%s\" is taken", texts[i]);
    }
    for (size_t i = 0; i < BUILD_MODE_STEPS_MAX + 1; i++)
        memcpy(many + 2 * i, "+x", 3);
    {
        struct bh_err err = BH_ERR_INIT;
        struct build_mode mode;

        assert_int_equal(build_mode_parse(many, &mode, &err), BH_E_LIMIT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_apply), cmocka_unit_test(test_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
