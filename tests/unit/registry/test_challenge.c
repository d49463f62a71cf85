/*
 * test_challenge.c - WWW-Authenticate as registries write it, as RFC 9110 allows it, and as nobody may.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-registry/auth.h"

static void test_good(void **state) {
    static const struct {
        const char *header;
        int scheme;
        const char *realm, *service, *scope;
    } rows[] = {
        {"Bearer realm=\"https://auth.example/token\",service=\"registry.example\",scope=\"repository:a/b:pull,push\"",
         REG_AUTH_BEARER, "https://auth.example/token", "registry.example", "repository:a/b:pull,push"},
        {"bearer Realm = \"https://a/\" , SERVICE=s", REG_AUTH_BEARER, "https://a/", "s", ""},
        {"Basic realm=\"Registry Realm\"", REG_AUTH_BASIC, "Registry Realm", "", ""},
        {"BASIC", REG_AUTH_BASIC, "", "", ""},
        {"Basic realm=\"b\", Bearer realm=\"https://t/\",service=\"s\"", REG_AUTH_BEARER, "https://t/", "s", ""},
        {"Bearer realm=\"https://t/\", Basic realm=\"b\"", REG_AUTH_BEARER, "https://t/", "", ""},
        {"Negotiate, Basic realm=\"x\"", REG_AUTH_BASIC, "x", "", ""},
        {"NTLM dG9rZW4=, Basic realm=\"x\"", REG_AUTH_BASIC, "x", "", ""},
        {"Digest realm=\"d\", nonce=\"n\", qop=auth", REG_AUTH_NONE, "", "", ""},
        {"Bearer realm=\"https://q/\\\"\\\\x\"", REG_AUTH_BEARER, "https://q/\"\\x", "", ""},
        {"Bearer realm=\"https://t/\",error=\"insufficient_scope\",unknown=\"y\"", REG_AUTH_BEARER, "https://t/", "",
         ""},
        {",, Basic realm=\"x\" ,", REG_AUTH_BASIC, "x", "", ""},
        {"", REG_AUTH_NONE, "", "", ""},
    };
    struct reg_challenge c;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        if (reg_challenge_parse(rows[i].header, &c, &err) != 0)
            fail_msg("%s: %s", rows[i].header, err.msg);
        assert_int_equal(c.scheme, rows[i].scheme);
        assert_string_equal(c.realm, rows[i].realm);
        assert_string_equal(c.service, rows[i].service);
        assert_string_equal(c.scope, rows[i].scope);
    }
}

static void test_refused(void **state) {
    static const char *const rows[] = {
        "Bearer",                            /* no realm */
        "Bearer service=\"s\"",              /* the same */
        "Bearer realm=\"https://a",          /* not closed */
        "Bearer realm=\"a\" service=\"b\"",  /* no comma */
        "Bearer realm=\"a\",realm=\"b\"",    /* twice */
        "Bearer realm=\"https://a/\\",       /* ends in a quote */
        "Bearer realm=\"a\tb\"x",            /* control byte */
        "Bearer realm=",                     /* no value */
        "\"Bearer\" realm=\"a\"",            /* no scheme */
        "Bearer realm=\"a\"; service=\"b\"", /* wrong separator */
        "Bearer =\"a\"",
        "\x01",
    };
    struct reg_challenge c;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        if (reg_challenge_parse(rows[i], &c, &err) != BH_E_INVALID)
            fail_msg("taken: %s", rows[i]);
        assert_string_equal(err.reason, "bad-challenge");
    }
}

static void test_sizes(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct reg_challenge c;
    size_t n = 60000;
    char *header = malloc(n + 64);

    (void)state;
    strcpy(header, "Bearer realm=\"");
    memset(header + 14, 'a', n);
    strcpy(header + 14 + n, "\"");
    assert_int_equal(reg_challenge_parse(header, &c, &err), BH_E_INVALID);
    header[0] = '\0';
    for (unsigned i = 0; i < 100; i++)
        strcat(header, "Basic,");
    err = (struct bh_err)BH_ERR_INIT;
    assert_int_equal(reg_challenge_parse(header, &c, &err), BH_E_INVALID);
    free(header);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_sizes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
