/*
 * test_save.c - the archive: same bytes for the same images, each blob once, both forms agree.
 */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "svc-store/save.h"

static int sink(void *arg, const void *data, size_t n, struct bh_err *err) {
    (void)err;
    bh_buf_add(arg, data, n);
    return 0;
}

static int save(struct fixture *f, const char *a, const char *b, struct bh_buf *out, struct bh_err *err) {
    const char *names[] = {a, b};
    const struct store_save what = {.who = fixture_root, .names = names, .n_names = b != NULL ? 2 : 1, .platform = ""};
    struct store_tarout tar = {.fd = -1, .sink = sink, .arg = out};

    *err = (struct bh_err)BH_ERR_INIT;
    return store_save(&f->store, &what, &tar, err);
}

static const char *member(const struct bh_buf *tar, const char *name) {
    for (size_t at = 0; at + 512 <= tar->len;) {
        size_t size = strtoul(tar->data + at + 124, NULL, 8);

        if (strcmp(tar->data + at, name) == 0)
            return tar->data + at + 512;
        at += 512 + (size + 511) / 512 * 512;
    }
    return NULL;
}

static size_t members(const struct bh_buf *tar) {
    size_t n = 0;

    for (size_t at = 0; at + 512 <= tar->len && tar->data[at] != '\0'; n++)
        at += 512 + (strtoul(tar->data + at + 124, NULL, 8) + 511) / 512 * 512;
    return n;
}

static void two_saves_are_equal(void **state) {
    struct fixture *f = *state;
    BH_SCOPE_BUF struct bh_buf a = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT;
    struct bh_err err;

    fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"base", "two"}});
    fixture_image(f, &(struct fixture_image){.name = "b:1", .layers = {"base", "three"}});
    assert_ok(save(f, "a:1", "b:1", &a, &err), err);
    assert_ok(save(f, "a:1", "b:1", &b, &err), err);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    /* 4 documents, 2 folders, 3 layers, 2 configs, 2 manifests */
    assert_int_equal(members(&a), 13);
}

static void both_forms_are_there(void **state) {
    struct fixture *f = *state;
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    struct bh_err err;

    fixture_image(f, &(struct fixture_image){.name = "reg.example:5000/x/a:1", .layers = {"base"}});
    assert_ok(save(f, "reg.example:5000/x/a:1", NULL, &tar, &err), err);
    assert_non_null(member(&tar, "oci-layout"));
    assert_non_null(strstr(member(&tar, "index.json"), "\"io.containerd.image.name\":\"reg.example:5000/x/a:1\""));
    assert_non_null(strstr(member(&tar, "index.json"), "\"org.opencontainers.image.ref.name\":\"1\""));
    assert_non_null(strstr(member(&tar, "manifest.json"), "\"RepoTags\":[\"reg.example:5000/x/a:1\"]"));
    assert_non_null(strstr(member(&tar, "manifest.json"), "\"Layers\":[\"blobs/sha256/"));
    assert_non_null(member(&tar, "repositories"));
}

static void by_id_without_a_name(void **state) {
    struct fixture *f = *state;
    const char *id = fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"base"}});
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    struct bh_err err;

    assert_ok(save(f, id, NULL, &tar, &err), err);
    assert_null(strstr(member(&tar, "index.json"), "ref.name"));
    assert_null(member(&tar, "repositories"));
}

static void a_repository_means_all_its_tags(void **state) {
    struct fixture *f = *state;
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    struct bh_err err;

    fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"base"}});
    fixture_image(f, &(struct fixture_image){.name = "a:2", .layers = {"base", "two"}});
    assert_ok(save(f, "a", NULL, &tar, &err), err);
    assert_non_null(strstr(member(&tar, "manifest.json"), "\"a:1\""));
    assert_non_null(strstr(member(&tar, "manifest.json"), "\"a:2\""));
}

static void the_unknown_is_refused_before_a_byte(void **state) {
    struct fixture *f = *state;
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    struct bh_err err;

    fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"base"}});
    assert_int_equal(save(f, "a:1", "nosuch", &tar, &err), BH_E_NOT_FOUND);
    assert_int_equal(tar.len, 0);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM lease"), 0);
}

#define T(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(two_saves_are_equal),
        T(both_forms_are_there),
        T(by_id_without_a_name),
        T(a_repository_means_all_its_tags),
        T(the_unknown_is_refused_before_a_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
