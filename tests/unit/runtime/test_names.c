/* Names of containers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-runtime/names.h"

static void check(const char *name, const char *want) {
    struct bh_err err = BH_ERR_INIT;
    const char *out = NULL;
    int r = rt_name_check(name, &out, &err);

    if (want == NULL) {
        assert_int_equal(r, BH_E_INVALID);
        assert_null(out);
        assert_string_equal(err.reason, "invalid-name");
        return;
    }
    assert_int_equal(r, 0);
    assert_string_equal(out, want);
}

static void rules(void **state) {
    char longest[RT_NAME_MAX + 2];

    (void)state;
    check("web", "web");
    check("/web", "web");
    check("W3b_.-x", "W3b_.-x");
    check("0a", "0a");
    check("a", NULL);
    check("", NULL);
    check("/", NULL);
    check("//web", NULL);
    check("_web", NULL);
    check("-web", NULL);
    check(".web", NULL);
    check("we b", NULL);
    check("we/b", NULL);
    check("w\xc3\xa9"
          "b",
          NULL);
    check("web\n", NULL);
    check("web\x1b[31m", NULL);
    memset(longest, 'a', sizeof longest);
    longest[RT_NAME_MAX] = 0;
    check(longest, longest);
    longest[RT_NAME_MAX] = 'a';
    longest[RT_NAME_MAX + 1] = 0;
    check(longest, NULL);
}

static void made_up(void **state) {
    char a[RT_NAME_SIZE], b[RT_NAME_SIZE];

    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        rt_name_make(a, i, i * 7, 0);
        check(a, a);
    }
    rt_name_make(a, 3, 5, 0);
    rt_name_make(b, 3, 5, 2);
    assert_int_equal(strncmp(a, b, strlen(a)), 0);
    assert_string_equal(b + strlen(a), "2");
    rt_name_random(a, 0);
    check(a, a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rules), cmocka_unit_test(made_up)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
