/*
 * test_config.c - image configs: read, refused, written, copied, extended.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "oci/config.h"

#define HEX       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID        "\"sha256:" HEX "\""
#define ROOTFS    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" ID "," ID "]}"
#define NO_LAYERS "\"rootfs\":{\"diff_ids\":[]}"

/* In the writer's own order, so that writing what was read gives the same bytes. */
static const char full[] =
    "{\"created\":\"2024-01-02T03:04:05.5Z\",\"author\":\"A <a@b>\",\"comment\":\"c\",\"architecture\":\"arm\","
    "\"variant\":\"v7\",\"os\":\"linux\",\"os.version\":\"1.2\",\"os.features\":[\"f\"],"
    "\"config\":{\"Hostname\":\"h\",\"Domainname\":\"d\",\"User\":\"1000:1000\",\"ExposedPorts\":{\"443/tcp\":{},"
    "\"80/tcp\":{}},\"Env\":[\"PATH=/bin\",\"E=\",\"M=a\\nb\"],\"Cmd\":[\"sh\",\"-c\",\"x\"],"
    "\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"true\"],\"Interval\":30000000000,\"Timeout\":1000000,\"StartPeriod\":1,"
    "\"StartInterval\":2,\"Retries\":3},\"ArgsEscaped\":true,\"Volumes\":{\"/a\":{},\"/b\":{}},\"WorkingDir\":\"/w\","
    "\"Entrypoint\":[\"/e\"],\"OnBuild\":[\"RUN x\"],\"Labels\":{\"a\":\"1\",\"b\":\"2\\n\"},"
    "\"StopSignal\":\"SIGTERM\",\"StopTimeout\":0,\"Shell\":[\"/bin/ash\",\"-c\"]}," ROOTFS
    ",\"history\":[{\"created\":\"2024-01-02T03:04:05Z\",\"created_by\":\"RUN\\tx\"},{\"created_by\":\"ENV\","
    "\"empty_layer\":true},{\"author\":\"a\",\"comment\":\"c\"}]}";

static int parse(const char *text, struct bh_image_config *c, struct bh_err *err) {
    return bh_image_config_parse(text, strlen(text), "config", NULL, &arena, c, err);
}

static void must_parse(const char *text, struct bh_image_config *c) {
    struct bh_err err = BH_ERR_INIT;

    if (parse(text, c, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
}

static void test_full(void **state) {
    struct bh_image_config c;
    struct bh_platform p;

    (void)state;
    must_parse(full, &c);
    assert_int_equal(c.created_ns, 1704164645500000000);
    assert_string_equal(c.config.user, "1000:1000");
    assert_string_equal(bh_env_get(&c.config.env, "PATH"), "/bin");
    assert_string_equal(bh_env_get(&c.config.env, "E"), "");
    assert_null(bh_env_get(&c.config.env, "PAT"));
    assert_int_equal(c.config.healthcheck.retries, 3);
    assert_true(c.config.has_stop_timeout);
    assert_int_equal(c.n_diff_ids, 2);
    assert_int_equal(c.n_history, 3);
    assert_true(c.history[1].empty_layer);
    bh_image_config_platform(&c, &p);
    assert_string_equal(p.variant, "v7");
}

static void check_write(const struct bh_image_config *c, const char *want) {
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;

    bh_image_config_write(c, &out);
    assert_false(bh_buf_failed(&out));
    assert_string_equal(bh_buf_str(&out), want);
}

static void test_write(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_image_config c, copy, empty;

    (void)state;
    must_parse(full, &c);
    check_write(&c, full);
    assert_int_equal(bh_image_config_copy(&c, &arena, &copy, &err), 0);
    check_write(&copy, full);
    bh_image_config_init(&empty);
    check_write(&empty,
                "{\"architecture\":\"\",\"os\":\"\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}");
}

static void test_null_and_empty(void **state) {
    struct bh_image_config c;

    (void)state;
    must_parse("{\"config\":{\"Cmd\":null,\"Entrypoint\":[],\"Env\":null,\"Labels\":null,\"Volumes\":null}," NO_LAYERS
               "}",
               &c);
    assert_false(c.config.cmd.present);
    assert_true(c.config.entrypoint.present);
    assert_int_equal(c.config.entrypoint.n, 0);
    assert_false(c.config.labels.present);
    check_write(&c, "{\"architecture\":\"\",\"os\":\"\",\"config\":{\"Entrypoint\":[]},\"rootfs\":{\"type\":\"layers\","
                    "\"diff_ids\":[]}}");
    must_parse("{\"config\":{\"Cmd\":\"one word\",\"Volumes\":{\"/v\":null}}," NO_LAYERS "}", &c);
    assert_int_equal(c.config.cmd.n, 1);
    assert_string_equal(c.config.cmd.v[0], "one word");
    assert_int_equal(c.config.volumes.n, 1);
    must_parse("{\"created\":\"0001-01-01T00:00:00Z\",\"rootfs\":{\"diff_ids\":null},\"history\":null,\"config\":null}",
               &c);
    assert_int_equal(c.created_ns, 0);
    assert_string_equal(c.created, "0001-01-01T00:00:00Z");
    assert_string_equal(c.config.user, "");
    /* docker's rule: history may name fewer layers than there are */
    must_parse("{" ROOTFS ",\"history\":[{}]}", &c);
    must_parse("{" ROOTFS ",\"container_config\":{\"Env\":[\"x\"]},\"docker_version\":\"1\",\"id\":\"x\"}", &c);
}

static const struct {
    const char *text;
    const char *in_message;
} bad[] = {
    {"[]", "expected an object"},
    {"{}", "\"rootfs\" is missing"},
    {"{\"rootfs\":[]}", "rootfs: expected an object"},
    {"{\"rootfs\":{\"type\":\"windows\"}}", "only \"layers\""},
    {"{\"rootfs\":{\"diff_ids\":{}}}", "expected a list"},
    {"{\"rootfs\":{\"diff_ids\":[1]}}", "expected a string"},
    {"{\"rootfs\":{\"diff_ids\":[\"x\"]}}", "not a sha256 digest"},
    {"{\"rootfs\":{\"diff_ids\":[\"sha512:" HEX HEX "\"]}}", "not a sha256 digest"},
    {"{\"rootfs\":{\"diff_ids\":[\"SHA256:" HEX "\"]}}", "not a sha256 digest"},
    {"{\"rootfs\":{\"Diff_ids\":[]}}", "letter case"},
    {"{" NO_LAYERS ",\"Rootfs\":{}}", "letter case"},
    {"{" NO_LAYERS ",\"Config\":{}}", "letter case"},
    {"{" NO_LAYERS ",\"history\":[{}]}", "history names 1 layers, rootfs.diff_ids has 0"},
    {"{" NO_LAYERS ",\"history\":{}}", "history: expected a list"},
    {"{" NO_LAYERS ",\"history\":[1]}", "history[0]: expected an object"},
    {"{" NO_LAYERS ",\"history\":[{\"empty_layer\":1}]}", "true or false"},
    {"{" NO_LAYERS ",\"created\":\"yesterday\"}", "RFC 3339"},
    {"{" NO_LAYERS ",\"created\":\"99999-01-01T00:00:00Z\"}", "RFC 3339"},
    {"{" NO_LAYERS ",\"created\":5}", "expected a string"},
    {"{" NO_LAYERS ",\"os\":\"li\\u001bnux\"}", "control character"},
    {"{" NO_LAYERS ",\"os\":\"0123456789012345678901234567890123456789\"}", "longer than"},
    {"{" NO_LAYERS ",\"config\":[]}", "config: expected an object"},
    {"{" NO_LAYERS ",\"config\":{\"Env\":[\"PATH\"]}}", "\"PATH\" is not NAME=value"},
    {"{" NO_LAYERS ",\"config\":{\"Env\":[\"=x\"]}}", "is not NAME=value"},
    {"{" NO_LAYERS ",\"config\":{\"Env\":[\"\"]}}", "is not NAME=value"},
    {"{" NO_LAYERS ",\"config\":{\"Env\":[\"A=\\u0000\"]}}", "not valid JSON"},
    {"{" NO_LAYERS ",\"config\":{\"Env\":{\"A\":\"b\"}}}", "Env: expected a list"},
    {"{" NO_LAYERS ",\"config\":{\"env\":[]}}", "letter case"},
    {"{" NO_LAYERS ",\"config\":{\"User\":0}}", "User: expected a string"},
    {"{" NO_LAYERS ",\"config\":{\"User\":\"root\\n\"}}", "control character"},
    {"{" NO_LAYERS ",\"config\":{\"WorkingDir\":\"/a\\nb\"}}", "control character"},
    {"{" NO_LAYERS ",\"config\":{\"Volumes\":[\"/a\"]}}", "Volumes: expected an object"},
    {"{" NO_LAYERS ",\"config\":{\"Volumes\":{\"/a\":1}}}", "expected an object"},
    {"{" NO_LAYERS ",\"config\":{\"Volumes\":{\"/a\\n\":{}}}}", "control character"},
    {"{" NO_LAYERS ",\"config\":{\"ExposedPorts\":{\"80\\u0007\":{}}}}", "control character"},
    {"{" NO_LAYERS ",\"config\":{\"Labels\":{\"a\\nb\":\"\"}}}", "control character"},
    {"{" NO_LAYERS ",\"config\":{\"Labels\":{\"a\":null}}}", "expected a string"},
    {"{" NO_LAYERS ",\"config\":{\"Cmd\":[1]}}", "Cmd[0]: expected a string"},
    {"{" NO_LAYERS ",\"config\":{\"Cmd\":5}}", "Cmd: expected a list"},
    {"{" NO_LAYERS ",\"config\":{\"Healthcheck\":[]}}", "Healthcheck: expected an object"},
    {"{" NO_LAYERS ",\"config\":{\"Healthcheck\":{\"Interval\":-1}}}", "negative"},
    {"{" NO_LAYERS ",\"config\":{\"Healthcheck\":{\"Interval\":\"1s\"}}}", "expected an integer"},
    {"{" NO_LAYERS ",\"config\":{\"StopTimeout\":\"1\"}}", "expected an integer"},
};

static void test_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_image_config c = {.n_history = 77};

        if (parse(bad[i].text, &c, &err) != BH_E_INVALID)
            fail_msg("accepted: %s", bad[i].text);
        if (strstr(err.msg, bad[i].in_message) == NULL)
            fail_msg("%s: message \"%s\"", bad[i].text, err.msg);
        assert_true(strcmp(err.reason, "invalid-config") == 0 || strcmp(err.reason, "invalid-json") == 0);
        assert_int_equal(c.n_history, 77);
    }
}

static void test_limits(void **state) {
    const struct bh_oci_limits one = {.max_bytes = 1000, .max_layers = 1, .max_entries = 1};
    struct bh_err err = BH_ERR_INIT;
    struct bh_image_config c;

    (void)state;
    assert_int_equal(bh_image_config_parse("{" ROOTFS "}", strlen("{" ROOTFS "}"), "config", &one, &arena, &c, &err),
                     BH_E_LIMIT);
    must_parse("{" ROOTFS "}", &c);
    assert_int_equal(bh_image_config_check_layers(&c, 2, "image", &err), 0);
    assert_int_equal(bh_image_config_check_layers(&c, 1, "image", &err), BH_E_INVALID);
    assert_string_equal(err.msg, "image: the manifest has 1 layers, the config names 2");
}

/* A list of texts is kept and written again; anything else is no reason to refuse an image. */
static void test_build_cache(void **state) {
    static const char *const others[] = {"\"text\"", "{}", "null", "7", "[1]", "[\"a\",[]]", "[\"a\\nb\"]"};
    static const char with[] = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{}," ROOTFS
                               ",\"" BH_BUILD_CACHE_KEY "\":[\"a\",\"b\"]}";
    struct bh_buf text = BH_BUF_INIT;
    struct bh_image_config c;

    (void)state;
    must_parse(with, &c);
    assert_int_equal(c.build_cache.n, 2);
    check_write(&c, with);
    for (size_t i = 0; i < BH_ARRAY_LEN(others); i++) {
        bh_buf_reset(&text);
        bh_buf_addf(&text, "{" ROOTFS ",\"" BH_BUILD_CACHE_KEY "\":%s}", others[i]);
        must_parse(bh_buf_str(&text), &c);
        assert_int_equal(c.build_cache.n, 0);
    }
    bh_buf_reset(&text);
    bh_buf_adds(&text, "{" ROOTFS ",\"" BH_BUILD_CACHE_KEY "\":[\"a\"");
    for (size_t i = 0; i < BH_BUILD_CACHE_MAX; i++)
        bh_buf_adds(&text, ",\"a\"");
    bh_buf_adds(&text, "]}");
    must_parse(bh_buf_str(&text), &c);
    assert_int_equal(c.build_cache.n, 0);
    bh_buf_fini(&text);
}

static void test_edit(void **state) {
    const struct bh_history step = {.created_by = "commit"};
    struct bh_err err = BH_ERR_INIT;
    struct bh_image_config c, before;
    struct bh_digest id;

    (void)state;
    must_parse(full, &c);
    before = c;
    assert_true(bh_digest_from_hex(HEX, 64, &id));
    assert_int_equal(bh_image_config_add_layer(&c, &id, &step, &arena, &err), 0);
    assert_int_equal(bh_image_config_add_layer(&c, NULL, &step, &arena, &err), 0);
    assert_int_equal(c.n_diff_ids, 3);
    assert_int_equal(c.n_history, 5);
    assert_false(c.history[3].empty_layer);
    assert_true(c.history[4].empty_layer);
    assert_string_equal(c.history[4].author, "");
    assert_int_equal(bh_env_set(&c.config.env, &arena, "PATH", "/usr/bin", &err), 0);
    assert_int_equal(bh_env_set(&c.config.env, &arena, "NEW", "1", &err), 0);
    assert_string_equal(c.config.env.v[0], "PATH=/usr/bin");
    assert_string_equal(c.config.env.v[3], "NEW=1");
    assert_int_equal(bh_env_set(&c.config.env, &arena, "", "1", &err), BH_E_INVALID);
    assert_int_equal(bh_env_set(&c.config.env, &arena, "A=B", "1", &err), BH_E_INVALID);
    assert_int_equal(bh_pairs_set(&c.config.labels, &arena, "aa", "x", &err), 0);
    assert_int_equal(bh_pairs_set(&c.config.labels, &arena, "b", "y", &err), 0);
    assert_int_equal(c.config.labels.n, 3);
    assert_string_equal(c.config.labels.v[1].key, "aa");
    assert_string_equal(bh_pairs_get(&c.config.labels, "b"), "y");
    check_write(&before, full); /* what was copied by value is as it was */
}

static void test_memory(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_image_config c, copy;
    int r = -1;

    (void)state;
    for (size_t max = 0; r != 0; max += 16) {
        struct bh_arena tight;

        assert_true(max < 100000);
        bh_arena_init(&tight, max);
        r = bh_image_config_parse(full, strlen(full), "config", NULL, &tight, &c, &err);
        if (r == 0)
            r = bh_image_config_copy(&c, &tight, &copy, &err);
        assert_true(r == 0 || r == BH_E_LIMIT);
        bh_arena_fini(&tight);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),   cmocka_unit_test(test_write),       cmocka_unit_test(test_null_and_empty),
        cmocka_unit_test(test_bad),    cmocka_unit_test(test_limits),      cmocka_unit_test(test_edit),
        cmocka_unit_test(test_memory), cmocka_unit_test(test_build_cache),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
