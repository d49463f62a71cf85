/*
 * test_json.c - what the JSON reader refuses, and the getters' words about the place.
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
#include "oci/json.h"

static void test_refused(void **state) {
    static const struct {
        const char *text;
        size_t n; /* 0: strlen */
    } rows[] = {
        {"", 0},
        {" ", 0},
        {"x", 0},
        {"1", 0},
        {"\"s\"", 0},
        {"null", 0},
        {"{", 0},
        {"{}x", 0},
        {"{}{}", 0},
        {"{\"a\":1,}", 0},
        {"[1,]", 0},
        {"{'a':1}", 0},
        {"{a:1}", 0},
        {"{\"a\":1,\"a\":1}", 0},
        {"{\"a\":{\"b\":1,\"b\":2}}", 0},
        {"{\"a\":1,\"\\u0061\":2}", 0}, /* the same key, spelt twice */
        {"{\"a\":\"\\u0000\"}", 0},
        {"{\"\\u0000\":1}", 0},
        {"{\"a\":\"\xff\"}", 0},
        {"{\"a\":\"\xc0\x80\"}", 0},
        {"{\"a\":\"\xed\xa0\x80\"}", 0},
        {"{\"a\":\"\\ud800\"}", 0},
        {"{\"a\":\"\n\"}", 0},
        {"{\"a\":99999999999999999999}", 0},
        {"{\"a\":1e999}", 0},
        {"{\"a\":NaN}", 0},
        {"{\"a\":Infinity}", 0},
        {"{\"a\":01}", 0},
        {"{\"a\":+1}", 0},
        {"{\"a\":.5}", 0},
        {"{\"a\":0x10}", 0},
        {"{/*c*/}", 0},
        {"\xef\xbb\xbf{}", 0},
        {"{}\0", 3},
        {"{\"a\0\":1}", 8},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        json_t *root = NULL;
        size_t n = rows[i].n != 0 ? rows[i].n : strlen(rows[i].text);

        if (bh_json_parse(rows[i].text, n, 1000, "doc", &root, &err) != BH_E_INVALID)
            fail_msg("accepted: %s", rows[i].text);
        assert_null(root);
        assert_string_equal(err.reason, "invalid-json");
    }
}

static void nested(struct bh_buf *b, int depth, const char *open, const char *close) {
    bh_buf_reset(b);
    for (int i = 0; i < depth; i++)
        bh_buf_adds(b, open);
    bh_buf_adds(b, "1");
    for (int i = 0; i < depth; i++)
        bh_buf_adds(b, close);
}

static void test_limits(void **state) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    json_t *root = NULL;

    (void)state;
    nested(&b, BH_JSON_DEPTH_MAX, "[", "]");
    assert_int_equal(bh_json_parse(b.data, b.len, 1 << 20, "doc", &root, &err), 0);
    json_decref(root);
    nested(&b, BH_JSON_DEPTH_MAX + 1, "[", "]");
    assert_int_equal(bh_json_parse(b.data, b.len, 1 << 20, "doc", &root, &err), BH_E_LIMIT);
    assert_string_equal(err.msg, "doc: JSON is nested deeper than 64 levels");
    nested(&b, 500000, "{\"a\":", "}");
    assert_int_equal(bh_json_parse(b.data, b.len, 10 << 20, "doc", &root, &err), BH_E_LIMIT);
    assert_int_equal(bh_json_parse("[]", 2, 1, "doc", &root, &err), BH_E_LIMIT);
    assert_string_equal(err.msg, "doc: 2 bytes, the limit is 1");
    bh_buf_reset(&b);
    bh_buf_adds(&b, "[{}");
    for (int i = 0; i < BH_JSON_VALUES_MAX; i++)
        bh_buf_adds(&b, ",{}");
    bh_buf_adds(&b, "]");
    assert_int_equal(bh_json_parse(b.data, b.len, 4 << 20, "doc", &root, &err), BH_E_LIMIT);
    assert_string_equal(err.msg, "doc: JSON with more than 200000 values");
    /* Brackets inside strings do not count. */
    bh_buf_reset(&b);
    bh_buf_adds(&b, "[\"\\\"");
    for (int i = 0; i < 200; i++)
        bh_buf_addc(&b, '[');
    bh_buf_adds(&b, "\"]");
    assert_int_equal(bh_json_parse(b.data, b.len, 1000, "doc", &root, &err), 0);
    json_decref(root);
}

#define DOC                                                                                                            \
    "{\"s\":\"text\",\"bad\":\"a\\u001bb\",\"c1\":\"\xc2\x9b\",\"n\":5,\"neg\":-1,\"f\":1.5,\"t\":true,\"z\":null,"    \
    "\"l\":[\"a\",\"b\\n\"],\"m\":{\"k2\":\"v2\",\"k1\":\"v1\"},\"set\":{\"y\":{},\"x\":{}},"                          \
    "\"deep\":[{\"size\":\"x\"}],\"mixed\":[\"a\",1]}"

static void test_getters(void **state) {
    BH_SCOPE_JSON json_t *json = NULL;
    struct bh_err err = BH_ERR_INIT;
    struct bh_arena arena;
    struct bh_json_at root, deep, first;
    struct bh_strlist list;
    struct bh_pairs pairs;
    const char *s;
    uint64_t u;
    int64_t i;
    bool b;

    (void)state;
    bh_arena_init(&arena, 1 << 16);
    assert_int_equal(bh_json_parse(DOC, strlen(DOC), 1000, "doc", &json, &err), 0);
    root = bh_json_root(json, "doc");
    assert_int_equal(bh_json_str(&root, "s", BH_TEXT_LINE, &arena, &s, &err), 0);
    assert_string_equal(s, "text");
    assert_int_equal(bh_json_str(&root, "z", BH_TEXT_LINE, &arena, &s, &err), 0);
    assert_string_equal(s, "");
    assert_int_equal(bh_json_str(&root, "bad", BH_TEXT_FREE, &arena, &s, &err), 0);
    assert_int_equal(bh_json_str(&root, "bad", BH_TEXT_LINE, &arena, &s, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "doc: bad: text holds a control character");
    assert_int_equal(bh_json_str(&root, "c1", BH_TEXT_LINE, &arena, &s, &err), BH_E_INVALID);
    assert_int_equal(bh_json_str(&root, "n", BH_TEXT_LINE, &arena, &s, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "doc: n: expected a string, found an integer");
    assert_int_equal(bh_json_u64(&root, "n", true, 5, &u, &err), 0);
    assert_int_equal(u, 5);
    assert_int_equal(bh_json_u64(&root, "n", true, 4, &u, &err), BH_E_INVALID);
    assert_int_equal(bh_json_u64(&root, "neg", true, 5, &u, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "doc: neg: -1 is negative");
    assert_int_equal(bh_json_u64(&root, "f", true, 5, &u, &err), BH_E_INVALID);
    assert_int_equal(bh_json_u64(&root, "absent", true, 5, &u, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "doc: key \"absent\" is missing");
    assert_int_equal(bh_json_u64(&root, "absent", false, 5, &u, &err), 0);
    assert_int_equal(bh_json_i64(&root, "neg", &i, &err), 0);
    assert_int_equal(i, -1);
    assert_int_equal(bh_json_i64(&root, "s", &i, &err), BH_E_INVALID);
    assert_int_equal(bh_json_bool(&root, "t", &b, &err), 0);
    assert_true(b);
    assert_int_equal(bh_json_bool(&root, "n", &b, &err), BH_E_INVALID);
    assert_int_equal(bh_json_strlist(&root, "l", BH_TEXT_FREE, 2, &arena, &list, &err), 0);
    assert_int_equal(list.n, 2);
    assert_int_equal(bh_json_strlist(&root, "l", BH_TEXT_LINE, 2, &arena, &list, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "doc: l[1]: text holds a control character");
    assert_int_equal(bh_json_strlist(&root, "l", BH_TEXT_FREE, 1, &arena, &list, &err), BH_E_LIMIT);
    assert_int_equal(bh_json_strlist(&root, "mixed", BH_TEXT_FREE, 9, &arena, &list, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "doc: mixed[1]: expected a string, found an integer");
    assert_int_equal(bh_json_pairs(&root, "m", BH_TEXT_FREE, 2, &arena, &pairs, &err), 0);
    assert_string_equal(pairs.v[0].key, "k1");
    assert_string_equal(bh_pairs_get(&pairs, "k2"), "v2");
    assert_null(bh_pairs_get(&pairs, "k3"));
    assert_int_equal(bh_json_pairs(&root, "m", BH_TEXT_FREE, 1, &arena, &pairs, &err), BH_E_LIMIT);
    assert_int_equal(bh_json_set(&root, "set", 2, &arena, &list, &err), 0);
    assert_string_equal(list.v[0], "x");
    assert_int_equal(bh_json_set(&root, "m", 2, &arena, &list, &err), BH_E_INVALID);
    assert_true(bh_json_member(&root, "deep", &deep));
    first = bh_json_element(&deep, 0);
    assert_int_equal(bh_json_u64(&first, "size", true, 9, &u, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "doc: deep[0].size: expected an integer, found a string");
    bh_arena_fini(&arena);
}

static void test_keys(void **state) {
    static const char text[] = "{\"layers\":1,\"Other\":2}", alike[] = "{\"layers\":1,\"LAYERS\":2}";
    static const char *const known[] = {"layers", NULL};
    BH_SCOPE_JSON json_t *a = NULL, *b = NULL;
    struct bh_err err = BH_ERR_INIT;
    struct bh_json_at root;

    (void)state;
    assert_int_equal(bh_json_parse(text, strlen(text), 100, "doc", &a, &err), 0);
    root = bh_json_root(a, "doc");
    assert_int_equal(bh_json_check_keys(&root, known, false, &err), 0);
    assert_int_equal(bh_json_check_keys(&root, known, true, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "doc: unknown key \"Other\"");
    assert_int_equal(bh_json_parse(alike, strlen(alike), 100, "doc", &b, &err), 0);
    root = bh_json_root(b, "doc");
    assert_int_equal(bh_json_check_keys(&root, known, false, &err), BH_E_INVALID);
}

/* Every way the arena can run out ends in a clean refusal. */
static void test_memory(void **state) {
    BH_SCOPE_JSON json_t *json = NULL;
    struct bh_err err = BH_ERR_INIT;
    struct bh_json_at root;
    struct bh_strlist list;
    struct bh_pairs pairs;
    bool done = false;

    (void)state;
    assert_int_equal(bh_json_parse(DOC, strlen(DOC), 1000, "doc", &json, &err), 0);
    root = bh_json_root(json, "doc");
    for (size_t max = 0; !done; max += 16) {
        struct bh_arena arena;

        assert_true(max < 10000);
        bh_arena_init(&arena, max);
        done = bh_json_strlist(&root, "l", BH_TEXT_FREE, 9, &arena, &list, &err) == 0 &&
               bh_json_pairs(&root, "m", BH_TEXT_FREE, 9, &arena, &pairs, &err) == 0 &&
               bh_json_set(&root, "set", 9, &arena, &list, &err) == 0;
        assert_true(done || err.code == BH_E_LIMIT);
        bh_arena_fini(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refused), cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_getters), cmocka_unit_test(test_keys),
                                       cmocka_unit_test(test_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
