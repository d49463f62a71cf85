/*
 * test_types.c - lists and maps in an arena: order, replacement, what a copy by value keeps.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "oci/types.h"

static void test_pairs(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_pairs p = {0}, before;
    struct bh_arena arena;
    char key[16];

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    assert_null(bh_pairs_get(&p, "a"));
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "k%02d", i * 37 % 100);
        assert_int_equal(bh_pairs_set(&p, &arena, key, key + 1, &err), 0);
    }
    assert_int_equal(p.n, 100);
    for (size_t i = 1; i < p.n; i++)
        assert_true(strcmp(p.v[i - 1].key, p.v[i].key) < 0);
    before = p;
    assert_int_equal(bh_pairs_set(&p, &arena, "k50", "new", &err), 0);
    assert_int_equal(bh_pairs_set(&p, &arena, "", "", &err), 0);
    assert_int_equal(p.n, 101);
    assert_string_equal(bh_pairs_get(&p, "k50"), "new");
    assert_string_equal(bh_pairs_get(&before, "k50"), "50");
    assert_null(bh_pairs_get(&p, "k5"));
    bh_arena_fini(&arena);
}

static void test_lists(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_strlist l = {0}, sorted = {0}, before;
    struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, 1 << 16);
    assert_false(bh_strlist_has(&l, "a"));
    assert_int_equal(bh_strlist_add(&l, &arena, "b", &err), 0);
    before = l;
    assert_int_equal(bh_strlist_add(&l, &arena, "a", &err), 0);
    assert_true(l.present && l.n == 2 && before.n == 1);
    assert_true(bh_strlist_has(&l, "a") && !bh_strlist_has(&before, "a"));
    assert_int_equal(bh_strlist_add_sorted(&sorted, &arena, "b", &err), 0);
    assert_int_equal(bh_strlist_add_sorted(&sorted, &arena, "a", &err), 0);
    assert_int_equal(bh_strlist_add_sorted(&sorted, &arena, "b", &err), 0);
    assert_int_equal(sorted.n, 2);
    assert_string_equal(sorted.v[0], "a");
    bh_arena_fini(&arena);
}

static void test_no_memory(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_strlist l = {0};
    struct bh_pairs p = {0};
    struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, 16);
    assert_int_equal(bh_strlist_add(&l, &arena, "0123456789", &err), BH_E_LIMIT);
    assert_int_equal(l.n, 0);
    assert_int_equal(bh_pairs_set(&p, &arena, "a", "b", &err), BH_E_LIMIT);
    assert_int_equal(p.n, 0);
    assert_null(bh_oci_alloc(&arena, 100, &err));
    bh_arena_fini(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs), cmocka_unit_test(test_lists),
                                       cmocka_unit_test(test_no_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
