/*
 * test_arena.c - the memory of a call: alignment, ceiling, big pieces.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"

static void test_pieces(void **state) {
    struct bh_arena a;
    char *last = NULL;

    (void)state;
    bh_arena_init(&a, 1 << 20);
    for (size_t n = 0; n < 2000; n++) {
        char *p = bh_arena_alloc(&a, n % 100);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, (int)n, n % 100);
        assert_true(n % 100 <= 1 || p != last); /* a piece of no bytes shares its place with the next */
        last = p;
    }
    last = bh_arena_strdup(&a, "text");
    assert_string_equal(last, "text");
    assert_non_null(bh_arena_alloc(&a, 100000)); /* larger than a block */
    assert_string_equal(last, "text");
    bh_arena_fini(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(bh_arena_strdup(&a, "again"));
    bh_arena_fini(&a);
}

static void test_ceiling(void **state) {
    struct bh_arena a;

    (void)state;
    bh_arena_init(&a, 100);
    assert_null(bh_arena_alloc(&a, 101));
    assert_null(bh_arena_alloc(&a, 97)); /* counts as 112 */
    assert_non_null(bh_arena_alloc(&a, 96));
    assert_null(bh_arena_alloc(&a, 1));
    assert_null(bh_arena_strdup(&a, "x"));
    assert_null(bh_arena_alloc(&a, SIZE_MAX));
    assert_null(bh_arena_alloc(&a, SIZE_MAX - 15));
    bh_arena_fini(&a);
    bh_arena_init(&a, SIZE_MAX);
    assert_null(bh_arena_alloc(&a, SIZE_MAX));
    bh_arena_fini(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces), cmocka_unit_test(test_ceiling)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
