/*
 * test_endpoint.c - registries.conf: which places a name leads to, under which terms, and what the file may not say.
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
#include "svc-registry/endpoint.h"
#include "svc-registry/short_name.h"

#define D "@sha256:0000000000000000000000000000000000000000000000000000000000000000"

static const char rules[] = "unqualified-search-registries = [\"docker.io\", \"quay.example\"]\n"
                            "short-name-mode = \"permissive\"\n"
                            "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n"
                            "[[registry.mirror]]\nlocation = \"127.0.0.1:5000\"\n"
                            "[[registry.mirror]]\nlocation = \"mirror.example/hub\"\ninsecure = true\n"
                            "pull-from-mirror = \"digest-only\"\n"
                            "[[registry.mirror]]\nlocation = \"tags.example\"\npull-from-mirror = \"tag-only\"\n"
                            "[[registry]]\nprefix = \"docker.io/library\"\nlocation = \"internal.example/base\"\n"
                            "[[registry]]\nprefix = \"*.corp.example\"\ninsecure = true\n"
                            "[[registry.mirror]]\nlocation = \"cache.example:5000/corp\"\n"
                            "[[registry]]\nprefix = \"db.corp.example\"\n"
                            "[[registry]]\nlocation = \"bad.example\"\nblocked = true\n"
                            "[[registry]]\nlocation = \"quiet.example\"\nmirror-by-digest-only = true\n"
                            "[[registry.mirror]]\nlocation = \"m.example\"\n"
                            "[[registry]]\nprefix = \"a.example/x\"\nlocation = \"b.example:81/y\"\n"
                            "[aliases]\n\"tool\" = \"quay.example/team/tool\"\n\"php8.1\" = \"quay.example/php\"\n";

static struct reg_conf *conf;

/* "host/path[!]" with ! where plain HTTP may be tried, - where TLS is not verified; space between places. */
static void show(const struct reg_places *p, char *out, size_t size) {
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < p->n; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s/%s%s%s%s", i ? " " : "", p->v[i].host, p->v[i].path,
                              p->v[i].mirror ? "*" : "", p->v[i].may_plain ? "!" : "", p->v[i].tls->verify ? "" : "-");
}

static void test_routes(void **state) {
    static const struct {
        const char *name, *want;
        enum reg_use use;
        unsigned tls_verify;
        bool admin;
    } rows[] = {
        {"docker.io/team/app:1", "127.0.0.1:5000/team/app*! tags.example/team/app* registry-1.docker.io/team/app", 0, 0,
         0},
        {"docker.io/team/app" D,
         "127.0.0.1:5000/team/app*! mirror.example/hub/team/app*!- registry-1.docker.io/team/app", 0, 0, 0},
        {"docker.io/team/app:1", "registry-1.docker.io/team/app", REG_PUSH, 0, 0},
        {"docker.io/library/debian:12", "internal.example/base/debian", 0, 0, 0},
        {"docker.io/libraryx/debian:12",
         "127.0.0.1:5000/libraryx/debian*! tags.example/libraryx/debian* registry-1.docker.io/libraryx/debian", 0, 0,
         0},
        {"web.corp.example/a/b:1", "cache.example:5000/corp/a/b* web.corp.example/a/b!-", 0, 0, 0},
        {"web.corp.example:8443/a/b:1", "cache.example:5000/corp/a/b* web.corp.example:8443/a/b!-", 0, 0, 0},
        {"db.corp.example/a:1", "db.corp.example/a", 0, 0, 0},
        {"corp.example/a:1", "corp.example/a", 0, 0, 0},
        {"evilcorp.example/a:1", "evilcorp.example/a", 0, 0, 0},
        {"quiet.example/a:1", "quiet.example/a", 0, 0, 0},
        {"quiet.example/a" D, "m.example/a* quiet.example/a", 0, 0, 0},
        {"a.example/x/z:1", "b.example:81/y/z", 0, 0, 0},
        {"a.example/xz:1", "a.example/xz", 0, 0, 0},
        {"localhost:5000/a:1", "localhost:5000/a!", 0, 0, 0},
        {"localhost:5000/a:1", "localhost:5000/a", 0, 1, 0},
        {"web.corp.example/a:1", "cache.example:5000/corp/a* web.corp.example/a", 0, 1, 0},
        {"other.example/a:1", "other.example/a!-", 0, 2, true},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        const struct reg_route_options options = {rows[i].use, rows[i].tls_verify, rows[i].admin};
        struct bh_err err = BH_ERR_INIT;
        struct reg_places places;
        struct bh_ref ref;
        char text[1024];
        assert_int_equal(bh_ref_parse(rows[i].name, &ref, &err), 0);
        if (reg_route(conf, &ref, &options, &places, &err) != 0)
            fail_msg("%s: %s", rows[i].name, err.msg);
        show(&places, text, sizeof text);
        if (strcmp(text, rows[i].want) != 0)
            fail_msg("%s:\n  %s, not\n  %s", rows[i].name, text, rows[i].want);
    }
}

static void test_denied(void **state) {
    const struct reg_route_options pull = {REG_PULL, 0, true}, careless = {REG_PULL, 2, false};
    struct bh_err err = BH_ERR_INIT;
    struct reg_places places;
    struct bh_ref ref;

    (void)state;
    assert_int_equal(bh_ref_parse("bad.example/a:1", &ref, &err), 0);
    assert_int_equal(reg_route(conf, &ref, &pull, &places, &err), BH_E_DENIED);
    assert_string_equal(err.reason, "blocked");
    err = (struct bh_err)BH_ERR_INIT;
    assert_int_equal(bh_ref_parse("other.example/a:1", &ref, &err), 0);
    assert_int_equal(reg_route(conf, &ref, &careless, &places, &err), BH_E_DENIED);
    assert_string_equal(err.reason, "tls-policy");
    assert_int_equal(bh_ref_parse("web.corp.example/a:1", &ref, &err), 0);
    assert_int_equal(reg_route(conf, &ref, &careless, &places, &err), 0);
}

static void test_hosts(void **state) {
    static const char *const bad[] = {"a/b", "user@host", "host?x", "a b", "host:99999", "\xc3\xa4"};
    const struct reg_route_options options = {REG_LIST, 0, false};
    struct bh_err err = BH_ERR_INIT;
    struct reg_place place;

    (void)state;
    assert_int_equal(reg_route_host(conf, "", &options, &place, &err), 0);
    assert_string_equal(place.host, "registry-1.docker.io");
    assert_string_equal(place.name, "docker.io");
    assert_int_equal(reg_route_host(conf, "localhost:5000", &options, &place, &err), 0);
    assert_true(place.may_plain);
    assert_int_equal(reg_route_host(conf, "bad.example", &options, &place, &err), BH_E_DENIED);
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        err = (struct bh_err)BH_ERR_INIT;
        if (reg_route_host(conf, bad[i], &options, &place, &err) != BH_E_INVALID)
            fail_msg("taken: %s", bad[i]);
    }
}

#define TEN_HOSTS "\"a\", \"a\", \"a\", \"a\", \"a\", \"a\", \"a\", \"a\", \"a\", \"a\""

static void test_refused(void **state) {
    static const char *const rows[][2] = {
        {"[[registry]]\nprefx = \"a.example\"\n", "prefx"},
        {"[[registry]]\ninsecure = true\n", "prefix or a location"},
        {"[[registry]]\nprefix = \"a.example/\"\n", "HOST"},
        {"[[registry]]\nprefix = \"a.example:tag/\"\n", "HOST"},
        {"[[registry]]\nprefix = \"*.a.example/x\"\n", "HOST"},
        {"[[registry]]\nprefix = \"*.a.example\"\nlocation = \"b.example\"\n", "cannot stand"},
        {"[[registry]]\nprefix = \"A_b.example/UP\"\n", "HOST"},
        {"[[registry]]\nprefix = \"a.example\"\n[[registry]]\nprefix = \"a.example\"\n", "same prefix"},
        {"[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\ninsecure = true\n", "needs a location"},
        {"[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\nlocation = \"b.example\"\npull-from-mirror = "
         "\"x\"\n",
         "pull-from-mirror"},
        {"[[registry]]\nlocation = \"a.example\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "
         "\"b.example\"\npull-from-mirror = \"all\"\n",
         "cannot stand"},
        {"[[registry]]\nlocation = \"a.example\"\nblocked = \"yes\"\n", "true or false"},
        {"[registries.search]\nregistries = [\"docker.io\"]\n", "old form"},
        {"unqualified-search-registries = [\"\"]\n", "no host"},
        {"unqualified-search-registries = [" TEN_HOSTS ", " TEN_HOSTS ", \"a\"]\n", "more than 20"},
        {"[aliases]\n\"a:b\" = \"c.example/d\"\n", "short name"},
        {"[aliases]\n\"a\" = \"c.example\"\n", "full name"},
        {"[aliases]\n\"a.example/b\" = \"c.example/d\"\n", "short name"},
        {"short-name-mode = \"ask\"\n", "enforcing"},
        {"short-name-mode = true\n", "a string"},
        {"credential-helpers = \"x\"\n", "a list of strings"},
        {"[[registry]]\nlocation = \"a.example\"\nmirror = [{locaton = \"b.example\"}]\n", "locaton"},
        {"[[registry]]\nlocation = \"a.example\"\nmirror = [\"b.example\"]\n", "a list of"},
        {"[[registry]\n", "registries.conf:1"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        const struct conf_text t = {.registries = rows[i][0]};
        struct bh_err err = BH_ERR_INIT;
        struct reg_conf *c;
        if (conf_make(&t, &c, &err) == 0)
            fail_msg("taken: %s", rows[i][0]);
        if (!strstr(err.msg, "registries.conf:") || !strstr(err.msg, rows[i][1]))
            fail_msg("%s: %s", rows[i][0], err.msg);
    }
}

static void check_place(const struct reg_conf *c, const char *name, const char *want) {
    const struct reg_route_options options = {REG_PULL, 0, true};
    struct bh_err err = BH_ERR_INIT;
    struct reg_places places;
    struct bh_ref ref;
    char note[256], text[1024];

    if (reg_complete(c, name, &ref, note, &err) != 0 || reg_route(c, &ref, &options, &places, &err) != 0)
        snprintf(text, sizeof text, "%s", err.msg);
    else
        show(&places, text, sizeof text);
    assert_string_equal(text, want);
}

/* As podman: a later file replaces rules by prefix, aliases by name, the list of search registries, the mode. */
static void test_drop_ins(void **state) {
    const struct conf_text t = {
        .registries =
            "unqualified-search-registries = [\"old.example\", \"docker.io\"]\nshort-name-mode = \"enforcing\"\n"
            "credential-helpers = [\"containers-auth.json\"]\n[[registry]]\nprefix = \"a.example\"\nblocked = true\n"
            "[[registry]]\nprefix = \"b.example\"\nmirror = [{location = \"m1.example\"}, {location = \"m2.example\", "
            "pull-from-mirror = \"digest-only\"}]\n[aliases]\n\"one\" = \"x.example/one\"\n\"two\" = "
            "\"x.example/two\"\n",
        .drop_ins = {
            {"10-a.conf", "[[registry]]\nprefix = \"a.example\"\nlocation = \"c.example\"\n[aliases]\n\"one\" = "
                          "\"y.example/one\"\n\"two\" = \"\"\n\"three\" = \"y.example/three\"\n"},
            {"20-b.conf", "unqualified-search-registries = [\"new.example\"]\n[[registry]]\nlocation = \"d.example\"\n"
                          "insecure = true\n"}}};
    const struct conf_text enforced = {
        .drop_ins = {
            {"1.conf",
             "unqualified-search-registries = [\"p.example\", \"q.example\"]\nshort-name-mode = \"enforcing\"\n"}}};
    struct bh_err err = BH_ERR_INIT;
    struct reg_conf *c;

    (void)state;
    if (conf_make(&t, &c, &err) != 0)
        fail_msg("%s", err.msg);
    check_place(c, "a.example/x:1", "c.example/x");
    check_place(c, "b.example/x:1", "m1.example/x* b.example/x");
    check_place(c, "b.example/x" D, "m1.example/x* m2.example/x* b.example/x");
    check_place(c, "d.example/x:1", "d.example/x!-");
    check_place(c, "one:1", "y.example/one");
    check_place(c, "two:1", "new.example/two");
    check_place(c, "three:1", "y.example/three");
    check_place(c, "word:1", "new.example/word");
    reg_conf_unref(c);
    assert_int_equal(conf_make(&enforced, &c, &err), 0);
    check_place(c, "word:1", "word:1: a short name that could mean p.example/word:1 or q.example/word:1");
    check_place(c, "p.example/word:1", "p.example/word");
    reg_conf_unref(c);
}

static void test_bad_drop_in(void **state) {
    const struct conf_text t = {.registries = "", .drop_ins = {{"9.conf", "\n[[registry]]\nprefx = \"x\"\n"}}};
    struct bh_err err = BH_ERR_INIT;
    struct reg_conf *c;

    (void)state;
    assert_int_equal(conf_make(&t, &c, &err), BH_E_INVALID);
    assert_non_null(strstr(err.msg, "registries.conf.d/9.conf:3: unknown key \"prefx\""));
}

static int setup(void **state) {
    const struct conf_text t = {.registries = rules};
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    if (conf_make(&t, &conf, &err) != 0)
        fprintf(stderr, "%s\n", err.msg);
    return err.code;
}

static int teardown(void **state) {
    (void)state;
    reg_conf_unref(conf);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_routes),      cmocka_unit_test(test_denied),
                                       cmocka_unit_test(test_hosts),       cmocka_unit_test(test_drop_ins),
                                       cmocka_unit_test(test_bad_drop_in), cmocka_unit_test(test_refused)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
