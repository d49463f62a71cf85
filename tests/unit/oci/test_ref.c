/*
 * test_ref.c - the whole table of image references, and their other forms.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/ref.h"

#define H16  "0123456789abcdef"
#define H64  H16 H16 H16 H16
#define D256 "sha256:" H64
#define D512 "sha512:" H64 H64
#define X10  "xxxxxxxxxx"
#define X50  X10 X10 X10 X10 X10
#define X100 X50 X50
#define X128 X100 X10 X10 "xxxxxxxx"
#define X247 X100 X100 X10 X10 X10 X10 "xxxxxxx" /* with library/ exactly 255 */
#define X255 X247 "xxxxxxxx"

static const char format[] = "invalid reference format";
static const char lowercase[] = "invalid reference format: repository name must be lowercase";
static const char hex64[] = "invalid repository name, cannot specify 64-byte hexadecimal strings";
static const char too_long[] = "repository name must not be more than 255 characters";

/* Normal form, then familiar form; "=" says that it equals the input. */
static const struct {
    const char *text;
    const char *normal;
    const char *familiar;
} table[] = {
    /* defaults */
    {"debian", "docker.io/library/debian", "="},
    {"debian:12", "docker.io/library/debian:12", "="},
    {"library/debian", "docker.io/library/debian", "debian"},
    {"docker.io/debian", "docker.io/library/debian", "debian"},
    {"docker.io/library/debian", "=", "debian"},
    {"docker.io/library/debian:12", "=", "debian:12"},
    {"index.docker.io/debian", "docker.io/library/debian", "debian"},
    {"index.docker.io/library/debian", "docker.io/library/debian", "debian"},
    {"index.docker.io/user/app:v1", "docker.io/user/app:v1", "user/app:v1"},
    {"user/app", "docker.io/user/app", "="},
    {"user/app:tag", "docker.io/user/app:tag", "="},
    {"a/b/c/d", "docker.io/a/b/c/d", "="},
    {"docker.io/user/app", "=", "user/app"},
    {"library/a/b", "docker.io/library/a/b", "="},
    {"docker.io/library/a/b", "=", "library/a/b"},
    {"docker", "docker.io/library/docker", "="},
    {"docker/docker", "docker.io/docker/docker", "="},
    {"library/library", "docker.io/library/library", "library"},
    {"library", "docker.io/library/library", "="},
    {"x", "docker.io/library/x", "="},
    {"0", "docker.io/library/0", "="},
    {"1234", "docker.io/library/1234", "="},
    /* domains */
    {"localhost/app", "=", "="},
    {"localhost:5000/app", "=", "="},
    {"localhost:5000/app:tag", "=", "="},
    {"localhost:5000", "docker.io/library/localhost:5000", "="},
    {"localhost", "docker.io/library/localhost", "="},
    {"localhosts/app", "docker.io/localhosts/app", "="},
    {"local-host/app", "docker.io/local-host/app", "="},
    {"registry/app", "docker.io/registry/app", "="},
    {"registry:5000/app", "=", "="},
    {"Registry/app", "=", "="},
    {"FOO/bar", "=", "="},
    {"example.com/app", "=", "="},
    {"example.com/a/b/c:tag", "=", "="},
    {"example.com:443/app:tag", "=", "="},
    {"EXAMPLE.com/app", "=", "="},
    {"sub-dom1.foo.com/bar/baz/quux:some-tag", "=", "="},
    {"xn--n3h.com/app", "=", "="},
    {"xn--n3h.com/app:tag", "=", "="},
    {"a.b/c", "=", "="},
    {"a-b.c-d/e", "=", "="},
    {"a--b.com/c", "=", "="},
    {"1.2.3.4/app", "=", "="},
    {"127.0.0.1:5000/app:1", "=", "="},
    {"0.0.0.0:1/a", "=", "="},
    {"foo.com:80/library/x", "=", "="},
    {"quay.io/library/x", "=", "="},
    {"example.com/library", "=", "="},
    {"registry-1.docker.io/library/x", "=", "="},
    {"docker.io:443/app", "=", "="},
    {"a.com:0123456789/b", "=", "="},
    {"DOCKER.io/app", "=", "="},
    /* IPv6 */
    {"[::1]/app", "=", "="},
    {"[::1]:5000/app:tag", "=", "="},
    {"[fd00:1:2::3]:75050/repo:tag", "=", "="},
    {"[2001:db8:3:4::192.0.2.33]/app", NULL, format}, /* no dotted tail in the grammar */
    {"[FE80::1]/app", "=", "="},
    {"[2001:db8::1]/a/b@" D256, "=", "="},
    {"[]/app", NULL, format},
    {"[:]/app", "=", "="},
    {"[fe80::1%eth0]/app", NULL, format},
    {"[fe80::1%25eth0]:5000/app", NULL, format},
    {"[::1/app", NULL, format},
    {"::1]/app", NULL, format},
    {"[::1]x/app", NULL, format},
    {"[::1]:/app", NULL, format},
    {"[::1]5000/app", NULL, format},
    {"[::1]", NULL, format},
    {"[g::1]/app", NULL, format},
    {"[\x10::1]/app", NULL, format},
    {"x[::1]/app", NULL, format},
    {"fd00:1:2::3/app", NULL, format},
    /* path pieces */
    {"a.b", "docker.io/library/a.b", "="},
    {"a_b", "docker.io/library/a_b", "="},
    {"a__b", "docker.io/library/a__b", "="},
    {"a-b", "docker.io/library/a-b", "="},
    {"a---b", "docker.io/library/a---b", "="},
    {"a.b_c__d-e--f", "docker.io/library/a.b_c__d-e--f", "="},
    {"a-b/c_d/e.f", "docker.io/a-b/c_d/e.f", "="},
    {"foo_bar.com:8080", "docker.io/library/foo_bar.com:8080", "="},
    {"foo/foo_bar.com:8080", "docker.io/foo/foo_bar.com:8080", "="},
    {"foo.com/foo.bar/baz", "=", "="},
    {"docker.io/a.b/c", "=", "="}, /* "a.b/c" alone would name a host */
    {"docker.io/localhost/c", "=", "="},
    {"aa/asdf$$^/aa", NULL, format},
    {"a..b", NULL, format},
    {"a___b", NULL, format},
    {"a._b", NULL, format},
    {"a_.b", NULL, format},
    {"a-_b", NULL, format},
    {"a.-b", NULL, format},
    {".a", NULL, format},
    {"_a", NULL, format},
    {"-a", NULL, format},
    {"__a", NULL, format},
    {"a.", NULL, format},
    {"a_", NULL, format},
    {"a-", NULL, format},
    {"a__", NULL, format},
    {"/a", NULL, format},
    {"a/", NULL, format},
    {"/", NULL, format},
    {"//", NULL, format},
    {"a//b", NULL, format},
    {"a/b/", NULL, format},
    {"a/-b", NULL, format},
    {"a-/b", NULL, format},
    {"a/.b", NULL, format},
    {"a/./b", NULL, format},
    {"a/../b", NULL, format},
    {"../a", NULL, format},
    {"./a", NULL, format},
    {"example.com/../a", NULL, format},
    {"example.com/", NULL, format},
    {"example.com//a", NULL, format},
    {"a b", NULL, format},
    {" a", NULL, format},
    {"a ", NULL, format},
    {"a\n", NULL, format},
    {"a\t", NULL, format},
    {"a\x01", NULL, format},
    {"a\x7f", NULL, format},
    {"a\x1b[31m", NULL, format},
    {"\xd0\xb0pp", NULL, format}, /* cyrillic a */
    {"caf\xc3\xa9", NULL, format},
    {"a\xe2\x80\x8b", NULL, format}, /* zero width space */
    {"a\xff", NULL, format},
    {"a$b", NULL, format},
    {"a+b", NULL, format},
    {"a~b", NULL, format},
    {"a%2fb", NULL, format},
    {"a\\b", NULL, format},
    {"a*", NULL, format},
    {"", NULL, format},
    {"http://example.com/a", NULL, format},
    {"https://example.com/a:b", NULL, format},
    {"docker://a", NULL, format},
    /* bad domains */
    {"-a.com/b", NULL, format},
    {"a-.com/b", NULL, format},
    {"a.-b/c", NULL, format},
    {"a..b/c", NULL, format},
    {".a/c", NULL, format},
    {"a./c", NULL, format},
    {"a_b.com/c", NULL, format},
    {"a.com:/c", NULL, format},
    {"a.com:port/c", NULL, format},
    {"a.com:80:80/c", NULL, format},
    {":80/c", NULL, format},
    {"a.com:-1/c", NULL, format},
    {"user@host.com/c", NULL, format},
    {"a.com:80 /c", NULL, format},
    {"Foo_/bar", NULL, format},
    /* case */
    {"Debian", NULL, lowercase},
    {"debiaN", NULL, lowercase},
    {"user/App", NULL, lowercase},
    {"example.com/App", NULL, lowercase},
    {"example.com/a/B:tag", NULL, lowercase},
    {"localhost:5000/App", NULL, lowercase},
    {"Uppercase:tag", NULL, lowercase},
    {"Uppercase/lowercase:tag", "=", "="}, /* an upper-case first piece is a host */
    {"test:5000/Uppercase/lowercase:tag", NULL, lowercase},
    {"lowercase:Uppercase", "docker.io/library/lowercase:Uppercase", "="},
    {"App@" D256, NULL, lowercase},
    /* tags */
    {"a:b", "docker.io/library/a:b", "="},
    {"a:B", "docker.io/library/a:B", "="},
    {"a:_b", "docker.io/library/a:_b", "="},
    {"a:0", "docker.io/library/a:0", "="},
    {"a:1.2.3-rc.1_x", "docker.io/library/a:1.2.3-rc.1_x", "="},
    {"a:b..c--d", "docker.io/library/a:b..c--d", "="},
    {"a:b-", "docker.io/library/a:b-", "="},
    {"a:" X128, "docker.io/library/a:" X128, "="},
    {"a:" X128 "x", NULL, format},
    {"a:", NULL, format},
    {":a", NULL, format},
    {":", NULL, format},
    {"a:.b", NULL, format},
    {"a:-b", NULL, format},
    {"a:b:c", NULL, format},
    {"a:b/c:d/e", NULL, format},
    {"a:b c", NULL, format},
    {"a:b+c", NULL, format},
    {"a:\xc3\xa9", NULL, format},
    {"a:b\n", NULL, format},
    {"a::b", NULL, format},
    {"example.com/a:b/c", NULL, format},
    /* digests */
    {"a@" D256, "docker.io/library/a@" D256, "="},
    {"a@" D512, "docker.io/library/a@" D512, "="},
    {"a:b@" D256, "docker.io/library/a:b@" D256, "="},
    {"example.com:80/a/b:c@" D256, "=", "="},
    {"a@blake3:" H64, "docker.io/library/a@blake3:" H64, "="},
    {"a@x+y.z:" H16 H16, "docker.io/library/a@x+y.z:" H16 H16, "="},
    {"a@sha256:" H16, NULL, format},
    {"a@sha256:" H64 "0", NULL, format},
    {"a@sha256:0123456789ABCDEF" H16 H16 H16, NULL, format},
    {"a@SHA256:" H64, NULL, format},
    {"a@sha512:" H64, NULL, format},
    {"a@", NULL, format},
    {"@" D256, NULL, format},
    {"a@sha256", NULL, format},
    {"a@sha256:", NULL, format},
    {"a@" H64, NULL, format},
    {"a@md5:" H16, NULL, format},
    {"a:@" D256, NULL, format},
    {"a@" D256 ":b", NULL, format},
    {"a@" D256 "@" D256, NULL, format},
    {"a@@" D256, NULL, format},
    {"a@-x:" H64, NULL, format},
    {"a@" D256 " ", NULL, format},
    /* 64 hex digits */
    {H64, NULL, hex64},
    {"a/" H64, "docker.io/a/" H64, "="},
    {H64 ":tag", "docker.io/library/" H64 ":tag", "="},
    {H64 "0", "docker.io/library/" H64 "0", "="},
    {H16 H16 H16 "0123456789abcde", "docker.io/library/" H16 H16 H16 "0123456789abcde", "="},
    {"g" H16 H16 H16 "0123456789abcde", "docker.io/library/g" H16 H16 H16 "0123456789abcde", "="},
    {"0123456789ABCDEF" H16 H16 H16, NULL, lowercase},
    /* lengths */
    {X247, "docker.io/library/" X247, "="},
    {X247 "x", NULL, too_long},
    {"a/" X255, NULL, too_long},
    {"example.com/" X255, "=", "="},
    {"example.com/" X255 "x", NULL, too_long},
    {"example.com/" X255 ":" X128 "@" D512, "=", "="},
    {X255 ".com/a", NULL, "invalid reference format: host name must not be more than 255 characters"},
    {X247 ".com:80/a", "=", "="},
};

static void check_good(const char *text, const char *normal, const char *familiar) {
    struct bh_err err = BH_ERR_INIT;
    char out[BH_REF_TEXT_SIZE], again[BH_REF_TEXT_SIZE];
    struct bh_ref ref, second;

    if (bh_ref_parse(text, &ref, &err) != 0)
        fail_msg("\"%s\" was refused: %s", text, err.msg);
    bh_ref_format(&ref, out);
    assert_string_equal(out, strcmp(normal, "=") == 0 ? text : normal);
    assert_int_equal(bh_ref_parse(out, &second, &err), 0); /* the normal form is a fixed point */
    bh_ref_format(&second, again);
    assert_string_equal(again, out);
    bh_ref_familiar(&ref, again);
    assert_string_equal(again, strcmp(familiar, "=") == 0 ? text : familiar);
    if (strlen(again) != 64) { /* what is shown can be typed again and means the same */
        assert_int_equal(bh_ref_parse(again, &second, &err), 0);
        assert_memory_equal(&second, &ref, sizeof ref);
    }
}

static void check_bad(const char *text, const char *tail) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_ref ref = {.path = "untouched"};

    if (bh_ref_parse(text, &ref, &err) == 0)
        fail_msg("\"%s\" was accepted", text);
    assert_int_equal(err.code, BH_E_INVALID);
    assert_string_equal(err.reason, "invalid-reference");
    assert_string_equal(ref.path, "untouched");
    if (!bh_str_ends(err.msg, tail))
        fail_msg("\"%s\": \"%s\" does not end with \"%s\"", text, err.msg, tail);
}

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(table); i++) {
        if (table[i].normal != NULL)
            check_good(table[i].text, table[i].normal, table[i].familiar);
        else
            check_bad(table[i].text, table[i].familiar);
    }
    assert_true(BH_ARRAY_LEN(table) >= 200);
}

static void test_default_tag(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_ref ref;

    (void)state;
    assert_int_equal(bh_ref_parse_tagged("a", &ref, &err), 0);
    assert_string_equal(ref.tag, "latest");
    assert_false(bh_ref_default_tag(&ref));
    assert_int_equal(bh_ref_parse_tagged("a:x", &ref, &err), 0);
    assert_string_equal(ref.tag, "x");
    assert_int_equal(bh_ref_parse_tagged("a@" D256, &ref, &err), 0);
    assert_string_equal(ref.tag, "");
    assert_string_equal(ref.digest, D256);
    assert_int_equal(bh_ref_parse_tagged("A", &ref, &err), BH_E_INVALID);
}

static void test_any(void **state) {
    static const struct {
        const char *text;
        enum bh_ref_kind kind;
        const char *hex;
    } rows[] = {
        {H64, BH_REF_ID, H64},
        {D256, BH_REF_ID, H64},
        {"sha256:0123", BH_REF_PREFIX, "0123"},
        {"sha256:" H16 H16 H16 "0123456789abcde", BH_REF_PREFIX, H16 H16 H16 "0123456789abcde"},
        {"0123", BH_REF_NAME, "0123"},
        {"deadbeef", BH_REF_NAME, "deadbeef"},
        {"a", BH_REF_NAME, "a"},
        {"debian", BH_REF_NAME, ""},
        {"deadbeef:tag", BH_REF_NAME, ""},
        {"sha256:tag", BH_REF_NAME, ""},
        {"sha256", BH_REF_NAME, ""},
        {H64 "0", BH_REF_NAME, ""},
        {"a/deadbeef", BH_REF_NAME, ""},
        {"a@" D256, BH_REF_NAME, ""},
    };
    struct bh_err err = BH_ERR_INIT;
    char hex[BH_REF_HEX_SIZE];
    enum bh_ref_kind kind;
    struct bh_ref ref;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        if (bh_ref_parse_any(rows[i].text, &ref, &kind, hex, &err) != 0)
            fail_msg("%s: %s", rows[i].text, err.msg);
        assert_int_equal(kind, rows[i].kind);
        assert_string_equal(hex, rows[i].hex);
        assert_int_equal(ref.path[0] != '\0', kind == BH_REF_NAME);
    }
    assert_int_equal(bh_ref_parse_any("Deadbeef", &ref, &kind, hex, &err), BH_E_INVALID);
    assert_int_equal(bh_ref_parse_any("sha256:", &ref, &kind, hex, &err), BH_E_INVALID);
    assert_int_equal(bh_ref_parse_any("", &ref, &kind, hex, &err), BH_E_INVALID);
}

static void test_targets(void **state) {
    static const char *const refused[] = {"a@" D256, "a:b@" D256, "sha256:x", "sha512", "docker.io/library/sha256:y"};
    struct bh_err err = BH_ERR_INIT;
    struct bh_ref ref;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(refused); i++) {
        assert_int_equal(bh_ref_parse(refused[i], &ref, &err), 0);
        assert_int_equal(bh_ref_check_target(&ref, &err), BH_E_INVALID);
    }
    assert_int_equal(bh_ref_parse("example.com/sha256", &ref, &err), 0);
    assert_int_equal(bh_ref_check_target(&ref, &err), 0);
    assert_string_equal(ref.tag, "latest");
    assert_int_equal(bh_ref_parse("scratch", &ref, &err), 0);
    assert_int_equal(bh_ref_check_pull(&ref, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "'scratch' is a reserved name");
    assert_int_equal(bh_ref_parse("user/scratch", &ref, &err), 0);
    assert_int_equal(bh_ref_check_pull(&ref, &err), 0);
}

static void test_endpoints(void **state) {
    struct bh_err err = BH_ERR_INIT;
    char text[BH_REF_TEXT_SIZE];
    struct bh_ref a, b;

    (void)state;
    assert_int_equal(bh_ref_parse("debian", &a, &err), 0);
    assert_string_equal(bh_ref_endpoint(&a), "registry-1.docker.io");
    assert_string_equal(bh_ref_credentials_key(&a), "https://index.docker.io/v1/");
    assert_int_equal(bh_ref_parse("h:1/debian", &b, &err), 0);
    assert_string_equal(bh_ref_endpoint(&b), "h:1");
    assert_string_equal(bh_ref_credentials_key(&b), "h:1");
    assert_false(bh_ref_same_name(&a, &b));
    assert_int_equal(bh_ref_parse("index.docker.io/library/debian:x", &b, &err), 0);
    assert_true(bh_ref_same_name(&a, &b));
    bh_ref_familiar_of("docker.io/library/x:1", text);
    assert_string_equal(text, "x:1");
    bh_ref_familiar_of("<none>", text);
    assert_string_equal(text, "<none>");
}

static void test_filter(void **state) {
    static const struct {
        const char *pattern;
        const char *ref;
        int match; /* -1: malformed */
    } rows[] = {
        {"debian", "debian:12", 1},
        {"debian:12", "debian:12", 1},
        {"debian:*", "debian:12", 1},
        {"deb*", "debian:12", 1},
        {"*", "debian:12", 1},
        {"*", "user/app:1", 0},
        {"*/*", "user/app:1", 1},
        {"user/*", "user/app:1", 1},
        {"*:1?", "debian:12", 1},
        {"*:[0-9]*", "debian:12", 1},
        {"*:[^0-9]*", "debian:12", 0},
        {"docker.io/library/debian", "debian:12", 0}, /* docker compares the familiar form */
        {"localhost:5000/*", "localhost:5000/app:1", 1},
        {"debian:1", "debian:12", 0},
        {"[", "debian:12", -1},
        {"x[", "debian:12", -1},
        {"a\\", "debian:12", -1},
    };
    struct bh_err err = BH_ERR_INIT;
    struct bh_ref ref;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        bool match = false;
        int r;

        assert_int_equal(bh_ref_parse(rows[i].ref, &ref, &err), 0);
        r = bh_ref_filter(rows[i].pattern, &ref, &match, &err);
        if (r != (rows[i].match < 0 ? BH_E_INVALID : 0) || match != (rows[i].match == 1))
            fail_msg("filter %s on %s: %d %d", rows[i].pattern, rows[i].ref, r, match);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),   cmocka_unit_test(test_default_tag), cmocka_unit_test(test_any),
        cmocka_unit_test(test_targets), cmocka_unit_test(test_endpoints),   cmocka_unit_test(test_filter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
