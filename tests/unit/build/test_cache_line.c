/*
 * test_cache_line.c - lines of the cache that an image carries, and what --cache-from and --cache-to say.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "cache_line.h"
#include "cache_spec.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_lines(void **state) {
    static const char *const good[] = {"sha256:" HEX " - 0", "sha256:" HEX " 0 1700000000000000000",
                                       "sha256:" HEX " 2 9223372036854775807"};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(good); i++) {
        char again[BUILD_CACHE_LINE_SIZE];
        struct build_cache_line line;

        assert_true(build_cache_line_read(good[i], 3, &line));
        build_cache_line_write(&line, again);
        assert_string_equal(again, good[i]);
    }
}

static void test_no_lines(void **state) {
    static const char *const bad[] = {"",
                                      "sha256:" HEX,
                                      "sha256:" HEX " 0",
                                      "sha256:" HEX " 3 1",
                                      "sha256:" HEX " -1 1",
                                      "sha256:" HEX " 0 -1",
                                      "sha256:" HEX " 0 9223372036854775808",
                                      "sha256:" HEX " 18446744073709551616 1",
                                      "sha256:" HEX " 0 1 2",
                                      "sha256:" HEX " x 1",
                                      "sha256:0123 0 1",
                                      "sha512:" HEX HEX " 0 1",
                                      "sha256:" HEX " 0 1                                                             "
                                      "                                              "};
    struct build_cache_line line;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++)
        if (build_cache_line_read(bad[i], 3, &line))
            fail_msg("\"%s\" is taken", bad[i]);
}

static void test_specs(void **state) {
    static const struct {
        const char *text;
        bool to;
        enum build_cache_type type;
        const char *ref;
    } good[] = {{"a/b:1", false, BUILD_CACHE_NAME, "a/b:1"},
                {"a/b:1", true, BUILD_CACHE_REGISTRY, "a/b:1"},
                {"type=registry,ref=h:5000/a", false, BUILD_CACHE_REGISTRY, "h:5000/a"},
                {"ref=a,mode=max,type=registry,compression=zstd,compression-level=3,image-manifest=true", true,
                 BUILD_CACHE_REGISTRY, "a"},
                {"type=local", false, BUILD_CACHE_LOCAL, ""},
                {"type=local,dest=x,mode=min,ignore-error=true", true, BUILD_CACHE_LOCAL, ""},
                {"type=inline", true, BUILD_CACHE_INLINE, ""}};
    static const char *const bad[] = {"type=gha",
                                      "type=",
                                      "=",
                                      "type=registry",
                                      "type=registry,ref=",
                                      "mode=max",
                                      "type=inline,mode=all",
                                      "type=local,what=ever",
                                      "type=local,x",
                                      "type=registry,ref=a,compression=estargz",
                                      "type=registry,ref=a,compression-level=99",
                                      "type=registry,ref=a,ignore-error=maybe"};
    struct build_cache_spec spec;
    struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, 1 << 16);
    for (size_t i = 0; i < BH_ARRAY_LEN(good); i++) {
        struct bh_err err = BH_ERR_INIT;

        assert_int_equal((good[i].to ? build_cache_spec_to : build_cache_spec_from)(good[i].text, &arena, &spec, &err),
                         0);
        assert_int_equal(spec.type, good[i].type);
        assert_string_equal(spec.ref, good[i].ref);
        assert_int_equal(build_cache_spec_local(good[i].text), spec.type == BUILD_CACHE_LOCAL);
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        struct bh_err err = BH_ERR_INIT;

        if (build_cache_spec_to(bad[i], &arena, &spec, &err) == 0)
            fail_msg("\"%s\" is taken", bad[i]);
    }
    bh_arena_fini(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_no_lines),
        cmocka_unit_test(test_specs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
