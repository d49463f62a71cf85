/* test_layout.c - names of layouts, entries of index.json, blobs that appear whole, and what is refused. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "cli/layout.h"
/* last: cmocka wants its own includes first */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HELLO     "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" /* of "hello" */
#define HELLO_HEX "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/bh-layout-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state) {
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void put(const struct cli_layout *l, const char *name, const char *text) {
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(bh_file_replace(l->fd, name, text, strlen(text), 0644, false, &err), 0);
}

static struct bh_desc hello(void) {
    struct bh_desc d = {.media_type = BH_MT_OCI_MANIFEST, .digest_text = HELLO, .size = 5};
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(bh_digest_parse(HELLO, &d.digest, &err), 0);
    return d;
}

static void test_names(void **state) {
    static const char *const bad[] = {"oci:", "oci::tag", "oci:dir:", "oci:dir:a b", "oci:dir:\x1b[m"};
    struct bh_err err = BH_ERR_INIT;
    struct cli_layout_name n;
    bool is;

    (void)state;
    assert_int_equal(cli_layout_name_parse("oci:/a/b:docker.io/x:1", &is, &n, &err), 0);
    assert_true(is);
    assert_string_equal(n.dir, "/a/b");
    assert_string_equal(n.tag, "docker.io/x:1");
    assert_int_equal(cli_layout_name_parse("oci:dir", &is, &n, &err), 0);
    assert_string_equal(n.dir, "dir");
    assert_string_equal(n.tag, "");
    assert_int_equal(cli_layout_name_parse("localhost:5000/oci:1", &is, &n, &err), 0);
    assert_false(is);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(cli_layout_name_parse(bad[i], &is, &n, &err), BH_E_INVALID);
}

static void test_write_and_find(void **state) {
    struct bh_desc d = hello(), found;
    struct bh_err err = BH_ERR_INIT;
    struct cli_layout l;
    struct bh_arena arena;
    struct stat st;

    (void)state;
    bh_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(cli_layout_make(&l, folder, &err), 0);
    assert_false(cli_layout_has(&l, &d));
    assert_int_equal(cli_layout_write(&l, &d, "hullo", 5, &err), BH_E_DATA_LOSS);
    assert_false(cli_layout_has(&l, &d));
    assert_int_equal(cli_layout_write(&l, &d, "hello", 5, &err), 0);
    assert_true(cli_layout_has(&l, &d));
    assert_int_equal(cli_layout_set(&l, &d, "one", &err), 0);
    assert_int_equal(cli_layout_set(&l, &d, "one", &err), 0);
    assert_int_equal(cli_layout_find(&l, "", &arena, &found, &err), 0); /* replaced, so one only */
    assert_string_equal(found.digest_text, HELLO);
    assert_int_equal(cli_layout_set(&l, &d, "two", &err), 0);
    assert_int_equal(cli_layout_find(&l, "two", &arena, &found, &err), 0);
    assert_int_equal(cli_layout_find(&l, "", &arena, &found, &err), BH_E_INVALID);
    assert_int_equal(cli_layout_find(&l, "three", &arena, &found, &err), BH_E_NOT_FOUND);
    put(&l, "blobs/sha256/" HELLO_HEX, "hallo");
    assert_false(cli_layout_has(&l, &d));
    cli_layout_close(&l);
    assert_int_equal(cli_layout_open(&l, folder, &err), 0);
    assert_int_equal(fstatat(l.fd, "index.json.new", &st, 0), -1);
    cli_layout_close(&l);
    bh_arena_fini(&arena);
}

static void test_foreign_index(void **state) {
    static const char *const bad[] = {
        "",
        "[]",
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" BH_MT_OCI_MANIFEST
        "\",\"digest\":\"sha256:../../../etc/passwd\",\"size\":5}]}",
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" BH_MT_OCI_MANIFEST "\",\"digest\":\"" HELLO "\"}]}",
        "{\"schemaVersion\":2,\"manifests\":{}}",
        "{\"schemaVersion\":2,\"manifests\":[],\"manifests\":[]}",
    };
    struct bh_desc d = hello(), found;
    struct bh_err err = BH_ERR_INIT;
    struct cli_layout l;
    struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(cli_layout_make(&l, folder, &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put(&l, "index.json", bad[i]);
        assert_int_not_equal(cli_layout_find(&l, "", &arena, &found, &err), 0);
        assert_int_not_equal(cli_layout_set(&l, &d, "x", &err), 0);
    }
    assert_int_equal(unlinkat(l.fd, "index.json", 0), 0);
    assert_int_equal(symlinkat("/etc/hostname", l.fd, "index.json"), 0);
    assert_int_equal(cli_layout_find(&l, "", &arena, &found, &err), BH_E_INVALID);
    cli_layout_close(&l);
    bh_arena_fini(&arena);
}

static void test_foreign_blobs(void **state) {
    struct bh_desc d = hello(), sha512 = hello();
    struct bh_err err = BH_ERR_INIT;
    struct bh_buf text = BH_BUF_INIT;
    struct cli_layout l;
    int fd = -1;

    (void)state;
    assert_int_equal(cli_layout_make(&l, folder, &err), 0);
    assert_int_equal(cli_layout_blob(&l, &d, &fd, &err), BH_E_NOT_FOUND);
    put(&l, "real", "hello");
    assert_int_equal(symlinkat("../../real", l.fd, "blobs/sha256/" HELLO_HEX), 0);
    assert_int_equal(cli_layout_blob(&l, &d, &fd, &err), BH_E_INVALID);
    assert_int_equal(unlinkat(l.fd, "blobs/sha256/" HELLO_HEX, 0), 0);
    assert_int_equal(mkfifoat(l.fd, "blobs/sha256/" HELLO_HEX, 0600), 0);
    assert_int_equal(cli_layout_blob(&l, &d, &fd, &err), BH_E_INVALID);
    assert_int_equal(unlinkat(l.fd, "blobs/sha256/" HELLO_HEX, 0), 0);
    put(&l, "blobs/sha256/" HELLO_HEX, "hello!");
    assert_int_equal(cli_layout_blob(&l, &d, &fd, &err), BH_E_DATA_LOSS);
    assert_int_equal(cli_layout_read(&l, &d, &text, &err), BH_E_DATA_LOSS);
    d.size = (uint64_t)1 << 40;
    assert_int_equal(cli_layout_read(&l, &d, &text, &err), BH_E_LIMIT);
    sha512.digest.alg = BH_DIGEST_SHA512;
    assert_int_equal(cli_layout_blob(&l, &sha512, &fd, &err), BH_E_UNIMPLEMENTED);
    assert_int_equal(fd, -1);
    bh_buf_fini(&text);
    cli_layout_close(&l);
}

static void test_other_folders(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct cli_layout l;
    char below[96];

    (void)state;
    assert_int_not_equal(cli_layout_open(&l, folder, &err), 0);
    snprintf(below, sizeof below, "%s/mine", folder);
    assert_int_equal(mkdir(below, 0700), 0);
    assert_int_equal(cli_layout_make(&l, folder, &err), BH_E_INVALID); /* not empty */
    assert_int_equal(rmdir(below), 0);
    snprintf(below, sizeof below, "%s/no/such", folder);
    assert_int_equal(cli_layout_make(&l, below, &err), BH_E_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_write_and_find, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_foreign_index, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_foreign_blobs, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_other_folders, make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
