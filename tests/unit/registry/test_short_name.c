/*
 * test_short_name.c - what a short name may mean, and how long the next registry is asked.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "conf_text.h"
#include "svc-registry/short_name.h"

#define D "@sha256:0000000000000000000000000000000000000000000000000000000000000000"

static const char rules[] =
    "unqualified-search-registries = [\"docker.io\", \"quay.example\", \"own.example:5000/team\"]\n"
    "short-name-mode = \"permissive\"\n"
    "[aliases]\n\"tool\" = \"quay.example/team/tool\"\n\"php8.1\" = \"quay.example/php\"\n";

static struct reg_conf *conf_of(const char *registries) {
    const struct conf_text t = {.registries = registries};
    struct bh_err err = BH_ERR_INIT;
    struct reg_conf *c;

    if (conf_make(&t, &c, &err) != 0)
        fail_msg("%s", err.msg);
    return c;
}

/* All meanings with a blank between, or the error. */
static void show(const struct reg_conf *c, const char *name, char *out, size_t size, bool *out_note) {
    static struct reg_meanings m;
    struct bh_err err = BH_ERR_INIT;
    size_t n = 0;

    out[0] = '\0';
    *out_note = false;
    if (reg_meanings_of(c, name, &m, &err) != 0) {
        snprintf(out, size, "%s", err.msg);
        return;
    }
    for (size_t i = 0; i < m.n; i++) {
        char text[BH_REF_TEXT_SIZE];

        bh_ref_format(&m.v[i], text);
        n += (size_t)snprintf(out + n, size - n, "%s%s", i > 0 ? " " : "", text);
    }
    *out_note = m.note[0] != '\0';
}

static void test_meanings(void **state) {
    static const struct {
        const char *text, *want;
        bool note;
    } rows[] = {
        {"debian:12", "docker.io/library/debian:12 quay.example/debian:12 own.example:5000/team/debian:12", false},
        {"team/tool", "docker.io/team/tool quay.example/team/tool own.example:5000/team/team/tool", false},
        {"tools" D, "docker.io/library/tools" D " quay.example/tools" D " own.example:5000/team/tools" D, false},
        {"tool:3", "quay.example/team/tool:3", true},
        {"tool", "quay.example/team/tool", true},
        {"php8.1:2", "quay.example/php:2", true},
        {"tool" D, "quay.example/team/tool" D, true},
        {"localhost/tool", "localhost/tool", false},
        {"x.example/tool", "x.example/tool", false},
        {"x:1/tool", "x:1/tool", false},
        {"docker.io/debian", "docker.io/library/debian", false},
    };
    struct reg_conf *c = conf_of(rules);

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        char text[4096];
        bool note;

        show(c, rows[i].text, text, sizeof text, &note);
        assert_string_equal(text, rows[i].want);
        assert_int_equal(note, rows[i].note);
    }
    reg_conf_unref(c);
}

static void test_modes(void **state) {
    static const struct {
        const char *rules, *want;
    } rows[] = {
        {"", "docker.io/team/app:1"},
        {"unqualified-search-registries = []\n", "docker.io/team/app:1"},
        {"unqualified-search-registries = [\"a.example\"]\nshort-name-mode = \"enforcing\"\n", "a.example/team/app:1"},
        {"unqualified-search-registries = [\"a.example\", \"b.example\"]\nshort-name-mode = \"disabled\"\n",
         "a.example/team/app:1 b.example/team/app:1"},
        {"unqualified-search-registries = [\"a.example\", \"b.example\"]\nshort-name-mode = \"enforcing\"\n",
         "team/app:1: a short name that could mean a.example/team/app:1 or b.example/team/app:1"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct reg_conf *c = conf_of(rows[i].rules);
        char text[4096];
        bool note;

        show(c, "team/app:1", text, sizeof text, &note);
        assert_string_equal(text, rows[i].want);
        reg_conf_unref(c);
    }
}

/* The first one counts for a name that something goes to. */
static void test_complete(void **state) {
    struct reg_conf *c = conf_of("unqualified-search-registries = [\"first.example\", \"docker.io\"]\n");
    struct bh_err err = BH_ERR_INIT;
    struct bh_ref ref;
    char note[256];

    (void)state;
    assert_int_equal(reg_complete(c, "team/app", &ref, note, &err), 0);
    assert_string_equal(ref.domain, "first.example");
    assert_string_equal(ref.path, "team/app");
    reg_conf_unref(c);
}

/* ---- one after the other --------------------------------------------------------------------------- */

struct answers {
    int codes[3]; /* 0: it has it */
    const char *reason;
    bool found;
    size_t asked;
};

static int answer(void *arg, const struct bh_ref *ref, bool *out_found, struct bh_err *err) {
    struct answers *a = arg;
    int code = a->codes[a->asked++];

    assert_false(*out_found);
    *out_found = a->found;
    if (code == 0)
        return 0;
    bh_err_set(err, code, "word of %s", strcmp(ref->domain, "docker.io") == 0 ? "the hub" : ref->domain);
    return a->reason != NULL ? bh_err_reason(err, a->reason) : code;
}

#define EACH "tried 3 registries: docker.io: word of the hub; word of quay.example; word of own.example:5000"

static void test_next(void **state) {
    static const struct {
        struct answers answers;
        size_t asked;
        int code;
        const char *message;
    } rows[] = {
        {{{0}, NULL, false, 0}, 1, 0, ""},
        {{{BH_E_NOT_FOUND, 0}, NULL, false, 0}, 2, 0, ""},
        {{{BH_E_DENIED, BH_E_UNAUTHENTICATED, 0}, NULL, false, 0}, 3, 0, ""},
        {{{BH_E_UNAVAILABLE, 0}, NULL, false, 0}, 2, 0, ""},
        {{{BH_E_LIMIT, 0}, "too-many-requests", false, 0}, 2, 0, ""},
        {{{BH_E_NOT_FOUND, BH_E_NOT_FOUND, BH_E_NOT_FOUND}, NULL, false, 0}, 3, BH_E_NOT_FOUND, EACH},
        {{{BH_E_NOT_FOUND, BH_E_UNAVAILABLE, BH_E_DENIED}, NULL, false, 0}, 3, BH_E_UNAVAILABLE, EACH},
        /* what is there and cannot be had is no reason to take another */
        {{{BH_E_UNAVAILABLE, 0}, NULL, true, 0}, 1, BH_E_UNAVAILABLE, "word of the hub"},
        {{{BH_E_DATA_LOSS, 0}, NULL, false, 0}, 1, BH_E_DATA_LOSS, "word of the hub"},
        {{{BH_E_LIMIT, 0}, NULL, false, 0}, 1, BH_E_LIMIT, "word of the hub"},
        {{{BH_E_CANCELLED, 0}, NULL, false, 0}, 1, BH_E_CANCELLED, "word of the hub"},
        {{{BH_E_NOT_FOUND, BH_E_CANCELLED}, NULL, false, 0}, 2, BH_E_CANCELLED, "word of quay.example"},
        {{{BH_E_NOT_FOUND, BH_E_DATA_LOSS}, NULL, false, 0},
         2,
         BH_E_DATA_LOSS,
         "tried 2 registries: docker.io: word of the hub; word of quay.example"},
    };
    struct reg_conf *c = conf_of(rules);
    static struct reg_meanings m;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    assert_int_equal(reg_meanings_of(c, "app:1", &m, &err), 0);
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct answers a = rows[i].answers;
        size_t at = 99;

        err = (struct bh_err)BH_ERR_INIT;
        assert_int_equal(reg_each_meaning(&m, answer, &a, &at, &err), rows[i].code);
        assert_int_equal(a.asked, rows[i].asked);
        assert_string_equal(err.msg, rows[i].message);
        if (rows[i].code == 0)
            assert_int_equal(at, a.asked - 1);
    }
    reg_conf_unref(c);
}

/* One meaning: the error is the registry's own. */
static void test_one(void **state) {
    struct reg_conf *c = conf_of(rules);
    struct answers a = {.codes = {BH_E_NOT_FOUND}};
    static struct reg_meanings m;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    assert_int_equal(reg_meanings_of(c, "x.example/app:1", &m, &err), 0);
    assert_int_equal(reg_each_meaning(&m, answer, &a, NULL, &err), BH_E_NOT_FOUND);
    assert_string_equal(err.msg, "word of x.example");
    reg_conf_unref(c);
}

static int long_word(void *arg, const struct bh_ref *ref, bool *out_found, struct bh_err *err) {
    (void)arg;
    (void)out_found;
    bh_err_set(err, BH_E_NOT_FOUND, "%1000s", ref->path);
    return err->code;
}

static void test_long_words(void **state) {
    struct reg_conf *c = conf_of(rules);
    static struct reg_meanings m;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    assert_int_equal(reg_meanings_of(c, "app", &m, &err), 0);
    assert_int_equal(reg_each_meaning(&m, long_word, NULL, NULL, &err), BH_E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "; quay.example: "));
    assert_non_null(strstr(err.msg, "; own.example:5000: "));
    reg_conf_unref(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meanings), cmocka_unit_test(test_modes), cmocka_unit_test(test_complete),
        cmocka_unit_test(test_next),     cmocka_unit_test(test_one),   cmocka_unit_test(test_long_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
