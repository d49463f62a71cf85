/*
 * test_archive.c - the small documents of docker archives and OCI layouts.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "oci/manifest.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int parse(const char *text, struct bh_arena *arena, struct bh_archive *out, struct bh_err *err) {
    return bh_archive_parse(text, strlen(text), NULL, arena, out, err);
}

static void test_good(void **state) {
    static const char text[] = "[{\"Config\":\"./blobs//sha256/" HEX "\",\"RepoTags\":[\"a:b\",\"h:1/x:y\"],"
                               "\"Layers\":[\"x/layer.tar\",\"y.tar\"],\"LayerSources\":{},\"Parent\":\"z\"},"
                               "{\"Config\":\"c.json\",\"RepoTags\":null,\"Layers\":null}]";
    struct bh_err err = BH_ERR_INIT;
    struct bh_arena arena;
    struct bh_archive a;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    if (parse(text, &arena, &a, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(a.n_images, 2);
    assert_string_equal(a.images[0].config, "blobs/sha256/" HEX);
    assert_int_equal(a.images[0].repo_tags.n, 2);
    assert_string_equal(a.images[0].layers.v[1], "y.tar");
    assert_int_equal(a.images[1].repo_tags.n, 0);
    assert_int_equal(a.images[1].layers.n, 0);
    bh_arena_fini(&arena);
}

static void test_bad(void **state) {
    static const char *const rows[] = {
        "{}",
        "[1]",
        "[{}]",
        "[{\"Config\":5}]",
        "[{\"Config\":\"\"}]",
        "[{\"Config\":\"/etc/passwd\"}]",
        "[{\"Config\":\"../x\"}]",
        "[{\"Config\":\"a/../../x\"}]",
        "[{\"Config\":\"a/..\"}]",
        "[{\"Config\":\".\"}]",
        "[{\"Config\":\"a\\u001bb\"}]",
        "[{\"Config\":\"a\\u0000b\"}]",
        "[{\"Config\":\"a\",\"config\":\"b\"}]",
        "[{\"Config\":\"a\",\"RepoTags\":\"x\"}]",
        "[{\"Config\":\"a\",\"RepoTags\":[\"X:y\"]}]",
        "[{\"Config\":\"a\",\"RepoTags\":[\"x\"]}]",
        "[{\"Config\":\"a\",\"RepoTags\":[\"x@sha256:" HEX "\"]}]",
        "[{\"Config\":\"a\",\"RepoTags\":[\"<none>:<none>\"]}]",
        "[{\"Config\":\"a\",\"Layers\":[\"../../l\"]}]",
        "[{\"Config\":\"a\",\"Layers\":[5]}]",
        "[{\"Config\":\"a\",\"Layers\":{}}]",
    };
    struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_archive a;

        if (parse(rows[i], &arena, &a, &err) != BH_E_INVALID)
            fail_msg("accepted: %s", rows[i]);
        assert_true(err.reason[0] != '\0');
    }
    bh_arena_fini(&arena);
}

static void test_write(void **state) {
    const char *tags[] = {"a:b"}, *layers[] = {"blobs/sha256/1", "blobs/sha256/2"};
    struct bh_archive_image images[] = {
        {"blobs/sha256/c", {true, 1, tags}, {true, 2, layers}},
        {"blobs/sha256/d", {false, 0, NULL}, {false, 0, NULL}},
    };
    const struct bh_archive a = {images, 2};
    const struct bh_repository_row rows[] = {{"a", "1", HEX}, {"a", "2", HEX}, {"b", "1", HEX}};
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;

    (void)state;
    bh_archive_write(&a, &out);
    assert_string_equal(bh_buf_str(&out),
                        "[{\"Config\":\"blobs/sha256/c\",\"RepoTags\":[\"a:b\"],\"Layers\":[\"blobs/sha256/1\","
                        "\"blobs/sha256/2\"]},{\"Config\":\"blobs/sha256/d\",\"RepoTags\":null,\"Layers\":[]}]\n");
    bh_buf_reset(&out);
    bh_repositories_write(rows, 3, &out);
    assert_string_equal(bh_buf_str(&out), "{\"a\":{\"1\":\"" HEX "\",\"2\":\"" HEX "\"},\"b\":{\"1\":\"" HEX "\"}}\n");
    bh_buf_reset(&out);
    bh_repositories_write(rows, 0, &out);
    assert_string_equal(bh_buf_str(&out), "{}\n");
}

static void test_layout(void **state) {
    static const char *const bad[] = {"", "[]", "{}", "{\"imageLayoutVersion\":1}",
                                      "{\"imageLayoutVersion\":\"2.0.0\"}"};
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    char path[BH_LAYOUT_PATH_SIZE];
    struct bh_digest d, back;

    (void)state;
    bh_layout_write(&out);
    assert_int_equal(bh_layout_parse(out.data, out.len, &err), 0);
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++)
        assert_int_equal(bh_layout_parse(bad[i], strlen(bad[i]), &err), BH_E_INVALID);
    assert_true(bh_digest_from_hex(HEX, 64, &d));
    bh_layout_blob_path(&d, path);
    assert_string_equal(path, "blobs/sha256/" HEX);
    assert_true(bh_layout_blob_digest(path, &back));
    assert_true(bh_digest_equal(&d, &back));
    assert_true(bh_layout_blob_digest("blobs/sha512/" HEX HEX, &back));
    assert_false(bh_layout_blob_digest("blobs/sha256/" HEX "0", &back));
    assert_false(bh_layout_blob_digest("blobs/sha256/../x", &back));
    assert_false(bh_layout_blob_digest("blobs/sha", &back));
    assert_false(bh_layout_blob_digest("blobs/", &back));
    assert_false(bh_layout_blob_digest("x", &back));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_write), cmocka_unit_test(test_layout)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
