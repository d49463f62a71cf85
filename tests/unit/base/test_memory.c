/*
 * test_memory.c - each allocation fails in turn: a buffer sticks at its failure, an arena says NULL,
 * a file is reported as unread, nothing is lost and nothing crashes.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "alloc_fail.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/fdio.h"

static bool fill_buf(void) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT;

    for (int i = 0; i < 1000; i++)
        bh_buf_addf(&b, "line %d\n", i);
    bh_buf_add_json_str(&b, "a\"b", 3);
    return !bh_buf_failed(&b);
}

static bool fill_arena(void) {
    struct bh_arena a;
    bool good = true;

    bh_arena_init(&a, 1 << 20);
    for (int i = 0; i < 100 && good; i++)
        good = bh_arena_alloc(&a, 1000) != NULL && bh_arena_strdup(&a, "text") != NULL;
    bh_arena_fini(&a);
    return good;
}

static bool read_file(void) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    int r = bh_file_read(AT_FDCWD, "/proc/self/maps", 4 << 20, &b, &err);

    if (r != 0 && strstr(err.msg, "out of memory") == NULL)
        fail_msg("message \"%s\"", err.msg);
    return r == 0;
}

static void each_fails(bool (*act)(void)) {
    bool good = false;
    long at;

    for (at = 0; !good; at++) {
        assert_true(at < 1000);
        alloc_fail_at(at);
        good = act();
        if (alloc_failed() && good)
            fail_msg("allocation %ld failed unnoticed", at);
    }
    assert_true(at > 1);
}

static void test_buf(void **state) {
    (void)state;
    each_fails(fill_buf);
}

static void test_arena(void **state) {
    (void)state;
    each_fails(fill_arena);
}

static void test_file(void **state) {
    (void)state;
    each_fails(read_file);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_buf), cmocka_unit_test(test_arena),
                                       cmocka_unit_test(test_file)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
