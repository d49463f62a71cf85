/*
 * test_limits.c - templates that try to hang, to recurse without end or to take all memory; every
 * prefix and every changed byte of good templates.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tmpl/tmpl.h"

static int run_n(const char *text, size_t n, const json_t *root, const struct bh_tmpl_opts *opts, struct bh_err *err) {
    struct bh_buf out = BH_BUF_INIT;
    struct bh_tmpl *t = NULL;
    int rc;

    bh_err_clear(err);
    rc = bh_tmpl_parse(text, n, 0, &t, err);
    if (rc == 0)
        rc = bh_tmpl_exec(t, root, opts, &out, err);
    bh_tmpl_free(t);
    bh_buf_fini(&out);
    return rc;
}

static void refuse(const char *text, const char *why) {
    struct bh_tmpl_opts opts = {0};
    struct bh_err err;
    int64_t start = bh_mono_ns();

    assert_int_equal(run_n(text, strlen(text), NULL, &opts, &err), BH_E_LIMIT);
    if (!strstr(err.msg, why))
        fail_msg("%.80s: %s", text, err.msg);
    assert_true(bh_mono_ns() - start < 20 * BH_NSEC);
}

static void test_explosions(void **state) {
    (void)state;
    refuse("{{range 1000000000}}{{end}}", "too many steps");
    refuse("{{range 100000}}{{range 100000}}{{end}}{{end}}", "too many steps");
    refuse("{{$a := \"xx\"}}{{range 100}}{{$a = print $a $a}}{{end}}", "too much text");
    refuse("{{range 1000000}}{{pad \"x\" 1000000 0}}{{end}}", "too much text");
    refuse("{{range 1000000}}{{printf \"%1000000d\" 1}}{{end}}", "too");
    refuse("{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}", "without end");
    refuse("{{define \"a\"}}{{template \"b\"}}{{template \"b\"}}{{end}}{{define \"b\"}}{{template \"a\"}}{{end}}"
           "{{template \"a\"}}",
           "without end");
    refuse("{{define \"a\"}}{{range 3}}{{if true}}{{with 1}}{{template \"a\"}}{{end}}{{end}}{{end}}{{end}}"
           "{{template \"a\"}}",
           "without end");
    refuse("{{$s := split (printf \"%1000000d\" 1) \"\"}}{{range 100}}{{$s = split (join $s \"xx\") \"\"}}{{end}}",
           "too");
}

/* n times the piece, then the tail. */
static char *repeat(const char *piece, size_t n, const char *tail) {
    size_t len = strlen(piece);
    char *s = bh_xmalloc(len * n + strlen(tail) + 1);

    for (size_t i = 0; i < n; i++)
        memcpy(s + i * len, piece, len);
    strcpy(s + n * len, tail);
    return s;
}

static void test_nesting(void **state) {
    static const struct {
        const char *piece, *why;
        size_t n;
    } rows[] = {
        {"{{if 1}}", "nested deeper", 20000},
        {"{{if 1}}{{else if 1}}", "nested deeper", 5000},
        {"{{range 1}}", "nested deeper", 10000},
        {"{{define \"a\"}}", "", 0},
        {"{{with 1}}a{{else with 1}}", "nested deeper", 5000},
    };
    char *s = repeat("(", 60000, "");
    char *open = bh_xasprintf("{{%s", s);

    (void)state;
    refuse(open, "nested deeper");
    free(open);
    free(s);
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        if (rows[i].n == 0)
            continue;
        s = repeat(rows[i].piece, rows[i].n, "");
        refuse(s, rows[i].why);
        free(s);
    }
    s = repeat("x", BH_TMPL_TEXT_MAX + 1, "");
    refuse(s, "longer than");
    free(s);
}

static void test_many_parts(void **state) {
    static const char *const pieces[] = {"{{.}}",    "{{1 1 1}}",    "{{$x:=1}}", "{{((1))}}", "{{1|print|print}}",
                                         "{{/**/}}", "{{.a.b.c.d}}", "{{`a`}}"};
    struct bh_tmpl_opts opts = {.flags = BH_TMPL_MISSING_OK};
    struct bh_err err;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(pieces); i++) {
        char *s = repeat(pieces[i], BH_TMPL_TEXT_MAX / strlen(pieces[i]), "");
        int rc = run_n(s, strlen(s), NULL, &opts, &err);

        if (rc < 0 && strstr(err.msg, "too many parts"))
            fail_msg("%s: %s", pieces[i], err.msg);
        free(s);
    }
}

/* No prefix and no single changed byte may do more than fail. */
static void test_broken_texts(void **state) {
    static const char good[] =
        "a{{- /* c */ -}}{{range $i, $e := .L}}{{if and (eq $i 1) (lt $e 2.5)}}{{printf \"%05d|%q\\n\" $i `x`}}"
        "{{else if not .}}{{break}}{{else}}{{continue}}{{end}}{{end}}{{define \"t\"}}{{with $y := .}}{{$y.a | json}}"
        "{{else}}{{'\\x41'}}{{end}}{{end}}{{template \"t\" (index .M \"k\")}}{{block \"b\" 1}}{{.}}{{end}}";
    static const char bytes[] = "{}()|.$\"`'\\=:,-/* \0\n09aZ%\xc3\xff";
    struct bh_tmpl_opts opts = {.flags = BH_TMPL_MISSING_OK, .max_steps = 1000, .max_bytes = 100000};
    json_t *root = json_pack("{s:[i,i,f],s:{s:{s:b}}}", "L", 1, 2, 3.5, "M", "k", "a", 1);
    char copy[sizeof good];
    struct bh_err err;

    (void)state;
    assert_int_equal(run_n(good, sizeof good - 1, root, &opts, &err), 0);
    for (size_t n = 0; n < sizeof good; n++)
        run_n(good, n, root, &opts, &err);
    for (size_t i = 0; i + 1 < sizeof good; i++)
        for (size_t b = 0; b < sizeof bytes - 1; b++) {
            memcpy(copy, good, sizeof good);
            copy[i] = bytes[b];
            run_n(copy, sizeof good - 1, root, &opts, &err);
        }
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_explosions),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_many_parts),
        cmocka_unit_test(test_broken_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
