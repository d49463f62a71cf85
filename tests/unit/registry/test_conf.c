/*
 * test_conf.c - [registry], the files beside it, proxies, policy.json: what they decide and what is refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "conf_text.h"

static struct reg_conf *make(const struct conf_text *t) {
    struct bh_err err = BH_ERR_INIT;
    struct reg_conf *c = NULL;

    if (conf_make(t, &c, &err) != 0)
        fail_msg("%s", err.msg);
    return c;
}

static void test_settings(void **state) {
    const struct conf_text t = {.config =
                                    "[registry]\njobs = 4\npush_jobs = 2\ntries = 1\nconnect_timeout = 5\n"
                                    "progress_timeout = 7\ninsecure_by_user = true\nsearch_index = \"i.example\"\n"};
    const struct conf_text none = {0};
    struct reg_conf *c = make(&t);
    const struct reg_settings *s = reg_conf_settings(c);

    (void)state;
    assert_int_equal(s->jobs, 4);
    assert_int_equal(s->push_jobs, 2);
    assert_int_equal(s->tries, 1);
    assert_int_equal(s->times.connect_ms, 5000);
    assert_int_equal(s->times.progress_ms, 7000);
    assert_true(s->insecure_by_user);
    assert_string_equal(s->search_index, "i.example");
    reg_conf_unref(c);
    c = make(&none);
    s = reg_conf_settings(c);
    assert_int_equal(s->jobs, 3);
    assert_int_equal(s->push_jobs, 5);
    assert_false(s->insecure_by_user || s->allow_foreign_layers);
    reg_conf_unref(c);
}

static void test_refused(void **state) {
    static const char *const rows[] = {"[registry]\njobz = 3\n",   "[registry]\njobs = 0\n", "[registry]\njobs = 999\n",
                                       "[registry]\npolicy = 3\n", "registry = 1\n",         "[registry\n"};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        const struct conf_text t = {.config = rows[i]};
        struct bh_err err = BH_ERR_INIT;
        struct reg_conf *c;
        if (conf_make(&t, &c, &err) == 0)
            fail_msg("taken: %s", rows[i]);
        assert_non_null(strstr(err.msg, "bulkhead.toml"));
    }
}

static void test_bundle_refused(void **state) {
    static const char *const rows[] = {"/etc/bulkhead/policy.json",
                                       "/etc/bulkhead/policy.json 5\n",
                                       "x 1\na",
                                       "/etc/bulkhead/policy.json -1\n",
                                       "/etc/bulkhead/certs.d 1\nx",
                                       "/etc/bulkhead/certs.d/file 1\nx",
                                       "/etc/bulkhead/policy.json 99999999999999999999\n{}"};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct reg_conf *c;
        if (reg_conf_make("", 0, rows[i], strlen(rows[i]), &c, &err) == 0)
            fail_msg("taken: %s", rows[i]);
    }
}

static void test_paths_of_config(void **state) {
    static const char config[] = "[registry]\nregistries_conf = \"/srv/r.conf\"\n";
    static const char bundle[] = "/srv/r.conf 32\n[[registry]]\nlocation = \"a.b:1\"\n";
    struct bh_err err = BH_ERR_INIT;
    struct reg_conf *c;

    (void)state;
    assert_int_equal(strlen(bundle), strlen("/srv/r.conf 32\n") + 32);
    assert_int_equal(reg_conf_make(config, sizeof config - 1, bundle, sizeof bundle - 1, &c, &err), 0);
    reg_conf_unref(c);
    assert_int_equal(reg_conf_make(config, sizeof config - 1, "", 0, &c, &err), BH_E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "/srv/r.conf"));
}

static void test_certs_refused(void **state) {
    const struct conf_text rows[] = {{.certs = {{"h/ca.crt", "no certificate"}}},
                                     {.certs = {{"h/client.cert", "x"}}},
                                     {.certs = {{"h/client.key", "x"}}}};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct reg_conf *c;
        assert_int_equal(conf_make(&rows[i], &c, &err), BH_E_INVALID);
        assert_non_null(strstr(err.msg, "certs.d/h"));
    }
}

static void test_proxy(void **state) {
    const struct conf_text t = {
        .config = "[registry]\nhttps_proxy = \"http://p:1\"\nhttp_proxy = \"http://q:2\"\n"
                  "no_proxy = \"a.example, .b.example,10.0.0.0/8 "
                  "c.example:5000,*.d.example,[fd00::1],2001:db8:8000::/33 fe80::7,192.168.1.9,[fd00::5]:5000\"\n"};
    static const struct {
        const char *url, *want;
    } rows[] = {
        {"https://x.example/", "http://p:1"},
        {"http://x.example/", "http://q:2"},
        {"https://a.example/", ""},
        {"https://w.a.example/", ""},
        {"https://ba.example/", "http://p:1"},
        {"https://w.b.example/", ""},
        {"https://b.example/", ""},
        {"https://10.9.8.7/", ""},
        {"https://11.9.8.7/", "http://p:1"},
        {"https://c.example:5000/", ""},
        {"https://c.example/", "http://p:1"},
        {"https://w.d.example/", ""},
        {"http://localhost:5000/", ""},
        {"https://127.0.0.2/", ""},
        {"https://[::1]/", ""},
        {"https://[fd00::1]/", ""},
        {"https://[fd00::2]/", "http://p:1"},
        {"https://[fe80::7]/", ""},
        {"https://[fe80::8]/", "http://p:1"},
        {"https://[2001:db8:ffff::1]/", ""},
        {"https://[2001:db8:7fff::1]/", "http://p:1"},
        {"https://192.168.1.9/", ""},
        {"https://192.168.1.90/", "http://p:1"},
        {"https://[fd00::5]:5000/", ""},
        {"https://[fd00::5]/", "http://p:1"},
    };
    const struct conf_text all = {.config = "[registry]\nhttps_proxy = \"http://p:1\"\nno_proxy = \"*\"\n"}, none = {0};
    struct bh_err err = BH_ERR_INIT;
    struct reg_conf *c = make(&t);
    struct reg_url u;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        assert_int_equal(reg_url_parse(rows[i].url, NULL, &u, &err), 0);
        if (strcmp(reg_conf_proxy(c, &u), rows[i].want) != 0)
            fail_msg("%s: \"%s\"", rows[i].url, reg_conf_proxy(c, &u));
    }
    reg_conf_unref(c);
    assert_int_equal(reg_url_parse("https://x.example/", NULL, &u, &err), 0);
    c = make(&all);
    assert_string_equal(reg_conf_proxy(c, &u), "");
    reg_conf_unref(c);
    c = make(&none);
    assert_string_equal(reg_conf_proxy(c, &u), "");
    reg_conf_unref(c);
}

/* ---- policy.json --------------------------------------------------------------------------------- */

#define ACCEPT "[{\"type\":\"insecureAcceptAnything\"}]"
#define REJECT "[{\"type\":\"reject\"}]"
#define SIGNED "[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\"}]"

static void test_policy(void **state) {
    const struct conf_text t = {
        .policy = "{\"default\":" REJECT ",\"transports\":{\"docker\":{\"\":" ACCEPT ",\"a.example\":" REJECT
                  ",\"a.example/team\":" ACCEPT ",\"a.example/team/app:1\":" REJECT ",\"*.s.example\":" SIGNED
                  ",\"b.example/x\":[{\"type\":\"sigstoreSigned\"},{\"type\":\"insecureAcceptAnything\"}]},"
                  "\"docker-daemon\":{\"\":" REJECT "}}}"};
    static const struct {
        const char *name, *word; /* NULL: allowed */
    } rows[] = {
        {"docker.io/library/debian:12", NULL},
        {"a.example/other:1", "rejected"},
        {"a.example/team/app:2", NULL},
        {"a.example/team/app:1", "rejected"},
        {"a.example/team/app:11", NULL},
        {"a.example/teams/app:1", "rejected"},
        {"w.s.example/x:1", "cannot be verified"},
        {"b.example/x:1", "sigstoreSigned"},
        {"b.example/x@sha256:00", "sigstoreSigned"},
        {"b.example/y:1", NULL},
    };
    const struct conf_text reject = {.policy = "{\"default\":" REJECT "}"}, none = {0};
    struct reg_conf *c = make(&t);
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        err = (struct bh_err)BH_ERR_INIT;
        int rc = reg_policy_check(c, rows[i].name, &err);
        if ((rc == 0) != (rows[i].word == NULL) || (rc != 0 && !strstr(err.msg, rows[i].word)))
            fail_msg("%s: %d %s", rows[i].name, rc, err.msg);
    }
    reg_conf_unref(c);
    c = make(&reject);
    assert_int_equal(reg_policy_check(c, "docker.io/library/debian:12", &err), BH_E_DENIED);
    reg_conf_unref(c);
    c = make(&none);
    assert_int_equal(reg_policy_check(c, "docker.io/library/debian:12", &err), 0);
    reg_conf_unref(c);
}

static void test_policy_refused(void **state) {
    static const char *const rows[] = {"",
                                       "[]",
                                       "{}",
                                       "{\"default\":[]}",
                                       "{\"default\":{}}",
                                       "{\"default\":[{\"type\":\"x\"}]}",
                                       "{\"default\":[{}]}",
                                       "{\"default\":[3]}",
                                       "{\"default\":" ACCEPT ",\"more\":1}",
                                       "{\"default\":" ACCEPT ",\"default\":" REJECT "}",
                                       "{\"default\":" ACCEPT ",\"transports\":[]}",
                                       "{\"default\":" ACCEPT ",\"transports\":{\"docker\":[]}}",
                                       "{\"default\":" ACCEPT ",\"transports\":{\"docker\":{\"a\":3}}}",
                                       "{\"default\":" ACCEPT "} x"};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        const struct conf_text t = {.policy = rows[i]};
        struct bh_err err = BH_ERR_INIT;
        struct reg_conf *c;
        if (conf_make(&t, &c, &err) == 0)
            fail_msg("taken: %s", rows[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_settings),       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_bundle_refused), cmocka_unit_test(test_paths_of_config),
                                       cmocka_unit_test(test_certs_refused),  cmocka_unit_test(test_proxy),
                                       cmocka_unit_test(test_policy),         cmocka_unit_test(test_policy_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
