/* WORKDIR and destinations: joined, cleaned, never above the root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "job.h"

static void test_join(void **state) {
    static const char *const rows[][3] = {{"/", "a", "/a"},          {"/a", "b/c", "/a/b/c"},
                                          {"/a", "/b", "/b"},        {"/a/b", "..", "/a"},
                                          {"/a", "../../..", "/"},   {"/a", ".", "/a"},
                                          {"/a", "", "/a"},          {"/", "/", "/"},
                                          {"/", "//x///y/", "/x/y"}, {"/a", "./b/./c/..", "/a/b"},
                                          {"/a", "...", "/a/..."},   {"/a", "b/../../../c", "/c"}};
    struct bh_err err = BH_ERR_INIT;
    struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, 65536);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *got = NULL;

        assert_int_equal(build_path_join(rows[i][0], rows[i][1], &arena, &got, &err), 0);
        assert_string_equal(got, rows[i][2]);
    }
    bh_arena_fini(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_join)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
