/* The list of layers that a cache of RUN --mount is: its record, its place, and what joining them costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache_layers.h"

#define MB ((uint64_t)1 << 20)

static struct bh_digest digest_of(unsigned char c) {
    struct bh_digest d = {.alg = BH_DIGEST_SHA256};

    memset(d.bytes, c, 32);
    return d;
}

static int arena_begin(void **state) {
    static struct bh_arena arena;

    bh_arena_init(&arena, 1 << 20);
    *state = &arena;
    return 0;
}

static int arena_end(void **state) {
    bh_arena_fini(*state);
    return 0;
}

static void test_record(void **state) {
    struct bh_digest layers[] = {digest_of(1), digest_of(2), digest_of(3)};
    struct bh_digest more = digest_of(4);
    struct build_cached c = {.found = true, .layers = layers, .n = 3, .note = "2 700 5", .n_note = 7};
    struct build_cache_layers l;
    struct bh_err err = BH_ERR_INIT;

    assert_true(build_cache_layers_placed(&c));
    assert_int_equal(build_cache_layers_read(&c, *state, &l, &err), 0);
    assert_int_equal(l.n, 3);
    assert_true(bh_digest_equal(&l.digest[1], &layers[1]));
    assert_int_equal(l.size[0], 700);
    assert_int_equal(l.size[1], 5);
    assert_int_equal(l.size[2], 0); /* nobody has told it */
    build_cache_layers_add(&l, &more, UINT64_MAX);
    assert_string_equal(build_cache_layers_note(&l, *state, &err), "2 700 5 0 18446744073709551615");
    l.n = 0;
    assert_string_equal(build_cache_layers_note(&l, *state, &err), "2");
}

static void test_earlier_form(void **state) {
    const struct build_cached old = {.found = true, .note = "1", .n_note = 1}, none = {.found = false};

    (void)state;
    assert_false(build_cache_layers_placed(&old));
    assert_false(build_cache_layers_placed(&none));
}

static void test_place(void **state) {
    struct bh_digest a = digest_of(0xab), b = digest_of(0xac);
    struct bh_err err = BH_ERR_INIT;

    assert_string_equal(build_cache_place(&a, *state, &err),
                        "/proc/abababababababababababababababababababababababababababababababab");
    assert_string_not_equal(build_cache_place(&a, *state, &err), build_cache_place(&b, *state, &err));
}

/* Every one of a pass of failing allocations is told. */
static void test_no_memory(void **state) {
    struct bh_digest layers[] = {digest_of(1)};
    const struct build_cached c = {.found = true, .layers = layers, .n = 1, .note = "2 1", .n_note = 3};
    struct build_cache_layers l = {.n = 1, .size = (uint64_t[]){1}};
    size_t failed = 0;

    (void)state;
    for (size_t room = 0; room < 512; room += 8) {
        struct bh_err err = BH_ERR_INIT;
        struct build_cache_layers read;
        struct bh_arena arena;

        bh_arena_init(&arena, room);
        if (build_cache_layers_read(&c, &arena, &read, &err) != 0 ||
            build_cache_place(&layers[0], &arena, &err) == NULL || build_cache_layers_note(&l, &arena, &err) == NULL) {
            assert_int_equal(err.code, BH_E_LIMIT);
            failed++;
        }
        bh_arena_fini(&arena);
    }
    assert_true(failed > 0);
}

static size_t join_of(uint64_t *sizes, size_t n) {
    const struct build_cache_layers l = {.size = sizes, .n = n};

    return build_cache_layers_join(&l);
}
#define JOIN(...) join_of((uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void test_join(void **state) {
    (void)state;
    assert_int_equal(join_of(NULL, 0), 0);
    assert_int_equal(JOIN(300 * MB), 1);
    assert_int_equal(JOIN(300 * MB, 1, 1, 1, 1, 1, 1, 1), 8);    /* few enough */
    assert_int_equal(JOIN(300 * MB, 1, 1, 1, 1, 1, 1, 1, 1), 1); /* the large one stays */
    assert_int_equal(JOIN(300 * MB, 9 * MB, 1, 1, 1, 1, 1, 1, 1), 2);
    assert_int_equal(JOIN(1, 1, 1, 1, 1, 1, 1, 1, 1), 0);
    assert_int_equal(JOIN(40 * MB, 50 * MB), 0);  /* much of the lower one may be written over */
    assert_int_equal(JOIN(10 * MB, 20 * MB), 2);  /* not worth it */
    assert_int_equal(JOIN(100 * MB, 30 * MB), 2); /* not yet */
    assert_int_equal(JOIN(100 * MB, 30 * MB, 30 * MB), 0);
    assert_int_equal(JOIN(8000 * MB, 2600 * MB, 850 * MB, 280 * MB, 90 * MB, 29 * MB, 9 * MB, 3 * MB, MB), 9);
}

/* What is written by a long row of steps, joining included, as a multiple of what they changed. */
static void row_of(uint64_t first, uint64_t least, uint64_t most, double times, size_t layers) {
    uint64_t sizes[64] = {first};
    uint64_t changed = 0, written = 0;
    size_t n = 1, longest = 0;
    unsigned seed = 1;

    for (int step = 0; step < 3000; step++) {
        seed = seed * 1103515245u + 12345u;
        sizes[n] = least + (seed >> 8) % (most - least + 1);
        changed += sizes[n];
        written += sizes[n++];
        const size_t from = join_of(sizes, n);

        if (from < n) {
            for (size_t i = from + 1; i < n; i++)
                sizes[from] += sizes[i];
            n = from + 1;
            written += sizes[from];
        }
        longest = n > longest ? n : longest;
    }
    if ((double)written > times * (double)changed || longest > layers)
        fail_msg("%llu written for %llu, %zu layers", (unsigned long long)written, (unsigned long long)changed,
                 longest);
}

static void test_cost(void **state) {
    (void)state;
    row_of(1000 * MB, 2000, 4000, 16, 8);
    row_of(1000 * MB, 1, 5 * MB, 9, 12);
    row_of(0, 1, 100 * MB, 9, 12);
    row_of(100 * MB, 50 * MB, 90 * MB, 9, 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_record, arena_begin, arena_end),
        cmocka_unit_test(test_earlier_form),
        cmocka_unit_test_setup_teardown(test_place, arena_begin, arena_end),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
