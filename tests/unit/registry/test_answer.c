/*
 * test_answer.c - error bodies of registries: one line, docker's words, no byte that a terminal obeys.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-registry/answer.h"
#include "svc-registry/pages.h"

static int error_of(int status, const char *body, const char *retry_after, const struct reg_answer_about *about,
                    struct bh_err *err) {
    struct reg_http_response r = {.status = status};
    int rc;

    bh_buf_adds(&r.body, body);
    if (retry_after) {
        r.header[0] = (struct reg_header){"retry-after", retry_after};
        r.n_headers = 1;
    }
    *err = (struct bh_err)BH_ERR_INIT;
    rc = reg_answer_error(&r, about, err);
    reg_http_response_fini(&r);
    return rc;
}

#define E(code, message) "{\"errors\":[{\"code\":\"" code "\",\"message\":\"" message "\"}]}"

static void test_words(void **state) {
    const struct reg_answer_about get = {.name = "a:1", .host = "h", .manifest = true},
                                  put = {.name = "a:1", .host = "h", .write = true};
    static const struct {
        bool write;
        int status;
        const char *body, *text;
        int code;
    } rows[] = {
        {0, 404, E("MANIFEST_UNKNOWN", "manifest unknown"),
         "manifest for a:1 not found: manifest unknown: manifest unknown", BH_E_NOT_FOUND},
        {0, 404, "", "manifest for a:1 not found: manifest unknown: manifest unknown", BH_E_NOT_FOUND},
        {0, 404, E("NAME_UNKNOWN", "no"),
         "pull access denied for a, repository does not exist or may require 'docker login': name unknown: no",
         BH_E_DENIED},
        {0, 401, E("UNAUTHORIZED", "authentication required"),
         "pull access denied for a, repository does not exist or may require 'docker login': unauthorized: "
         "authentication required",
         BH_E_UNAUTHENTICATED},
        {0, 403, E("DENIED", "no"),
         "pull access denied for a, repository does not exist or may require 'docker login': denied: no", BH_E_DENIED},
        {1, 401, "", "a:1: unauthorized: authentication required", BH_E_UNAUTHENTICATED},
        {1, 403, E("DENIED", "requested access to the resource is denied"),
         "a:1: denied: requested access to the resource is denied", BH_E_DENIED},
        {0, 429, E("TOOMANYREQUESTS", "slow"), "a:1: toomanyrequests: slow", BH_E_LIMIT},
        {0, 429, "", "a:1: toomanyrequests: too many requests", BH_E_LIMIT},
        {0, 500, "<html>", "a:1: h: received unexpected HTTP status: 500 Internal Server Error", BH_E_UNAVAILABLE},
        {0, 418, "{\"details\":\"tea\"}", "a:1: h: received unexpected HTTP status: 418 : tea", BH_E_CONFLICT},
        {1, 405, E("UNSUPPORTED", "x"), "a:1: unsupported: x", BH_E_UNIMPLEMENTED},
        {0, 403, E("X\\u001b[31m\\n", "a\\u001b]0;t\\u0007\\nb"),
         "pull access denied for a, repository does not exist or may require 'docker login': x?[31m?: "
         "a\\x1b]0;t\\x07\\x0ab",
         BH_E_DENIED},
        {0, 403, "{\"errors\":[3]}",
         "pull access denied for a, repository does not exist or may require 'docker login': denied: requested "
         "access to the resource is denied",
         BH_E_DENIED},
        {0, 403, "{\"errors\":{}}",
         "pull access denied for a, repository does not exist or may require 'docker login': denied: requested "
         "access to the resource is denied",
         BH_E_DENIED},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err;
        int rc = error_of(rows[i].status, rows[i].body, NULL, rows[i].write ? &put : &get, &err);
        if (rc != rows[i].code || strcmp(err.msg, rows[i].text) != 0)
            fail_msg("%d %s: %d %s", rows[i].status, rows[i].body, rc, err.msg);
    }
}

static void test_hints(void **state) {
    const struct reg_answer_about about = {.name = "a:1", .host = "h.example"};
    struct bh_err err;

    (void)state;
    (void)error_of(401, "", NULL, &about, &err);
    assert_non_null(strstr(err.hint, "bulkhead login h.example"));
    (void)error_of(429, "", "17", &about, &err);
    assert_non_null(strstr(err.hint, "17 seconds"));
    (void)error_of(429, "", "nonsense", &about, &err);
    assert_string_equal(err.hint, "");
}

/* No body is too long, too deep or too odd: there is always one line. */
static void test_hostile(void **state) {
    const struct reg_answer_about about = {.name = "a:1", .host = "h"};
    char *body = malloc(REG_ERROR_BODY_MAX);
    struct bh_err err;

    (void)state;
    memset(body, '[', REG_ERROR_BODY_MAX - 1);
    body[REG_ERROR_BODY_MAX - 1] = '\0';
    assert_int_equal(error_of(403, body, NULL, &about, &err), BH_E_DENIED);
    memset(body, 'A', REG_ERROR_BODY_MAX - 1);
    memcpy(body, "{\"message\":\"", 12);
    memcpy(body + REG_ERROR_BODY_MAX - 3, "\"}", 2);
    assert_int_equal(error_of(403, body, NULL, &about, &err), BH_E_DENIED);
    assert_true(strlen(err.msg) < 600);
    free(body);
}

static void test_retry_after(void **state) {
    static const struct {
        const char *text;
        int64_t low, high;
    } rows[] = {{"0", 0, 0},
                {"120", 120, 120},
                {"99999999999", 1000000, 1000000},
                {"-1", -1, -1},
                {"", -1, -1},
                {"1.5", -1, -1},
                {"Wed, 21 Oct 2015 07:28:00 GMT", 0, 0},
                {"Wed, 21 Oct 2015", -1, -1},
                {"Fri, 21 Oct 2089 07:28:00 GMT", 1000000, INT64_MAX}};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct reg_http_response r = {.n_headers = 1};
        r.header[0] = (struct reg_header){"retry-after", rows[i].text};
        int64_t s = reg_retry_after(&r);
        if (s < rows[i].low || s > rows[i].high)
            fail_msg("%s: %lld", rows[i].text, (long long)s);
    }
}

static void test_near(void **state) {
    static const char *const tags[] = {"3.18", "3.19", "3.20", "latest", "edge", "3.2", "bad tag", "12", "2021.1.1"};
    const char *near[REG_NEAR];
    size_t n;

    (void)state;
    n = reg_tags_near(tags, BH_ARRAY_LEN(tags), "3.1", near);
    assert_true(n >= 3 && n <= REG_NEAR);
    assert_true(strcmp(near[0], "3.18") == 0 || strcmp(near[0], "3.19") == 0);
    n = reg_tags_near(tags, BH_ARRAY_LEN(tags), "lateste", near);
    assert_true(n >= 1);
    assert_string_equal(near[0], "latest");
    n = reg_tags_near(tags, BH_ARRAY_LEN(tags), "LATEST", near);
    assert_string_equal(near[0], "latest");
    for (size_t i = 0; i < n; i++)
        assert_string_not_equal(near[i], "bad tag");
    assert_int_equal(reg_tags_near(tags, BH_ARRAY_LEN(tags), "no tag", near), 0);
    assert_int_equal(reg_tags_near(tags, 0, "x", near), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_hints),
                                       cmocka_unit_test(test_hostile), cmocka_unit_test(test_retry_after),
                                       cmocka_unit_test(test_near)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
