/*
 * test_print.c - single values: default form, JSON, JSON with indent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "tmpl/tmpl.h"

static void test_json(void **state) {
    static const char *const rows[][2] = {
        {"{\"b\":1,\"a\":[]}", "{\"b\":1,\"a\":[]}"},
        {"[1.0,0.1,1e20,1e21,1e-6,1e-7,-2.5e-10]", "[1,0.1,100000000000000000000,1e+21,0.000001,1e-7,-2.5e-10]"},
        {"[\"a/b\",\"<&>\",\"\\u00e9\",\"\\u0001\"]", "[\"a/b\",\"<&>\",\"\xc3\xa9\",\"\\u0001\"]"},
        {"{\"Labels\":{\"z\":\"1\",\"a\":\"2\"},\"z\":0}", "{\"Labels\":{\"a\":\"2\",\"z\":\"1\"},\"z\":0}"},
        {"[null,true,false,9223372036854775807,-1]", "[null,true,false,9223372036854775807,-1]"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_buf out = BH_BUF_INIT;
        json_error_t e;
        json_t *j = json_loads(rows[i][0], 0, &e);

        assert_non_null(j);
        bh_tmpl_print_json(&out, j, false);
        assert_string_equal(bh_buf_str(&out), rows[i][1]);
        bh_buf_fini(&out);
        json_decref(j);
    }
}

static void test_indent(void **state) {
    struct bh_buf out = BH_BUF_INIT;
    json_t *j = json_pack("[{s:i,s:[],s:{},s:[s,s]}]", "b", 1, "e", "m", "a", "x", "y");

    (void)state;
    bh_tmpl_print_json_indent(&out, j, "    ");
    assert_string_equal(bh_buf_str(&out),
                        "[\n    {\n        \"b\": 1,\n        \"e\": [],\n        \"m\": {},\n"
                        "        \"a\": [\n            \"x\",\n            \"y\"\n        ]\n    }\n]");
    bh_buf_reset(&out);
    bh_tmpl_print_json(&out, j, true);
    assert_string_equal(bh_buf_str(&out), "[{\"a\":[\"x\",\"y\"],\"b\":1,\"e\":[],\"m\":{}}]");
    bh_buf_fini(&out);
    json_decref(j);
}

static void test_deep(void **state) {
    struct bh_buf out = BH_BUF_INIT;
    json_t *j = json_array();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        json_t *outer = json_array();

        json_array_append_new(outer, j);
        j = outer;
    }
    bh_tmpl_print(&out, j);
    bh_tmpl_print_json(&out, j, false);
    bh_tmpl_print_json_indent(&out, j, "\t");
    assert_false(bh_buf_failed(&out));
    bh_buf_fini(&out);
    json_decref(j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_indent),
        cmocka_unit_test(test_deep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
