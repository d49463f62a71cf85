/*
 * test_url.c - addresses that servers hand out: what they mean, and what is refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-registry/url.h"

#define BASE "https://registry.example/v2/a/b/tags/list?n=2"

static void test_parse(void **state) {
    static const struct {
        const char *text, *base, *want, *origin;
    } rows[] = {
        {"https://Registry.Example/v2/", NULL, "https://Registry.Example/v2/", "https://registry.example"},
        {"http://localhost:5000", NULL, "http://localhost:5000/", "http://localhost:5000"},
        {"https://a:443/x?y=1#frag", NULL, "https://a:443/x?y=1", "https://a"},
        {"/v2/x?_state=1", BASE, "https://registry.example/v2/x?_state=1", "https://registry.example"},
        {"?n=2&last=b", BASE, "https://registry.example/v2/a/b/tags/list?n=2&last=b", "https://registry.example"},
        {"//other.example/x", BASE, "https://other.example/x", "https://other.example"},
        {"https://[::1]:5000/v2/", NULL, "https://[::1]:5000/v2/", "https://[::1]:5000"},
        {"../../x", BASE, "https://registry.example/v2/a/x", "https://registry.example"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct reg_url u;
        char origin[300];
        if (reg_url_parse(rows[i].text, rows[i].base, &u, &err) != 0)
            fail_msg("%s: %s", rows[i].text, err.msg);
        assert_string_equal(u.text, rows[i].want);
        reg_url_origin(&u, origin);
        assert_string_equal(origin, rows[i].origin);
    }
}

static void test_refused(void **state) {
    static const char *const rows[] = {"file:///etc/passwd",
                                       "ftp://a/b",
                                       "gopher://a:1/_x",
                                       "https://user:pass@a/",
                                       "https://user@a/",
                                       "https://",
                                       "https:///x",
                                       "https://a:0/",
                                       "https://a:99999/",
                                       "https://a b/",
                                       "https://a/\r\nX: y",
                                       "https://a/\x80",
                                       "",
                                       "relative",
                                       "https://a/{x}",
                                       "https://a\\@b/",
                                       "data:text/plain,x",
                                       "https://[::1/",
                                       "dict://a/",
                                       "\t",
                                       "https://[fe80::1%25eth0]/",
                                       "https://a,b/"};
    char *longest = malloc(REG_URL_SIZE + 32);
    struct bh_err err = BH_ERR_INIT;
    struct reg_url u;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        err = (struct bh_err)BH_ERR_INIT;
        if (reg_url_parse(rows[i], NULL, &u, &err) != BH_E_INVALID)
            fail_msg("taken: %s -> %s", rows[i], u.text);
        assert_string_equal(err.reason, "invalid-address");
    }
    memset(longest, 'a', REG_URL_SIZE + 16);
    memcpy(longest, "https://", 8);
    longest[REG_URL_SIZE + 16] = '\0';
    assert_int_equal(reg_url_parse(longest, NULL, &u, &err), BH_E_INVALID);
    free(longest);
    /* What was signed is nobody's to read. */
    err = (struct bh_err)BH_ERR_INIT;
    assert_int_equal(reg_url_parse("ftp://a/b?signature=secret", NULL, &u, &err), BH_E_INVALID);
    assert_null(strstr(err.msg, "secret"));
}

static void test_origins(void **state) {
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {{"https://a/x", "https://A:443/y", true}, {"https://a/", "http://a/", false},
                {"https://a/", "https://a:444/", false},  {"https://a/", "https://b/", false},
                {"http://a/", "http://a:80/", true},      {"https://a/", "https://a.b/", false}};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct reg_url a, b;
        assert_int_equal(reg_url_parse(rows[i].a, NULL, &a, &err), 0);
        assert_int_equal(reg_url_parse(rows[i].b, NULL, &b, &err), 0);
        assert_int_equal(reg_url_same_origin(&a, &b), rows[i].same);
    }
}

static void test_loopback(void **state) {
    static const char *const yes[] = {"localhost", "LOCALHOST:5000", "127.0.0.1",  "127.9.9.9:80",
                                      "[::1]",     "[::1]:5000",     "x.localhost"};
    static const char *const no[] = {"localhost.example", "128.0.0.1", "127.0.0.1.example",
                                     "[::2]:1",           "0.0.0.0",   "notlocalhost",
                                     "10.0.0.1",          "[::1",      ""};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(yes); i++)
        assert_true(reg_host_is_loopback(yes[i]));
    for (size_t i = 0; i < BH_ARRAY_LEN(no); i++)
        assert_false(reg_host_is_loopback(no[i]));
}

static enum reg_reach reach(const char *text) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};

    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return reg_reach_of((struct sockaddr *)&four);
    assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    return reg_reach_of((struct sockaddr *)&six);
}

static void test_reach(void **state) {
    static const struct {
        const char *address;
        enum reg_reach reach;
    } rows[] = {
        {"8.8.8.8", REG_REACH_WORLD},
        {"172.15.0.1", REG_REACH_WORLD},
        {"2001:db8::1", REG_REACH_WORLD},
        {"10.0.0.1", REG_REACH_SITE},
        {"172.16.0.1", REG_REACH_SITE},
        {"172.31.255.1", REG_REACH_SITE},
        {"192.168.1.1", REG_REACH_SITE},
        {"100.64.0.1", REG_REACH_SITE},
        {"fd00::1", REG_REACH_SITE},
        {"169.254.169.254", REG_REACH_LINK},
        {"224.0.0.1", REG_REACH_LINK},
        {"fe80::1", REG_REACH_LINK},
        {"255.255.255.255", REG_REACH_LINK},
        {"127.0.0.1", REG_REACH_HOST},
        {"0.0.0.0", REG_REACH_HOST},
        {"::1", REG_REACH_HOST},
        {"::", REG_REACH_HOST},
        {"::ffff:127.0.0.1", REG_REACH_HOST},
        {"::ffff:169.254.169.254", REG_REACH_LINK},
        {"ff02::1", REG_REACH_LINK},
    };
    struct sockaddr local = {.sa_family = AF_UNIX};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        if (reach(rows[i].address) != rows[i].reach)
            fail_msg("%s: %d", rows[i].address, reach(rows[i].address));
    }
    assert_int_equal(reg_reach_of(&local), REG_REACH_HOST);
}

static void test_query(void **state) {
    char url[REG_URL_SIZE] = "https://a/token", *value = malloc(REG_URL_SIZE);

    (void)state;
    assert_true(reg_url_add_query(url, "scope", "repository:a/b:pull,push"));
    assert_true(reg_url_add_query(url, "service", "x y&z=\xc3\xa4"));
    assert_string_equal(url, "https://a/token?scope=repository%3Aa%2Fb%3Apull%2Cpush&service=x%20y%26z%3D%C3%A4");
    memset(value, ':', 1500);
    value[1500] = '\0';
    assert_false(reg_url_add_query(url, "x", value));
    free(value);
}

static void test_link(void **state) {
    static const struct {
        const char *header, *want; /* NULL: refused */
    } rows[] = {
        {"", ""},
        {"</v2/a/b/tags/list?n=2&last=c>; rel=\"next\"", "https://registry.example/v2/a/b/tags/list?n=2&last=c"},
        {"<?last=c>; rel=next", "https://registry.example/v2/a/b/tags/list?last=c"},
        {"</x>; rel=\"prev\", </y>; rel=\"next\"", "https://registry.example/y"},
        {"</x>; rel=\"prev\"", ""},
        {"</x>; title=\"a,b;c\"; rel=\"next\"", "https://registry.example/x"},
        {"<https://registry.example:443/z>; rel=\"next\"", "https://registry.example:443/z"},
        {"<https://evil.example/x>; rel=\"next\"", NULL},
        {"<http://registry.example/x>; rel=\"next\"", NULL},
        {"<https://registry.example:444/x>; rel=\"next\"", NULL},
        {"<file:///etc/passwd>; rel=\"next\"", NULL},
        {"/x; rel=\"next\"", NULL},
        {"</x", NULL},
        {"</x>; rel=\"next", NULL},
        {"</x> </y>; rel=next", NULL},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        char out[REG_URL_SIZE];
        int rc = reg_link_next(rows[i].header, BASE, out, &err);
        if ((rc == 0) != (rows[i].want != NULL) || (rc == 0 && strcmp(out, rows[i].want) != 0))
            fail_msg("%s -> %d %s", rows[i].header, rc, out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse),   cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_origins), cmocka_unit_test(test_loopback),
                                       cmocka_unit_test(test_reach),   cmocka_unit_test(test_query),
                                       cmocka_unit_test(test_link)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
