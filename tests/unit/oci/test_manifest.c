/*
 * test_manifest.c - manifests and indexes: read, refused, written, chosen from.
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
#include "oci/manifest.h"

#define HEX      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIG      "\"digest\":\"sha256:" HEX "\""
#define CONFIG   "\"config\":{\"mediaType\":\"" BH_MT_OCI_CONFIG "\"," DIG ",\"size\":10}"
#define LAYER    "{\"mediaType\":\"" BH_MT_OCI_LAYER_GZIP "\"," DIG ",\"size\":20}"
#define V2       "\"schemaVersion\":2,"
#define OCI_M    "\"mediaType\":\"" BH_MT_OCI_MANIFEST "\","
#define OCI_I    "\"mediaType\":\"" BH_MT_OCI_INDEX "\","
#define MANIFEST "{" V2 OCI_M CONFIG ",\"layers\":[" LAYER "," LAYER "]}"
#define ENTRY(arch)                                                                                                    \
    "{\"mediaType\":\"" BH_MT_OCI_MANIFEST "\"," DIG                                                                   \
    ",\"size\":5,\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\"}}"
#define INDEX "{" V2 OCI_I "\"manifests\":[" ENTRY("arm64") "," ENTRY("amd64") "]}"

static int parse(const char *text, const char *type, struct bh_doc *doc, struct bh_err *err) {
    return bh_doc_parse(text, strlen(text), type, "doc", NULL, &arena, doc, err);
}

static void test_good(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_doc doc;

    (void)state;
    assert_int_equal(parse(MANIFEST, BH_MT_OCI_MANIFEST, &doc, &err), 0);
    assert_int_equal(doc.kind, BH_DOC_MANIFEST);
    assert_false(doc.manifest.docker);
    assert_int_equal(doc.manifest.n_layers, 2);
    assert_int_equal(doc.manifest.layers[1].size, 20);
    assert_string_equal(doc.manifest.config.media_type, BH_MT_OCI_CONFIG);
    assert_int_equal(bh_manifest_check_image(&doc.manifest, "doc", &err), 0);
    assert_int_equal(parse(INDEX, NULL, &doc, &err), 0);
    assert_int_equal(doc.kind, BH_DOC_INDEX);
    assert_int_equal(doc.index.n_entries, 2);
    assert_string_equal(doc.index.entries[1].platform.arch, "amd64");
    /* no type anywhere: told by content, taken as OCI */
    assert_int_equal(parse("{" V2 CONFIG ",\"layers\":null}", "", &doc, &err), 0);
    assert_string_equal(doc.manifest.media_type, BH_MT_OCI_MANIFEST);
    assert_int_equal(doc.manifest.n_layers, 0);
    assert_int_equal(parse("{" V2 "\"manifests\":[]}", NULL, &doc, &err), 0);
    assert_int_equal(doc.index.n_entries, 0);
    /* docker's, told by the carrier or by the body */
    assert_int_equal(parse("{" V2 CONFIG ",\"layers\":[]}", BH_MT_DOCKER_MANIFEST, &doc, &err), 0);
    assert_true(doc.manifest.docker);
    assert_int_equal(parse("{" V2 "\"mediaType\":\"" BH_MT_DOCKER_LIST "\",\"manifests\":[]}", NULL, &doc, &err), 0);
    assert_true(doc.index.docker);
}

static void test_details(void **state) {
    static const char text[] =
        "{" V2 OCI_M "\"artifactType\":\"a/b\",\"unknown\":[1]," CONFIG ",\"layers\":[{\"mediaType\":\"x/y\","
        "\"digest\":\"blake3:" HEX
        "\",\"size\":0,\"urls\":[\"http://h/x\"],\"annotations\":{\"b\":\"2\",\"a\":\"1\\n\"},"
        "\"data\":\"aGk=\",\"artifactType\":\"t\"}],\"subject\":" LAYER ",\"annotations\":{\"k\":\"v\"}}";
    struct bh_err err = BH_ERR_INIT;
    const struct bh_desc *l;
    struct bh_doc doc;

    (void)state;
    if (parse(text, NULL, &doc, &err) != 0)
        fail_msg("%s", err.msg);
    l = &doc.manifest.layers[0];
    assert_int_equal(l->digest.alg, BH_DIGEST_NONE); /* kept as text, usable for nothing */
    assert_string_equal(l->digest_text, "blake3:" HEX);
    assert_int_equal(l->urls.n, 1);
    assert_string_equal(l->annotations.v[0].key, "a");
    assert_string_equal(l->artifact_type, "t");
    assert_true(doc.manifest.has_subject);
    assert_int_equal(doc.manifest.subject.size, 20);
    assert_string_equal(bh_pairs_get(&doc.manifest.annotations, "k"), "v");
    assert_string_equal(doc.manifest.artifact_type, "a/b");
    assert_int_equal(bh_manifest_check_image(&doc.manifest, "doc", &err), BH_E_INVALID);
    assert_string_equal(err.reason, "not-an-image");
}

static const struct {
    const char *text;
    const char *type;
    const char *in_message;
} bad[] = {
    /* one document, two meanings */
    {"{" V2 CONFIG ",\"layers\":[],\"manifests\":[]}", NULL, "more than one of"},
    {"{" V2 "\"layers\":null,\"manifests\":[]}", NULL, "more than one of"},
    {"{" V2 CONFIG ",\"manifests\":[]}", NULL, "more than one of"},
    {"{" V2 CONFIG ",\"layers\":[],\"fsLayers\":[]}", NULL, "more than one of"},
    {"{" V2 "\"manifests\":[],\"fsLayers\":[]}", NULL, "more than one of"},
    {"{" V2 "\"manifests\":[],\"history\":[]}", NULL, "more than one of"},
    {"{" V2 OCI_I CONFIG ",\"layers\":[]}", NULL, "its content is an image manifest"},
    {"{" V2 OCI_M "\"manifests\":[]}", NULL, "its content is an index"},
    {MANIFEST, BH_MT_OCI_INDEX, "came as"},
    {MANIFEST, BH_MT_DOCKER_MANIFEST, "came as"},
    {INDEX, BH_MT_OCI_MANIFEST, "came as"},
    {"{" V2 CONFIG ",\"layers\":[]}", BH_MT_OCI_INDEX, "its content is"},
    {"{" V2 CONFIG ",\"layers\":[],\"Layers\":[]}", NULL, "letter case"},
    {"{" V2 CONFIG ",\"layers\":[],\"MANIFESTS\":[]}", NULL, "letter case"},
    {"{\"SchemaVersion\":2," CONFIG ",\"layers\":[]}", NULL, "letter case"},
    {"{" V2 CONFIG ",\"layers\":[],\"layers\":[]}", NULL, "not valid JSON"},
    {"{" V2 "\"mediaType\":\"application/json\"," CONFIG ",\"layers\":[]}", NULL, "its media type is"},
    {MANIFEST, "application/json", "came as"},
    /* schema 1 */
    {"{\"schemaVersion\":1,\"name\":\"x\",\"fsLayers\":[],\"history\":[]}", NULL, "schema 1"},
    {"{\"schemaVersion\":1}", NULL, "schema 1"},
    {"{\"fsLayers\":[]}", NULL, "schema 1"},
    {MANIFEST, BH_MT_DOCKER_SCHEMA1, "schema 1"},
    {MANIFEST, BH_MT_DOCKER_SCHEMA1_SIGNED, "schema 1"},
    /* form */
    {"[]", NULL, "expected an object"},
    {"{}", NULL, "schemaVersion"},
    {"{" V2 "\"x\":1}", NULL, "not an image manifest"},
    {"{\"schemaVersion\":3," CONFIG ",\"layers\":[]}", NULL, "schemaVersion"},
    {"{\"schemaVersion\":\"2\"," CONFIG ",\"layers\":[]}", NULL, "schemaVersion"},
    {"{" V2 "\"layers\":[]}", NULL, "\"config\" is missing"},
    {"{" V2 "\"config\":[],\"layers\":[]}", NULL, "config: expected an object"},
    {"{" V2 CONFIG ",\"layers\":{}}", NULL, "layers: expected a list"},
    {"{" V2 CONFIG ",\"layers\":[1]}", NULL, "layers[0]: expected an object"},
    {"{" V2 CONFIG ",\"layers\":[{\"size\":1}]}", NULL, "layers[0]: key \"digest\" is missing"},
    {"{" V2 CONFIG ",\"layers\":[{" DIG "}]}", NULL, "layers[0]: key \"size\" is missing"},
    {"{" V2 CONFIG ",\"layers\":[{" DIG ",\"size\":-1}]}", NULL, "layers[0].size: -1 is negative"},
    {"{" V2 CONFIG ",\"layers\":[{" DIG ",\"size\":1.0}]}", NULL, "expected an integer"},
    {"{" V2 CONFIG ",\"layers\":[{" DIG ",\"size\":\"1\"}]}", NULL, "expected an integer"},
    {"{" V2 CONFIG ",\"layers\":[{" DIG ",\"size\":9223372036854775807}]}", NULL, "larger than"},
    {"{" V2 CONFIG ",\"layers\":[{" DIG ",\"size\":18446744073709551616}]}", NULL, "not valid JSON"},
    {"{" V2 CONFIG ",\"layers\":[{\"digest\":\"sha256:ABC\",\"size\":1}]}", NULL, "invalid digest"},
    {"{" V2 CONFIG ",\"layers\":[{\"digest\":\"../../etc/passwd\",\"size\":1}]}", NULL, "invalid digest"},
    {"{" V2 CONFIG ",\"layers\":[{\"digest\":5,\"size\":1}]}", NULL, "expected a string"},
    {"{" V2 CONFIG ",\"layers\":[{" DIG ",\"size\":1,\"mediaType\":\"a\\u001b[31m\"}]}", NULL, "control character"},
    {"{" V2 CONFIG ",\"layers\":[{" DIG ",\"size\":1,\"Digest\":\"x\"}]}", NULL, "letter case"},
    {"{" V2 CONFIG ",\"layers\":[{" DIG ",\"size\":1,\"urls\":\"x\"}]}", NULL, "urls: expected a list"},
    {"{" V2 CONFIG ",\"layers\":[{" DIG ",\"size\":1,\"annotations\":{\"a\":1}}]}", NULL, "annotations.a: expected"},
    {"{" V2 "\"manifests\":[{" DIG ",\"size\":1,\"platform\":\"linux\"}]}", NULL, "platform: expected an object"},
    {"{" V2 "\"manifests\":[{" DIG ",\"size\":1,\"platform\":{\"os\":\"0123456789012345678901234567890123456789\"}}]}",
     NULL, "longer than"},
    {"{" V2 "\"mediaType\":5,\"manifests\":[]}", NULL, "mediaType: expected a string"},
    {"{" V2 "\"manifests\":[],\"annotations\":[]}", NULL, "annotations: expected an object"},
    {"{" V2 "\"manifests\":[],\"subject\":1}", NULL, "subject: expected an object"},
};

static void test_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_doc doc = {.kind = 77};

        if (parse(bad[i].text, bad[i].type, &doc, &err) != BH_E_INVALID)
            fail_msg("accepted: %s", bad[i].text);
        if (strstr(err.msg, bad[i].in_message) == NULL)
            fail_msg("%s: message \"%s\"", bad[i].text, err.msg);
        assert_true(err.reason[0] != '\0');
        assert_int_equal(doc.kind, 77);
    }
}

static void test_limits(void **state) {
    const struct bh_oci_limits small = {.max_bytes = 5000, .max_layers = 1, .max_entries = 1};
    struct bh_err err = BH_ERR_INIT;
    struct bh_doc doc;

    (void)state;
    assert_int_equal(bh_doc_parse(MANIFEST, strlen(MANIFEST), NULL, "doc", &small, &arena, &doc, &err), BH_E_LIMIT);
    assert_string_equal(err.msg, "doc: layers: 2 entries, the limit limits.layers is 1");
    assert_int_equal(bh_doc_parse(INDEX, strlen(INDEX), NULL, "doc", &small, &arena, &doc, &err), BH_E_LIMIT);
    assert_string_equal(err.msg, "doc: manifests: 2 entries, the limit limits.images is 1");
}

static void test_memory(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_doc doc;
    int r = -1;

    (void)state;
    for (size_t max = 0; r != 0; max += 16) {
        struct bh_arena tight;

        assert_true(max < 100000);
        bh_arena_init(&tight, max);
        r = bh_doc_parse(MANIFEST, strlen(MANIFEST), NULL, "doc", NULL, &tight, &doc, &err);
        assert_true(r == 0 || r == BH_E_LIMIT);
        bh_arena_fini(&tight);
    }
}

static void check_write(const char *text) {
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_doc doc;

    if (parse(text, NULL, &doc, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    if (doc.kind == BH_DOC_MANIFEST)
        bh_manifest_write(&doc.manifest, &out);
    else
        bh_index_write(&doc.index, &out);
    assert_false(bh_buf_failed(&out));
    assert_string_equal(bh_buf_str(&out), text);
}

static void test_write(void **state) {
    (void)state;
    check_write(MANIFEST);
    check_write("{" V2 OCI_M CONFIG ",\"layers\":[]}");
    check_write("{" V2 OCI_I "\"manifests\":[]}");
    check_write("{" V2 OCI_M "\"artifactType\":\"a/b\"," CONFIG ",\"layers\":[{\"mediaType\":\"x/y\"," DIG
                ",\"size\":0,\"urls\":[\"http://h/x\"],\"annotations\":{\"a\":\"1\\n\",\"b\":\"\\\"\"},"
                "\"platform\":{\"architecture\":\"arm\",\"os\":\"linux\",\"os.version\":\"1\",\"variant\":\"v7\"},"
                "\"artifactType\":\"t\"}],\"subject\":" LAYER ",\"annotations\":{\"k\":\"v\"}}");
}

static void test_choose(void **state) {
    static const char text[] =
        "{" V2 "\"manifests\":["
        "{" DIG ",\"size\":0,\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
        "{" DIG ",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"},"
        "\"annotations\":{\"" BH_ANNOTATION_REFERENCE_TYPE "\":\"attestation-manifest\"}},"
        "{" DIG ",\"size\":2,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v6\"}},"
        "{" DIG ",\"size\":3},"
        "{" DIG ",\"size\":4,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}},"
        "{" DIG ",\"size\":5,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}";
    const struct bh_platform amd = {.os = "linux", .arch = "amd64"};
    const struct bh_platform v7 = {.os = "linux", .arch = "arm", .variant = "v7"};
    const struct bh_platform s390 = {.os = "linux", .arch = "s390x"};
    struct bh_err err = BH_ERR_INIT;
    struct bh_doc doc;

    (void)state;
    assert_int_equal(parse(text, NULL, &doc, &err), 0);
    assert_int_equal(bh_index_choose(&doc.index, &amd), 4);
    assert_int_equal(bh_index_choose(&doc.index, &v7), 2);
    assert_int_equal(bh_index_choose(&doc.index, &s390), -1);
    assert_int_equal(bh_index_no_match(&s390, "x", &err), BH_E_NOT_FOUND);
    assert_string_equal(err.msg, "x: no matching manifest for linux/s390x in the manifest list entries");
    assert_int_equal(parse("{" V2 "\"manifests\":[{" DIG ",\"size\":1}]}", NULL, &doc, &err), 0);
    assert_int_equal(bh_index_choose(&doc.index, &s390), 0);
}

static void test_media(void **state) {
    bool foreign;

    (void)state;
    assert_int_equal(bh_media_layer(BH_MT_OCI_LAYER, NULL), BH_LAYER_TAR);
    assert_int_equal(bh_media_layer(BH_MT_OCI_LAYER_ZSTD, &foreign), BH_LAYER_ZSTD);
    assert_false(foreign);
    assert_int_equal(bh_media_layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", &foreign),
                     BH_LAYER_GZIP);
    assert_true(foreign);
    assert_int_equal(bh_media_layer(BH_MT_OCI_LAYER_GZIP "+encrypted", NULL), BH_LAYER_ENCRYPTED);
    assert_int_equal(bh_media_layer("text/plain", NULL), BH_LAYER_UNKNOWN);
    assert_true(bh_media_is_config(BH_MT_DOCKER_CONFIG));
    assert_false(bh_media_is_config(BH_MT_OCI_EMPTY));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),   cmocka_unit_test(test_details), cmocka_unit_test(test_bad),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_memory),  cmocka_unit_test(test_write),
        cmocka_unit_test(test_choose), cmocka_unit_test(test_media),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
