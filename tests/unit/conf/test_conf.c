/*
 * test_conf.c - the configuration reader: what it takes, what it refuses with file:line, look-ups.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"

static const char sample[] = "# engine\n"
                             "uid_base = 268369920\n"
                             "name = \"a\\tb \\u00e9 \\U0001F600 \\\"q\\\" \\\\\" # comment\n"
                             "path = 'C:\\raw'\r\n"
                             "negative = -5\n"
                             "\"quoted key\" = true\n"
                             "'docker.io' = \"hub\"\n"
                             "empty = []\n"
                             "list = [ \"a\", # one\n"
                             "  'b',\n"
                             "]\n"
                             "nested = [[1, 2], [\"x\"]]\n"
                             "\n"
                             "[limits]\n"
                             "max_bytes = \"4MiB\"\n"
                             "max_entries=1000\n"
                             "[ limits . deep ]\n"
                             "on = false\n"
                             "[a.b.c]\n"
                             "x = 1\n"
                             "[a]\n"
                             "y = 2\n"
                             "[[mirror]]\n"
                             "host = \"one\"\n"
                             "[mirror.tls]\n"
                             "verify = true\n"
                             "[[mirror]]\n"
                             "host = \"two\"\n"
                             "[[mirror.rule]]\n"
                             "n = 1\n"
                             "[[mirror.rule]]\n"
                             "n = 2\n";

static struct bh_conf *must_parse(const char *text) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_conf *conf = NULL;

    if (bh_conf_parse(text, strlen(text), "t.toml", &conf, &err) != 0)
        fail_msg("refused: %s\n%s", err.msg, text);
    return conf;
}

static void test_values(void **state) {
    BH_SCOPE_CONF struct bh_conf *conf = must_parse(sample);
    struct bh_conf_table *root = bh_conf_root(conf);
    struct bh_err err = BH_ERR_INIT;
    const char *const *list;
    const char *s = "default";
    uint64_t u = 0;
    int64_t i = 0;
    bool b = false;
    size_t n = 9;

    (void)state;
    assert_int_equal(bh_conf_get_u64(root, "uid_base", 1, UINT32_MAX, &u, &err), 1);
    assert_int_equal(u, 268369920);
    assert_int_equal(bh_conf_get_str(root, "name", &s, &err), 1);
    assert_string_equal(s, "a\tb \xc3\xa9 \xf0\x9f\x98\x80 \"q\" \\");
    assert_int_equal(bh_conf_get_str(root, "path", &s, &err), 1);
    assert_string_equal(s, "C:\\raw");
    assert_int_equal(bh_conf_get_i64(root, "negative", &i, &err), 1);
    assert_int_equal(i, -5);
    assert_int_equal(bh_conf_get_bool(root, "quoted key", &b, &err), 1);
    assert_true(b);
    assert_int_equal(bh_conf_get_str(root, "docker.io", &s, &err), 1);
    assert_string_equal(s, "hub");
    assert_int_equal(bh_conf_get_strlist(root, "empty", &list, &n, &err), 1);
    assert_int_equal(n, 0);
    assert_int_equal(bh_conf_get_strlist(root, "list", &list, &n, &err), 1);
    assert_int_equal(n, 2);
    assert_string_equal(list[1], "b");
    assert_null(list[2]);
    assert_int_equal(bh_conf_get_bytes(root, "limits.max_bytes", &u, &err), 1);
    assert_int_equal(u, 4 << 20);
    assert_int_equal(bh_conf_get_bytes(root, "limits.max_entries", &u, &err), 1);
    assert_int_equal(u, 1000);
    assert_int_equal(bh_conf_get_bool(root, "limits.deep.on", &b, &err), 1);
    assert_false(b);
    assert_int_equal(bh_conf_get_i64(root, "a.b.c.x", &i, &err), 1);
    assert_int_equal(bh_conf_get_i64(root, "a.y", &i, &err), 1);
    assert_int_equal(i, 2);
    s = "default";
    assert_int_equal(bh_conf_get_str(root, "absent", &s, &err), 0);
    assert_int_equal(bh_conf_get_str(root, "limits.absent", &s, &err), 0);
    assert_int_equal(bh_conf_get_str(root, "name.absent", &s, &err), 0);
    assert_string_equal(s, "default");
}

static void test_tables(void **state) {
    BH_SCOPE_CONF struct bh_conf *conf = must_parse(sample);
    struct bh_conf_table *root = bh_conf_root(conf), *one, *two, *limits = NULL;
    struct bh_err err = BH_ERR_INIT;
    const char *s = NULL;
    char where[64];
    bool b = false;

    (void)state;
    assert_int_equal(bh_conf_tables(root, "mirror", &err), 2);
    assert_int_equal(bh_conf_tables(root, "absent", &err), 0);
    one = bh_conf_table_at(root, "mirror", 0);
    two = bh_conf_table_at(root, "mirror", 1);
    assert_null(bh_conf_table_at(root, "mirror", 2));
    assert_null(bh_conf_table_at(root, "name", 0));
    assert_int_equal(bh_conf_get_str(one, "host", &s, &err), 1);
    assert_string_equal(s, "one");
    assert_int_equal(bh_conf_get_bool(one, "tls.verify", &b, &err), 1);
    assert_int_equal(bh_conf_tables(two, "rule", &err), 2);
    bh_conf_where(two, "host", where, sizeof where);
    assert_string_equal(where, "t.toml:28");
    bh_conf_where(two, NULL, where, sizeof where);
    assert_string_equal(where, "t.toml:27");
    assert_int_equal(bh_conf_get_table(root, "limits", &limits, &err), 1);
    assert_string_equal(bh_conf_key_at(limits, 1), "max_entries");
    assert_string_equal(bh_conf_key_at(limits, 2), "deep");
    assert_null(bh_conf_key_at(limits, 3));
}

static void test_inline_tables(void **state) {
    static const char text[] =
        "a = { b = 1, \"c d\" = [\"x\"], e = { f = true } }\nlist = [ {n = 1}, # one\n  {}, { n = 3 },\n]\n"
        "[t]\nin = {host = 'h'}\n[[t.more]]\nk = {}\n";
    BH_SCOPE_CONF struct bh_conf *conf = must_parse(text);
    struct bh_conf_table *root = bh_conf_root(conf), *a = NULL;
    struct bh_err err = BH_ERR_INIT;
    const char *s = NULL;
    char where[64];
    int64_t n = 0;
    bool f = false;

    (void)state;
    assert_int_equal(bh_conf_get_i64(root, "a.b", &n, &err), 1);
    assert_int_equal(bh_conf_get_bool(root, "a.e.f", &f, &err), 1);
    assert_true(f);
    assert_int_equal(bh_conf_get_table(root, "a", &a, &err), 1);
    assert_string_equal(bh_conf_key_at(a, 1), "c d");
    assert_int_equal(bh_conf_tables(root, "list", &err), 3);
    assert_int_equal(bh_conf_get_i64(bh_conf_table_at(root, "list", 1), "n", &n, &err), 0);
    assert_int_equal(bh_conf_get_i64(bh_conf_table_at(root, "list", 2), "n", &n, &err), 1);
    assert_int_equal(n, 3);
    bh_conf_where(bh_conf_table_at(root, "list", 2), NULL, where, sizeof where);
    assert_string_equal(where, "t.toml:3");
    assert_int_equal(bh_conf_get_str(root, "t.in.host", &s, &err), 1);
    assert_string_equal(s, "h");
}

static void test_wrong_types(void **state) {
    BH_SCOPE_CONF struct bh_conf *conf = must_parse(sample);
    struct bh_conf_table *root = bh_conf_root(conf), *t = NULL;
    struct bh_err err = BH_ERR_INIT;
    const char *const *list = NULL;
    const char *s = "untouched";
    uint64_t u = 7;
    bool b = true;
    size_t n = 3;

    (void)state;
    assert_int_equal(bh_conf_get_str(root, "uid_base", &s, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "t.toml:2: \"uid_base\" must be a string");
    assert_int_equal(bh_conf_get_u64(root, "negative", 0, 10, &u, &err), BH_E_INVALID);
    assert_int_equal(bh_conf_get_u64(root, "uid_base", 0, 10, &u, &err), BH_E_INVALID);
    assert_int_equal(bh_conf_get_u64(root, "name", 0, 10, &u, &err), BH_E_INVALID);
    assert_int_equal(bh_conf_get_bool(root, "name", &b, &err), BH_E_INVALID);
    assert_int_equal(bh_conf_get_bytes(root, "name", &u, &err), BH_E_INVALID);
    assert_int_equal(bh_conf_get_strlist(root, "nested", &list, &n, &err), BH_E_INVALID);
    assert_int_equal(bh_conf_get_strlist(root, "name", &list, &n, &err), BH_E_INVALID);
    assert_int_equal(bh_conf_get_table(root, "name", &t, &err), BH_E_INVALID);
    assert_int_equal(bh_conf_tables(root, "list", &err), BH_E_INVALID);
    assert_int_equal(bh_conf_tables(root, "limits", &err), BH_E_INVALID);
    assert_string_equal(s, "untouched");
    assert_int_equal(u, 7);
    assert_null(list);
}

static void test_only_keys(void **state) {
    BH_SCOPE_CONF struct bh_conf *conf = must_parse("a = 1\n[t]\nb = 2\n");
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    assert_int_equal(bh_conf_only_keys(bh_conf_root(conf), " t a c ", &err), 0);
    assert_int_equal(bh_conf_only_keys(bh_conf_root(conf), " a tt ", &err), BH_E_INVALID);
    assert_string_equal(err.msg, "t.toml:2: unknown key \"t\", expected one of: a tt ");
}

static void test_unknown(void **state) {
    BH_SCOPE_CONF struct bh_conf *conf = must_parse("a = 1\n[t]\nb = 2\n[[l]]\nc = 3\n[empty]\n");
    struct bh_conf_table *root = bh_conf_root(conf), *t = NULL;
    struct bh_err err = BH_ERR_INIT;
    int64_t i;

    (void)state;
    assert_int_equal(bh_conf_check_known(conf, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "t.toml:1: unknown setting \"a\"");
    bh_conf_get_i64(root, "a", &i, &err);
    assert_int_equal(bh_conf_check_known(conf, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "t.toml:3: unknown setting \"b\"");
    bh_conf_get_i64(root, "t.b", &i, &err);
    assert_int_equal(bh_conf_check_known(conf, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "t.toml:4: unknown setting \"l\"");
    assert_int_equal(bh_conf_tables(root, "l", &err), 1);
    assert_int_equal(bh_conf_check_known(conf, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "t.toml:5: unknown setting \"c\"");
    bh_conf_get_i64(bh_conf_table_at(root, "l", 0), "c", &i, &err);
    assert_int_equal(bh_conf_check_known(conf, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "t.toml:6: unknown setting \"empty\"");
    bh_conf_get_table(root, "empty", &t, &err);
    assert_int_equal(bh_conf_check_known(conf, &err), 0);
}

static const struct {
    const char *text;
    int line;
} bad[] = {
    {"a", 1},
    {"a =", 1},
    {"a = \n", 1},
    {"= 1", 1},
    {"a = 1 b = 2", 1},
    {"\na = 1\na = 2", 3},
    {"a = 1\n[a]", 2},
    {"[a]\n[a]", 2},
    {"[a.b]\n[a]\nb = 1", 3},
    {"[[a]]\n[a]", 2},
    {"[a]\n[[a]]", 2},
    {"a = []\n[[a]]", 2},
    {"a = [1]\n[a.b]", 2},
    {"[a]\nb = 1\n[a.b.c]", 3},
    {"[]", 1},
    {"[[]]", 1},
    {"[a", 1},
    {"[a]]", 1},
    {"[[a]", 1},
    {"[a.]", 1},
    {"[.a]", 1},
    {"[a..b]", 1},
    {"[a] b = 1", 1},
    {"[a b]", 1},
    {"a b = 1", 1},
    {"a.b = 1", 1},
    {"\"a", 1},
    {"\"a\nb\" = 1", 1},
    {"a = \"x", 1},
    {"a = \"x\ny\"", 1},
    {"a = 'x", 1},
    {"a = \"\\x\"", 1},
    {"a = \"\\", 1},
    {"a = \"\\u12\"", 1},
    {"a = \"\\ud800\"", 1},
    {"a = \"\\u0000\"", 1},
    {"a = \"\\U00110000\"", 1},
    {"a = \"\\U0000004\"", 1},
    {"a = \"\"\"x\"\"\"", 1},
    {"a = '''x'''", 1},
    {"\"\"\"a\"\"\" = 1", 1},
    {"a = 1.5", 1},
    {"a = 1e5", 1},
    {"a = inf", 1},
    {"a = nan", 1},
    {"a = 1979-05-27", 1},
    {"a = 07:32:00", 1},
    {"a = 01", 1},
    {"a = -01", 1},
    {"a = 0x1F", 1},
    {"a = 1_000", 1},
    {"a = +1", 1},
    {"a = --1", 1},
    {"a = -", 1},
    {"a = 9223372036854775808", 1},
    {"a = 99999999999999999999999", 1},
    {"a = True", 1},
    {"a = truer", 1},
    {"a = yes", 1},
    {"a = word", 1},
    {"a = {", 1},
    {"a = { b = 1", 1},
    {"a = { b = 1, }", 1},
    {"a = { b = 1\n}", 1},
    {"a = { b = 1 c = 2 }", 1},
    {"a = { b = 1, b = 2 }", 1},
    {"a = { 1 }", 1},
    {"a = { b.c = 1 }", 1},
    {"a = {}\n[a]", 2},
    {"a = {}\n[a.b]", 2},
    {"a = {}\n[[a]]", 2},
    {"a = {}\n[[a.b]]", 2},
    {"a = { b = {} }\n[a.b.c]", 2},
    {"a = [{}]\n[[a]]", 2},
    {"a = [{}]\n[a.b]", 2},
    {"a = [1", 1},
    {"a = [1 2]", 1},
    {"a = [,]", 1},
    {"a = [1,,2]", 1},
    {"a = [\n1\n,\n", 4},
    {"a = ]", 1},
    {"a = \"x\" y", 1},
    {"a = 1 ; b", 1},
    {"a = \x01", 1},
    {"# \x01", 1},
    {"# \x7f", 1},
    {"a = \"\xff\"", 1},
    {"a = 1\rb = 2", 1},
    {"\xef\xbb\xbf"
     "a = 1",
     1},
    {"a\xc3\xa9 = 1", 1},
    {"/ = 1", 1},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_conf *conf = NULL;
        char where[32];

        if (bh_conf_parse(bad[i].text, strlen(bad[i].text), "f", &conf, &err) != BH_E_INVALID)
            fail_msg("accepted: %s", bad[i].text);
        assert_null(conf);
        snprintf(where, sizeof where, "f:%d: ", bad[i].line);
        if (strncmp(err.msg, where, strlen(where)) != 0)
            fail_msg("\"%s\": message \"%s\", expected line %d", bad[i].text, err.msg, bad[i].line);
    }
}

static void test_limits(void **state) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_conf *conf = NULL;

    (void)state;
    bh_buf_adds(&text, "a = ");
    for (int i = 0; i < 100000; i++)
        bh_buf_addc(&text, '[');
    assert_int_equal(bh_conf_parse(text.data, text.len, "f", &conf, &err), BH_E_INVALID);
    assert_non_null(strstr(err.msg, "nested deeper"));
    bh_buf_reset(&text);
    bh_buf_addc(&text, '[');
    for (int i = 0; i < 100000; i++)
        bh_buf_adds(&text, "a.");
    bh_buf_adds(&text, "a]");
    assert_int_equal(bh_conf_parse(text.data, text.len, "f", &conf, &err), BH_E_INVALID);
    bh_buf_reset(&text);
    for (int i = 0; i < 20001; i++)
        bh_buf_addf(&text, "k%d=1\n", i);
    assert_int_equal(bh_conf_parse(text.data, text.len, "f", &conf, &err), BH_E_INVALID);
    assert_non_null(strstr(err.msg, "more than 20000 values"));
    assert_int_equal(bh_conf_parse("a", BH_CONF_MAX_BYTES + 1, "f", &conf, &err), BH_E_LIMIT);
    assert_int_equal(bh_conf_parse("a = \"\0\"", 8, "f", &conf, &err), BH_E_INVALID);
    assert_int_equal(bh_conf_parse("", 0, "f", &conf, &err), 0);
    bh_conf_free(conf);
    bh_conf_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),      cmocka_unit_test(test_tables),  cmocka_unit_test(test_inline_tables),
        cmocka_unit_test(test_wrong_types), cmocka_unit_test(test_unknown), cmocka_unit_test(test_only_keys),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
