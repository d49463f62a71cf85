/*
 * test_ignore.c - .dockerignore: patterns, which line decides, what a walk may leave out.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "ignore/ignore.h"

static void test_patterns(void **state) {
    static const struct {
        const char *pattern;
        const char *path;
        bool want;
    } rows[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"a", "a/b", false},
        {"a", "b/a", false},
        {"a/b", "a/b", true},
        {"*", "a", true},
        {"*", "a/b", false},
        {"*", ".a", true},
        {"*.go", "x.go", true},
        {"*.go", "d/x.go", false},
        {"*.go", ".go", true},
        {"a*", "abc", true},
        {"a*c", "abc", true},
        {"a*c", "ab/c", false},
        {"a?c", "abc", true},
        {"a?c", "a/c", false},
        {"a?c",
         "a\xc3\xa4"
         "c",
         true},
        {"a[bc]d", "abd", true},
        {"a[b-d]e", "ace", true},
        {"a[^b-d]e", "ace", false},
        {"a[^b-d]e", "axe", true},
        {"[]]", "]", false}, /* malformed */
        {"[*]", "*", true},
        {"[*]", "a", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"a\\b", "ab", true},
        {"a]", "a]", true},
        {"**", "a", true},
        {"**", "a/b/c", true},
        {"**/a", "a", true},
        {"**/a", "x/a", true},
        {"**/a", "x/y/a", true},
        {"**/a", "xa", false},
        {"**/a", "x/ya", false},
        {"**/a", "a/b", false},
        {"**/*.go", "x.go", true},
        {"**/*.go", "a/b/x.go", true},
        {"**/*.go", "a/x.goo", false},
        {"a/**", "a", false},
        {"a/**", "a/b", true},
        {"a/**", "a/b/c", true},
        {"a/**", "ab/c", false},
        {"a**", "abc/d", true},
        {"a/**/b", "a/b", true},
        {"a/**/b", "a/x/b", true},
        {"a/**/b", "a/x/y/b", true},
        {"a/**/b", "a/xb", false},
        {"a/**/b", "ab", false},
        {"**/a/**", "x/a/y", true},
        {"**/a/**", "a/y", true},
        {"**/a/**", "xa/y", false},
        {"**/a/*/b", "x/a/y/b", true},
        {"**/a/*/b", "x/a/b", false},
        {"**foo", "foo", true},
        {"**foo", "x/barfoo", true}, /* as docker: a plain end */
        {"**foo*", "x/barfoo", false},
        {"**foo*", "x/foobar", true},
        {"a**b", "ab", true},
        {"a**b", "ax/y/b", true},
        {"a**b", "axb", false},
        {"a*/**", "ab/c", true},
        {"a*/**", "ab", false},
        {"**/**/a", "x/a", true},
        {"a.b", "axb", false},
        {"a+(b)|{c}$^", "a+(b)|{c}$^", true},
        {"*\xff", "a\xff", true},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_pattern *p = NULL;

        if (bh_pattern_new(rows[i].pattern, &p, &err) != 0) {
            assert_false(rows[i].want);
            continue;
        }
        if (bh_pattern_match(p, rows[i].path) != rows[i].want)
            fail_msg("\"%s\" on \"%s\": expected %d", rows[i].pattern, rows[i].path, rows[i].want);
        bh_pattern_free(p);
    }
}

static void test_malformed(void **state) {
    static const char *const patterns[] = {"[",  "a[",   "[]", "[]a]", "[-]",  "[x-]", "[a-b-c]",
                                           "[^", "[^bc", "\\", "a\\",  "[a\\", "[\\",  "*["};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(patterns); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_pattern *p = NULL;

        if (bh_pattern_new(patterns[i], &p, &err) != BH_E_INVALID)
            fail_msg("\"%s\" is taken", patterns[i]);
        assert_null(p);
        assert_string_equal(err.reason, "invalid-pattern");
    }
}

static void test_clean(void **state) {
    static const char *const rows[][2] = {
        {"", "."},
        {".", "."},
        {"a", "a"},
        {"a/", "a"},
        {"./a", "a"},
        {"a//b", "a/b"},
        {"a/./b", "a/b"},
        {"a/../b", "b"},
        {"a/..", "."},
        {"a/b/..", "a"},
        {"../a", "../a"},
        {"../../a", "../../a"},
        {"a/../../b", "../b"},
        {"/", "/"},
        {"/a/", "/a"},
        {"/../a", "/a"},
        {"/a/../..", "/"},
        {"..", ".."},
        {"a/b/../c/./d/", "a/c/d"},
        {"...", "..."},
        {"..a/b", "..a/b"},
        {"./..", ".."},
        {"../..", "../.."},
        {"a/../b/..", "."},
        {"//a", "/a"},
        {"../a/..", ".."},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        char text[64] = "";

        memcpy(text, rows[i][0], strlen(rows[i][0]) + 1);
        bh_path_clean(text);
        if (strcmp(text, rows[i][1]) != 0)
            fail_msg("\"%s\": \"%s\", expected \"%s\"", rows[i][0], text, rows[i][1]);
    }
}

/* The parents' answers, then the path's, as a walk gets them. */
static bool walk(const struct bh_ignore *ig, const char *path) {
    size_t n = bh_ignore_count(ig) + 1;
    BH_SCOPE_FREE unsigned char *above = bh_xcalloc(n, 1), *here = bh_xcalloc(n, 1);
    BH_SCOPE_FREE char *part = bh_xstrdup(path);
    bool top = true, out = false;

    for (char *c = part;; c++) {
        char kept = *c;

        if (kept != '/' && kept != '\0')
            continue;
        *c = '\0';
        out = bh_ignore_walk(ig, part, top ? NULL : above, here);
        memcpy(above, here, n);
        top = false;
        *c = kept;
        if (kept == '\0')
            return out;
    }
}

static void test_lines(void **state) {
    static const struct {
        const char *file;
        const char *ignored; /* paths, blank between */
        const char *kept;
    } rows[] = {
        {"", "", "a a/b"},
        {"a", "a a/b a/b/c", "b ab b/a"},
        {"/a", "a a/b", "b/a"},
        {"a/", "a a/b", "b"},
        {"./a/../b", "b", "a"},
        {"  a  \t", "a", "b"},
        {"a\r\nb\r\n", "a b", "c"},
        {"\xef\xbb\xbf"
         "a",
         "a", "b"},
        {"# a\na", "a", "b"},
        {"\xef\xbb\xbf# a", "", "a"},
        {" #a", "#a", "a"}, /* no comment: '#' is not in column 1 */
        {"#a", "", "#a"},
        {"\n\n  \na", "a", "b"},
        {".", "", "a ."},
        {"/", "", "a"},
        {"../a", "", "a"},
        {"*", "a b a/b", "."},
        {"**", "a b a/b", "."},
        {"*.md\n!README.md", "a.md", "README.md d/a.md"},
        {"!README.md\n*.md", "README.md", "x"},
        {"*.md\n!README*.md\nREADME-secret.md", "a.md README-secret.md", "README.md README-x.md"},
        {"a\n!a/b", "a a/c a/bb", "a/b a/b/c"},
        {"a\n!a/b/c", "a a/b a/b/d", "a/b/c a/b/c/d"},
        {"a\n!a/b\na/b/c", "a a/b/c a/b/c/d", "a/b a/b/d"},
        {"*\n!src", "a b/c", "src src/a src/a/b"},
        {"*\n! src ", "a", "src"},
        {"*\n!/src", "a", "src"},
        {"**\n!src/**", "a src", "src/a src/a/b"},
        {"**/*.key", "a.key d/a.key d/e/a.key", "a.keys a.key.pub key"},
        {"**/node_modules\n!keep/node_modules", "node_modules a/node_modules/x",
         "keep/node_modules keep/node_modules/x"},
        {"a/**\n!a/b", "a/c a/c/d", "a a/b a/b/c"},
        {"a*\n!ab\nabc*", "a abc abc/x", "ab ab/c"},
        {"dir\\*x", "dir*x", "dirax"},
        {"*\n/!a", "b", "a"},
        {"a b", "", "a b"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        BH_SCOPE_IGNORE struct bh_ignore *ig = NULL;

        assert_int_equal(bh_ignore_parse(rows[i].file, strlen(rows[i].file), "f", &ig, &err), 0);
        for (int want = 0; want < 2; want++) {
            BH_SCOPE_FREE char *list = bh_xstrdup(want ? rows[i].ignored : rows[i].kept);
            char *save = NULL;

            for (char *path = strtok_r(list, " ", &save); path != NULL; path = strtok_r(NULL, " ", &save)) {
                if (bh_ignore_match(ig, path) != (want == 1))
                    fail_msg("---\n%s\n--- \"%s\": expected %d", rows[i].file, path, want);
                if (strcmp(path, ".") != 0 && walk(ig, path) != (want == 1))
                    fail_msg("---\n%s\n--- \"%s\" in a walk: expected %d", rows[i].file, path, want);
            }
        }
    }
}

static void test_prunes(void **state) {
    static const struct {
        const char *file;
        const char *dir;
        bool want;
    } rows[] = {
        {"a", "a", true},
        {"a", "a/b", true},
        {"a", "b", false},
        {"a\n!a/b", "a", false},
        {"a\n!a/b", "a/c", true},
        {"a\n!a/b", "a/b", false},
        {"!a/b\na", "a", true},
        {"*\n!src/x", "src", false},
        {"*\n!src/x", "doc", true},
        {"*\n!src/x", "srcs", true},
        {"*\n!**/x", "doc", false},
        {"*\n!*/x", "doc", false},
        {"*\n!*/x", "doc/y", true},
        {"*\n!d?c/x", "doc", false},
        {"**\n!**/*.md", "a/b/c", false},
        {"a\n!b", "a", true},
        {"a/b\n!a", "a/b", false}, /* taken back in */
        {"a\n!a/b/c\na/b", "a/b", true},
        {"", "a", false},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        BH_SCOPE_IGNORE struct bh_ignore *ig = NULL;

        assert_int_equal(bh_ignore_parse(rows[i].file, strlen(rows[i].file), "f", &ig, &err), 0);
        if (bh_ignore_prunes(ig, rows[i].dir) != rows[i].want)
            fail_msg("---\n%s\n--- \"%s\": expected %d", rows[i].file, rows[i].dir, rows[i].want);
    }
}

static void test_refused(void **state) {
    static const struct {
        const char *file;
        int want;
        const char *message;
    } rows[] = {
        {"a\n!\n", BH_E_INVALID, ".dockerignore:2: illegal exclusion pattern: \"!\""},
        {"!/\n", BH_E_INVALID, ".dockerignore:1: illegal exclusion pattern: \"!\""},
        {"a\n! \n", BH_E_INVALID, ".dockerignore:2: illegal exclusion pattern: \"!\""},
        {"\n\n[a\n", BH_E_INVALID, ".dockerignore:3: syntax error in pattern \"[a\""},
    };
    static const char nul[] = "a\0b";
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_ignore *ig = NULL;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        assert_int_equal(bh_ignore_parse(rows[i].file, strlen(rows[i].file), ".dockerignore", &ig, &err), rows[i].want);
        assert_string_equal(err.msg, rows[i].message);
    }
    assert_int_equal(bh_ignore_parse(nul, sizeof nul - 1, "f", &ig, &err), BH_E_INVALID);
    for (int i = 0; i < BH_IGNORE_LINES_MAX + 1; i++)
        bh_buf_adds(&text, "a\n");
    assert_int_equal(bh_ignore_parse(bh_buf_str(&text), text.len, "f", &ig, &err), BH_E_LIMIT);
    bh_buf_reset(&text);
    for (int i = 0; i < BH_PATTERN_MAX + 1; i++)
        bh_buf_adds(&text, "a");
    assert_int_equal(bh_ignore_parse(bh_buf_str(&text), text.len, "f", &ig, &err), BH_E_LIMIT);
    assert_int_equal(bh_ignore_parse("", BH_IGNORE_FILE_MAX + 1, "f", &ig, &err), BH_E_LIMIT);
    assert_null(ig);
}

static void test_list(void **state) {
    static const char *const patterns[] = {"*.md", "!README.md", "/docs/"};
    static const char *const bad[] = {"a", "["};
    struct bh_err err = BH_ERR_INIT;
    BH_SCOPE_IGNORE struct bh_ignore *ig = NULL;
    struct bh_ignore *none = NULL;

    (void)state;
    assert_int_equal(bh_ignore_new(patterns, 3, "--exclude", &ig, &err), 0);
    assert_true(bh_ignore_match(ig, "a.md") && bh_ignore_match(ig, "docs/x"));
    assert_false(bh_ignore_match(ig, "README.md"));
    assert_int_equal(bh_ignore_count(ig), 3);
    assert_true(bh_ignore_has_negations(ig));
    assert_false(bh_ignore_hides_root(ig));
    assert_int_equal(bh_ignore_new(bad, 2, "--exclude", &none, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "--exclude: syntax error in pattern \"[\"");
    assert_null(none);
}

/* A pattern that makes searching matchers take for ever. */
static void test_cost(void **state) {
    char path[4001], pattern[4001];
    struct bh_err err = BH_ERR_INIT;
    struct bh_pattern *p = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof path - 1; i++)
        path[i] = i % 2 == 0 ? 'a' : '/';
    path[sizeof path - 1] = '\0';
    path[sizeof path - 2] = 'c';
    for (size_t i = 0; i + 4 < sizeof pattern; i += 4)
        memcpy(pattern + i, "**/a", 4);
    memcpy(pattern + 3996, "*/c", 4);
    assert_int_equal(bh_pattern_new(pattern, &p, &err), 0);
    assert_false(bh_pattern_match(p, path));
    bh_pattern_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns), cmocka_unit_test(test_malformed), cmocka_unit_test(test_clean),
        cmocka_unit_test(test_lines),    cmocka_unit_test(test_prunes),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_list),     cmocka_unit_test(test_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
