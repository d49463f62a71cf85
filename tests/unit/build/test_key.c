/* Keys of steps: every part counts, and none runs into the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "key.h"

static struct bh_digest key_of(const char *kind, const char *a, const char *b) {
    struct bh_err err = BH_ERR_INIT;
    struct build_key k;
    struct bh_digest d;

    assert_int_equal(build_key_begin(&k, kind, &err), 0);
    build_key_text(&k, a);
    build_key_text(&k, b);
    assert_int_equal(build_key_end(&k, &d, &err), 0);
    return d;
}

static void test_parts(void **state) {
    static const char *const rows[][3] = {{"run", "ab", "c"}, {"run", "a", "bc"},   {"run", "abc", ""},
                                          {"run", "", "abc"}, {"run", "abc", NULL}, {"run", NULL, "abc"},
                                          {"copy", "ab", "c"}};
    const size_t n = sizeof rows / sizeof rows[0];

    (void)state;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            struct bh_digest x = key_of(rows[i][0], rows[i][1], rows[i][2]);
            struct bh_digest y = key_of(rows[k][0], rows[k][1], rows[k][2]);

            assert_int_equal(bh_digest_equal(&x, &y), i == k);
        }
}

static struct bh_digest list_key(const char **a, size_t n, const char **b, size_t m) {
    const struct bh_strlist x = {.n = n, .v = a}, y = {.n = m, .v = b};
    struct bh_err err = BH_ERR_INIT;
    struct build_key k;
    struct bh_digest d;

    assert_int_equal(build_key_begin(&k, "x", &err), 0);
    build_key_list(&k, &x);
    build_key_list(&k, &y);
    assert_int_equal(build_key_end(&k, &d, &err), 0);
    return d;
}

static void test_lists(void **state) {
    const char *v[] = {"a", "b", "c"};
    struct bh_digest x = list_key(v, 1, v + 1, 2), y = list_key(v, 2, v + 2, 1);

    (void)state;
    assert_false(bh_digest_equal(&x, &y));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts), cmocka_unit_test(test_lists)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
