/*
 * test_table.c - lists and inspect, as docker lays them out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "capture.h"
#include "cli/table.h"

static const struct cli_field fields[] = {
    {"ID", "CONTAINER ID"}, {"Names", "NAMES"}, {"Size", "SIZE"}, {"Labels", "LABELS"}, {NULL, NULL}};
static const struct cli_list list = {fields, "{{.ID}}\t{{.Names}}\t{{.Size}}", "{{.ID}}"};

static json_t *rows(void) {
    return json_pack("[{s:s,s:s,s:s,s:s,s:{s:s}},{s:s,s:s,s:s,s:s,s:{}}]", "ID", "0123456789ab", "Names", "a", "Size",
                     "1.2MB", "Labels", "com.x/my-key=v", "_labels", "com.x/my-key", "v", "ID", "fedcba987654", "Names",
                     "a_longer\tname", "Size", "3kB", "Labels", "", "_labels");
}

static void check(const char *format, bool quiet, json_t *take, int code, const char *want) {
    struct cli_list_opts opts = {.format = format, .quiet = quiet};
    struct bh_err err = BH_ERR_INIT;
    struct capture c;
    char *s;
    int rc;

    capture_open(&c);
    rc = cli_list_print(&c.out, &list, &opts, take, &err);
    cli_out_flush(&c.out, &(struct bh_err){0});
    s = capture_read(c.out_fd);
    if (rc != code || strcmp(rc < 0 ? err.msg : s, want) != 0)
        fail_msg("%s: %d\n  got\n%s%s\n  want\n%s", format ? format : "-", rc, s, err.msg, want);
    free(s);
    capture_close(&c);
    json_decref(take);
}

static void test_lists(void **state) {
    (void)state;
    check(NULL, false, rows(), 0,
          "CONTAINER ID   NAMES              SIZE\n"
          "0123456789ab   a                  1.2MB\n"
          "fedcba987654   a_longer\\x09name   3kB\n");
    check("table", false, json_array(), 0, "CONTAINER ID   NAMES     SIZE\n");
    check(NULL, true, rows(), 0, "0123456789ab\nfedcba987654\n");
    check("table {{.Names}}\\t{{upper .Size}}", false, rows(), 0,
          "NAMES              SIZE\na                  1.2MB\na_longer\\x09name   3KB\n");
    check("table {{.Label \"com.x/my-key\"}}\\t{{.ID}}", false, rows(), 0,
          "x/my key   CONTAINER ID\nv          0123456789ab\n           fedcba987654\n");
    check("{{.Names}}:{{.Size}}", false, rows(), 0, "a:1.2MB\na_longer\tname:3kB\n");
    check("{{.Names}}:{{.Size}}", true, rows(), 0, "a:1.2MB\na_longer\tname:3kB\n");
    check("a\\tb", false, rows(), 0, "a\tb\na\tb\n");
    check("json", false, rows(), 0,
          "{\"ID\":\"0123456789ab\",\"Labels\":\"com.x/my-key=v\",\"Names\":\"a\",\"Size\":\"1.2MB\"}\n"
          "{\"ID\":\"fedcba987654\",\"Labels\":\"\",\"Names\":\"a_longer\\tname\",\"Size\":\"3kB\"}\n");
    check("{{json .}}", false, rows(), 0,
          "{\"ID\":\"0123456789ab\",\"Labels\":\"com.x/my-key=v\",\"Names\":\"a\",\"Size\":\"1.2MB\"}\n"
          "{\"ID\":\"fedcba987654\",\"Labels\":\"\",\"Names\":\"a_longer\\tname\",\"Size\":\"3kB\"}\n");
    check("json", false, json_array(), 0, "");
    check("{{.Nope}}", false, json_array(), BH_E_NOT_FOUND,
          "template:1:3: at <.Nope>: map has no entry for key \"Nope\"");
    check("table {{.Nope}}", false, rows(), BH_E_NOT_FOUND,
          "template:1:3: at <.Nope>: map has no entry for key \"Nope\"");
    check("{{.ID", false, rows(), BH_E_INVALID, "template parsing error: template:1:6: unclosed action");
    check("{{index (split .Names \"_\") 0}}", false, rows(), 0, "a\na\n");
    check("table {{index (split .Names \"_\") 0}}\\t{{slice .ID 0 4}}", false, rows(), 0,
          "NAMES     CONTAINER ID\na         0123\na         fedc\n");
    check("table {{range $i, $n := split .Names \"_\"}}{{if $i}},{{end}}{{$n}}{{end}}\\t{{.ID}}", false, rows(), 0,
          "NAMES              CONTAINER ID\na                  0123456789ab\na,longer\\x09name   fedcba987654\n");
}

static void test_options(void **state) {
    struct cli_list_opts opts = {.no_heading = true, .table = "{{.Size}}\t{{.Names}}"};
    json_t *r = rows();
    struct bh_err err = BH_ERR_INIT;
    struct capture c;
    char *s;

    (void)state;
    capture_open(&c);
    assert_int_equal(cli_list_print(&c.out, &list, &opts, r, &err), 0);
    cli_out_flush(&c.out, &err);
    s = capture_read(c.out_fd);
    assert_string_equal(s, "1.2MB     a\n3kB       a_longer\\x09name\n");
    free(s);
    capture_close(&c);
    json_decref(r);
}

static void layout(const char *text, const char *want) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;

    cli_tabs_layout(text, strlen(text), 10, 3, &b);
    assert_string_equal(bh_buf_str(&b), want);
}

static void test_tabs(void **state) {
    (void)state;
    layout("", "");
    layout("a\n", "a\n");
    layout("a\tb\n", "a         b\n");
    layout("12345678\tb\nc\td\n", "12345678   b\nc          d\n");
    layout("a\tb", "a         b\n");
    layout("a\t\tb\n", "a                   b\n");
    layout("a\tb\t\n", "a         b         \n");
    layout("gr\xc3\xb6\xc3\x9f"
           "e789\tx\n1234567\ty\n",
           "gr\xc3\xb6\xc3\x9f"
           "e789   x\n1234567    y\n");
    /* A line without the column ends it: the widths above and below are their own. */
    layout("1234567890\tx\nplain\nab\ty\n", "1234567890   x\nplain\nab        y\n");
    layout("a\t12345678901\tx\nb\tc\nd\te\tz\n", "a         12345678901   x\nb         c\nd         e         z\n");
    layout("\n\na\tb\n", "\n\na         b\n");
}

static void test_inspect(void **state) {
    static const struct {
        const char *format, *want;
        int code;
    } cases[] = {
        {NULL, "[\n    {\n        \"Id\": \"x\",\n        \"L\": null\n    }\n]\n", 0},
        {"json", "[{\"Id\":\"x\",\"L\":null}]\n", 0},
        {"{{.Id}}", "x\n", 0},
        {"{{.ID}}", "x\n", 0},
        {"{{json .}}", "{\"Id\":\"x\",\"L\":null}\n", 0},
        {"{{.Id}}\\t", "x\\t\n", 0},
        {"{{.Nope}}", "template parsing error: template:1:3: at <.Nope>: map has no entry for key \"Nope\"",
         BH_E_NOT_FOUND},
        {"{{", "template parsing error: template:1:3: unclosed action", BH_E_INVALID},
    };
    json_t *docs = json_pack("[{s:s,s:n}]", "Id", "x", "L");

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(cases); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct capture c;
        char *s;

        capture_open(&c);
        assert_int_equal(cli_inspect_print(&c.out, cases[i].format, docs, &err), cases[i].code);
        cli_out_flush(&c.out, &(struct bh_err){0});
        s = capture_read(c.out_fd);
        assert_string_equal(cases[i].code ? err.msg : s, cases[i].want);
        if (cases[i].code == BH_E_INVALID)
            assert_string_equal(err.reason, "template");
        free(s);
        capture_close(&c);
    }
    json_decref(docs);
}

static void test_cells(void **state) {
    char b[128], *s;

    (void)state;
    cli_cell_ago(b, sizeof b, 0, (int64_t)180 * 1000000000);
    assert_string_equal(b, "3 minutes ago");
    cli_cell_size(b, sizeof b, 1234567);
    assert_string_equal(b, "1.23MB");
    cli_cell_size(b, sizeof b, 0);
    assert_string_equal(b, "0B");
    cli_cell_id(b, sizeof b, "sha256:0123456789abcdef", false);
    assert_string_equal(b, "0123456789ab");
    cli_cell_id(b, sizeof b, "sha256:0123456789abcdef", true);
    assert_string_equal(b, "sha256:0123456789abcdef");
    cli_cell_id(b, sizeof b, "0123", false);
    assert_string_equal(b, "0123");
    setenv("TZ", "UTC", 1);
    cli_cell_time(b, sizeof b, (int64_t)1704164645 * 1000000000);
    assert_string_equal(b, "2024-01-02 03:04:05 +0000 UTC");
    s = cli_cell_cut("abcdef", 6);
    assert_string_equal(s, "abcdef");
    free(s);
    s = cli_cell_cut("gr\xc3\xb6\xc3\x9f"
                     "er",
                     4);
    assert_string_equal(s, "gr\xc3\xb6\xe2\x80\xa6");
    free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),   cmocka_unit_test(test_options), cmocka_unit_test(test_tabs),
        cmocka_unit_test(test_inspect), cmocka_unit_test(test_cells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
