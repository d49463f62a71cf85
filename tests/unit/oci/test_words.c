/*
 * test_words.c - quoting and variables as in a Dockerfile.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "oci/words.h"

static const char *vars[] = {"A=first", "PATH=/bin", "EMPTY=", "S=a b", "A=one"};
static const struct bh_strlist env = {true, 5, vars};

static void test_expand(void **state) {
    static const struct {
        const char *word;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"$A", "one"}, /* the last one of two */
        {"${A}", "one"},
        {"x$A-y", "xone-y"},
        {"$Ax", ""},
        {"${A}x", "onex"},
        {"$A$PATH", "one/bin"},
        {"$UNSET", ""},
        {"$", "$"},
        {"a$", "a$"},
        {"$.", "$."},
        {"$1 $12 $@ $* $# $? $- $$ $!", "        "},
        {"${1}", ""},
        {"\\$A", "$A"},
        {"\\\\", "\\"},
        {"a\\", "a"},
        {"\\a", "a"},
        {"'$A'", "$A"},
        {"'a\\b'", "a\\b"},
        {"'it''s'", "its"},
        {"\"$A\"", "one"},
        {"\"${S}\"", "a b"},
        {"\"a\\\"b\"", "a\"b"},
        {"\"\\$A\"", "$A"},
        {"\"a\\nb\"", "a\\nb"},
        {"\"'$A'\"", "'one'"},
        {"'\"'", "\""},
        {"${UNSET:-def}", "def"},
        {"${UNSET-def}", "def"},
        {"${EMPTY:-def}", "def"},
        {"${EMPTY-def}", ""},
        {"${A:-def}", "one"},
        {"${A:+alt}", "alt"},
        {"${EMPTY:+alt}", ""},
        {"${EMPTY+alt}", "alt"},
        {"${UNSET+alt}", ""},
        {"${UNSET:-$A}", "one"},
        {"${UNSET:-${EMPTY:-${A}}}", "one"},
        {"${UNSET:-\"}\"}", "}"},
        {"${UNSET:-\\}}", "}"},
        {"${A:?no}", "one"},
        {"${UNSET:-}", ""},
        {"\xc3\xa9$A", "\xc3\xa9"
                       "one"},
        {"${UNSET:?why}", NULL},
        {"${UNSET?}", NULL},
        {"${EMPTY:?}", NULL},
        {"${A", NULL},
        {"${A:-x", NULL},
        {"${", NULL},
        {"${}", NULL},
        {"${.}", NULL},
        {"${A.}", NULL},
        {"${A:x}", NULL},
        {"${A:", NULL},
        {"${A#x}", NULL},
        {"'a", NULL},
        {"\"a", NULL},
        {"\"${A\"", NULL},
    };
    struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        const char *out = "untouched";
        int r = bh_words_expand(rows[i].word, &env, &arena, &out, &err);

        if (r != (rows[i].want != NULL ? 0 : BH_E_INVALID))
            fail_msg("%s: %d %s", rows[i].word, r, err.msg);
        assert_string_equal(out, rows[i].want != NULL ? rows[i].want : "untouched");
    }
    bh_arena_fini(&arena);
}

static void test_depth(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_arena arena;
    const char *out;
    char deep[200001];

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i + 5 < sizeof deep; i += 5)
        memcpy(deep + i, "${U:-", 5);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(bh_words_expand(deep, &env, &arena, &out, &err), BH_E_LIMIT);
    bh_arena_fini(&arena);
}

static void test_split(void **state) {
    static const struct {
        const char *text;
        size_t n; /* 99: refused */
        const char *last;
    } rows[] = {
        {"", 0, NULL},           {"   \t", 0, NULL},        {"a", 1, "a"},       {" a  b ", 2, "b"},
        {"a=\"x y\" b", 2, "b"}, {"a='x y'", 1, "a='x y'"}, {"a\\ b c", 2, "c"}, {"\"a\\\" b\"", 1, "\"a\\\" b\""},
        {"'a\\' b", 2, "b"},     {"a\\", 1, "a\\"},         {"\"a", 99, NULL},   {"a 'b", 99, NULL},
    };
    struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_strlist l;
        int r = bh_words_split(rows[i].text, &arena, &l, &err);

        if (rows[i].n == 99) {
            assert_int_equal(r, BH_E_INVALID);
            continue;
        }
        assert_int_equal(r, 0);
        assert_int_equal(l.n, rows[i].n);
        if (l.n > 0)
            assert_string_equal(l.v[l.n - 1], rows[i].last);
    }
    bh_arena_fini(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_expand), cmocka_unit_test(test_depth),
                                       cmocka_unit_test(test_split)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
