/* --filter keys of ps and container prune. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "svc-runtime/filter.h"

static const char *volumes[] = {"/srv/data", "/data"};
static const char *ports[] = {"53/udp", "80/tcp"};
static struct bh_pair label_pairs[] = {{"app", "web"}, {"tier", "front"}};
static const struct bh_pairs labels = {.n = 2, .v = label_pairs};
static const struct bh_strlist volume_list = {.n = 2, .v = volumes}, port_list = {.n = 2, .v = ports};
static const struct rt_status exited = {.state = RT_EXITED, .exit_code = 3, .started_ns = 5};
static const struct rt_filter_item item = {.id = "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789",
                                           .name = "web_1",
                                           .image = "debian:12",
                                           .image_id = "sha256:aa",
                                           .network = "none",
                                           .status = &exited,
                                           .created_ns = 1000,
                                           .labels = &labels,
                                           .volumes = &volume_list,
                                           .ports = &port_list};

static bool match(const struct bh_pair *pairs, size_t n, enum rt_filter_use use) {
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;
    struct rt_filter f;
    bool ok;

    bh_arena_init(&arena, 1 << 20);
    assert_int_equal(rt_filter_parse(pairs, n, use, 2000 * BH_NSEC, &arena, &f, &err), 0);
    ok = rt_filter_match(&f, &item);
    rt_filter_fini(&f);
    bh_arena_fini(&arena);
    return ok;
}

static void single_keys(void **state) {
    static const struct {
        const char *key, *value;
        bool want;
    } rows[] = {
        {"id", "abcdef", true},          {"id", "ffff", false},
        {"name", "web", true},           {"name", "^web_1$", true},
        {"name", "^/web_1$", true},      {"name", "^eb", false},
        {"name", "w.*1", true},          {"name", "(api|web)_[0-9]+", true},
        {"name", "db", false},           {"label", "app", true},
        {"label", "app=web", true},      {"label", "app=api", false},
        {"label", "ap", false},          {"label", "x", false},
        {"label!", "x", true},           {"label!", "app", false},
        {"exited", "3", true},           {"exited", "0", false},
        {"status", "exited", true},      {"status", "running", false},
        {"status", "restarting", false}, {"ancestor", "debian:12", true},
        {"ancestor", "alpine", false},   {"volume", "/data", true},
        {"volume", "/srv/data", true},   {"volume", "/srv", false},
        {"network", "none", true},       {"network", "host", false},
        {"expose", "80", true},          {"expose", "80/tcp", true},
        {"expose", "80/udp", false},     {"expose", "53/udp", true},
        {"expose", "70-90", true},       {"expose", "81-90", false},
        {"expose", "50-60/udp", true},   {"expose", "junk", false},
        {"expose", "4294967376", false}, {"expose", "80-", false}, /* the first is 2^32 + 80 */
        {"publish", "80", false},        {"health", "none", true},
        {"health", "healthy", false},    {"is-task", "false", true},
        {"is-task", "true", false},      {"isolation", "process", true},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        const struct bh_pair p = {rows[i].key, rows[i].value};
        bool got = match(&p, 1, RT_FILTER_LIST);

        if (got != rows[i].want)
            fail_msg("%s=%s: %d", p.key, p.value, got);
    }
}

static void keys_and_values_or(void **state) {
    const struct bh_pair or_values[] = {{"status", "running"}, {"status", "exited"}};
    const struct bh_pair and_keys[] = {{"status", "exited"}, {"name", "db"}};
    const struct bh_pair labels_and[] = {{"label", "app=web"}, {"label", "tier=back"}};
    const struct bh_pair labels_both[] = {{"label", "app=web"}, {"label", "tier=front"}};
    const struct bh_pair mixed[] = {{"name", "db"}, {"status", "exited"}, {"name", "web"}, {"label", "app"}};

    (void)state;
    assert_true(match(or_values, 2, RT_FILTER_LIST));
    assert_false(match(and_keys, 2, RT_FILTER_LIST));
    assert_false(match(labels_and, 2, RT_FILTER_LIST));
    assert_true(match(labels_both, 2, RT_FILTER_LIST));
    assert_true(match(mixed, 4, RT_FILTER_LIST));
    assert_true(match(NULL, 0, RT_FILTER_LIST));
}

static void looked_up_keys(void **state) {
    static const char *others[] = {"sha256:bb"}, *with_ours[] = {"sha256:bb", "sha256:aa"};
    const struct bh_pair pairs[] = {{"ancestor", "base"}};
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;
    struct rt_filter f;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    assert_int_equal(rt_filter_parse(pairs, 1, RT_FILTER_LIST, 0, &arena, &f, &err), 0);
    assert_false(rt_filter_match(&f, &item));
    f.rows[0].images = (struct bh_strlist){.n = 1, .v = others};
    assert_false(rt_filter_match(&f, &item));
    f.rows[0].images = (struct bh_strlist){.n = 2, .v = with_ours}; /* ours was committed from it */
    assert_true(rt_filter_match(&f, &item));
    f.rows[0].key = RT_F_BEFORE;
    f.rows[0].number = 1001;
    assert_true(rt_filter_match(&f, &item));
    f.rows[0].number = 1000;
    assert_false(rt_filter_match(&f, &item));
    f.rows[0].key = RT_F_SINCE;
    f.rows[0].number = 999;
    assert_true(rt_filter_match(&f, &item));
    rt_filter_fini(&f);
    bh_arena_fini(&arena);
}

static void refused(void **state) {
    static const struct {
        const char *key, *value;
        enum rt_filter_use use;
    } rows[] = {
        {"nosuch", "x", RT_FILTER_LIST},           {"", "", RT_FILTER_LIST},
        {"until", "1h", RT_FILTER_LIST},           {"status", "up", RT_FILTER_LIST},
        {"exited", "x", RT_FILTER_LIST},           {"health", "ok", RT_FILTER_LIST},
        {"is-task", "no", RT_FILTER_LIST},         {"name", "(", RT_FILTER_LIST},
        {"name", "a{1000}{1000}", RT_FILTER_LIST}, {"name", "(a)\\1", RT_FILTER_LIST},
        {"until", "soon", RT_FILTER_PRUNE},        {"name", "web", RT_FILTER_PRUNE},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        const struct bh_pair p = {rows[i].key, rows[i].value};
        struct bh_arena arena;
        struct bh_err err = BH_ERR_INIT;
        struct rt_filter f;

        bh_arena_init(&arena, 1 << 20);
        if (rt_filter_parse(&p, 1, rows[i].use, 0, &arena, &f, &err) != BH_E_INVALID)
            fail_msg("%s=%s was taken", p.key, p.value);
        assert_string_equal(err.reason, "invalid-filter");
        assert_non_null(strstr(err.msg, p.key));
        bh_arena_fini(&arena);
    }
}

static void moments(void **state) {
    const int64_t now = 1000000 * BH_NSEC;
    static const struct {
        const char *text;
        int64_t want;
    } rows[] = {
        {"10m", (1000000 - 600) * BH_NSEC},
        {"24h", (1000000 - 86400) * BH_NSEC},
        {"1700000000", 1700000000 * BH_NSEC},
        {"1700000000.5", 1700000000 * BH_NSEC + BH_NSEC / 2},
        {"1700000000.000000001", 1700000000 * BH_NSEC + 1},
        {"2023-11-14T22:13:20Z", 1700000000 * BH_NSEC},
        {"2023-11-14T22:13:20", 1700000000 * BH_NSEC},
        {"2023-11-14T22:13", 1699999980 * BH_NSEC},
        {"2023-11-14", 1699920000 * BH_NSEC},
    };
    static const char *const bad[] = {"", "x", "2023-13-14", "1h2", "2023-11-14T", "1700000000.0000000001", "-"};
    int64_t got = 0;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        if (!rt_moment_parse(rows[i].text, now, &got) || got != rows[i].want)
            fail_msg("%s: %lld", rows[i].text, (long long)got);
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++)
        if (rt_moment_parse(bad[i], now, &got))
            fail_msg("'%s' was taken", bad[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(single_keys), cmocka_unit_test(keys_and_values_or),
                                       cmocka_unit_test(looked_up_keys), cmocka_unit_test(refused),
                                       cmocka_unit_test(moments)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
