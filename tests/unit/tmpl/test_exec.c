/*
 * test_exec.c - what templates print and what they are refused for.
 *
 * The rows are in test_exec_rows.h, the data in data.json.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "tmpl/tmpl.h"

struct row {
    const char *text, *want;
};

#include "test_exec_rows.h"

static json_t *data;

static int load(void **state) {
    json_error_t e;

    (void)state;
    data = json_load_file(BH_SOURCE_DIR "/tests/unit/tmpl/data.json", 0, &e);
    return data ? 0 : -1;
}

static int unload(void **state) {
    (void)state;
    json_decref(data);
    return 0;
}

/* Result or message as a string of the caller. */
static char *run(const char *text, const json_t *root, struct bh_tmpl_opts opts, struct bh_err *err) {
    struct bh_buf out = BH_BUF_INIT;
    struct bh_tmpl *t = NULL;

    bh_err_clear(err);
    if (!opts.open_maps)
        opts.open_maps = bh_tmpl_open_maps;
    if (bh_tmpl_parse(text, strlen(text), opts.flags, &t, err) < 0)
        return bh_xstrdup(err->msg);
    if (bh_tmpl_exec(t, root, &opts, &out, err) < 0)
        bh_buf_reset(&out), bh_buf_adds(&out, err->msg);
    bh_tmpl_free(t);
    return bh_buf_take(&out);
}

static void check(const struct row *row, struct bh_tmpl_opts opts) {
    struct bh_err err = BH_ERR_INIT;
    char *got = run(row->text, data, opts, &err);

    if (strcmp(got ? got : "", row->want) != 0)
        fail_msg("%s\n  got  %s\n  want %s", row->text, got ? got : "", row->want);
    free(got);
}

static void test_ok(void **state) {
    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows_ok); i++)
        check(&rows_ok[i], (struct bh_tmpl_opts){0});
}

static void test_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows_bad); i++)
        check(&rows_bad[i], (struct bh_tmpl_opts){0});
}

/* Fields that the document leaves out or has null, where a type would have them. */
static void test_zeros(void **state) {
    static const struct bh_tmpl_zero zeros[] = {{"L", "null", "[]"}, {"M", "null", "map[]"}, {"P", "null", "<nil>"},
                                                {"T", "\"\"", NULL}, {"B", "false", NULL},   {NULL, NULL, NULL}};
    static const struct row rows[] = {
        {"{{.A.L}} {{.A.M}} {{.A.P}} [{{.A.T}}] {{.A.B}}", "[] map[] <nil> [] false"},
        {"{{.L}} {{.M}} {{print .L}}{{println .M}}", "[] map[] []map[]\n"},
        {"{{json .L}} {{json .A.M}} {{json .A.T}} {{len .M}}", "null null \"\" 0"},
        {"{{$x := .A.L}}{{$x}} {{range .L}}x{{end}}{{if .A.P}}y{{end}}", "[] "},
        {"{{with .Labels}}{{.L}}{{end}}", "<no value>"}, /* keys that users choose */
        {"{{.A.Nope}}", "template:1:3: at <.A.Nope>: map has no entry for key \"Nope\""},
    };
    json_t *all = data;

    (void)state;
    data = json_pack("{s:{},s:n,s:n,s:{s:s}}", "A", "L", "M", "Labels", "a", "b");
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        check(&rows[i], (struct bh_tmpl_opts){.zeros = zeros});
    json_decref(data);
    data = all;
}

static void test_missing_ok(void **state) {
    static const struct row rows[] = {
        {"{{.Foo}}", "<no value>"},
        {"{{.Config.Foo.Bar}}", "<no value>"},
        {"{{.Nil.Foo}}", "<no value>"},
        {"{{range .Foo}}x{{else}}e{{end}}", "e"},
        {"{{print .Foo}}", "<nil>"},
        {"{{eq .Foo nil}}", "true"},
        {"{{upper .Foo}}|", "|"},
        {"{{json .Foo}}", "null"},
        {"{{index .Foo \"a\"}}", "<no value>"},
        {"{{with .Foo}}a{{end}}b", "b"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        check(&rows[i], (struct bh_tmpl_opts){.flags = BH_TMPL_MISSING_OK});
}

static void test_escapes(void **state) {
    static const struct row rows[] = {
        {"a\\tb\\nc", "a\tb\nc"},
        {"{{.Os}}\\t{{.Os}}\\n", "linux\tlinux\n"},
        {"{{\"a\\tb\"}}", "a\tb"},
        {"{{join .RepoTags \"\\n\"}}", "a/b:1\nc:latest"},
        {"{{`a\\tb`}}", "a\tb"},
        {"\\x\\\\", "\\x\\\\"},
        {"\\", "\\"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        check(&rows[i], (struct bh_tmpl_opts){.flags = BH_TMPL_ESCAPES});
    check(&(struct row){"a\\tb", "a\\tb"}, (struct bh_tmpl_opts){0});
}

static void test_headings(void **state) {
    static const struct row rows[] = {
        {"{{lower .Text}} {{upper .Os}} {{truncate .Text 2}} {{json .Os}} {{title .Os}}",
         "Hello, World linux Hello, World linux linux"},
        {"{{join .Os \",\"}} {{index (split .Os \"n\") 0}}", "linux linux"},
        {"{{pad .Os 1 1}}|", " linux |"},
        {"{{.Os | printf \"%.3s\"}}", "lin"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        check(&rows[i], (struct bh_tmpl_opts){.flags = BH_TMPL_HEADINGS});
}

static int label(void *user, const json_t *receiver, size_t argc, json_t *const *argv, json_t **out,
                 struct bh_err *err) {
    const json_t *labels = json_object_get(json_object_get(receiver, "Config"), "Labels");

    (void)user;
    if (!json_is_string(argv[0]))
        return bh_err_set(err, BH_E_INVALID, "the label's name must be a string");
    *out = json_incref(json_object_get(labels, json_string_value(argv[0])));
    if (!*out)
        *out = argc == 2 ? json_incref(argv[1]) : json_string("");
    return 0;
}

static void test_methods(void **state) {
    static const struct bh_tmpl_method methods[] = {{"Label", 1, 2, label, NULL}, {NULL, 0, 0, NULL, NULL}};
    static const struct row rows[] = {
        {"{{.Label \"a\"}}", "z"},
        {"{{$.Label \"com.example.role\" | upper}}", "WEB"},
        {"{{(.Label \"a\") | printf \"%s!\"}}", "z!"},
        {"{{\"a\" | .Label}}", "z"},
        {"{{.Label \"no\"}}|{{.Label \"no\" \"else\"}}", "|else"},
        {"{{if eq (.Label \"a\") \"z\"}}y{{end}}", "y"},
        {"{{.Label}}", "template:1:3: at <.Label>: wrong number of args for Label: want 1 or more got 0"},
        {"{{.Label 1}}", "template:1:3: at <.Label>: error calling Label: the label's name must be a string"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        check(&rows[i], (struct bh_tmpl_opts){.methods = methods});
}

static void test_codes(void **state) {
    struct bh_err err;

    (void)state;
    free(run("{{.Foo}}", data, (struct bh_tmpl_opts){0}, &err));
    assert_int_equal(err.code, BH_E_NOT_FOUND);
    free(run("{{index .RepoTags 9}}", data, (struct bh_tmpl_opts){0}, &err));
    assert_int_equal(err.code, BH_E_RANGE);
    free(run("{{.Foo", data, (struct bh_tmpl_opts){0}, &err));
    assert_int_equal(err.code, BH_E_INVALID);
    free(run("line\nline {{nosuch}}", data, (struct bh_tmpl_opts){0}, &err));
    assert_string_equal(err.msg, "template:2:8: function \"nosuch\" not defined");
}

static void test_no_data(void **state) {
    struct bh_err err;
    char *s = run("{{.}} {{if .}}a{{else}}b{{end}}", NULL, (struct bh_tmpl_opts){0}, &err);

    (void)state;
    assert_string_equal(s, "<no value> b");
    free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ok),         cmocka_unit_test(test_bad),     cmocka_unit_test(test_zeros),
        cmocka_unit_test(test_missing_ok), cmocka_unit_test(test_escapes), cmocka_unit_test(test_headings),
        cmocka_unit_test(test_methods),    cmocka_unit_test(test_codes),   cmocka_unit_test(test_no_data),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
