/*
 * test_store.c - index and files: finding by name and id, leases and the collector, restart, check.
 */
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "svc-store/check.h"
#include "svc-store/gc.h"
#include "svc-store/layer.h"
#include "svc-store/lease.h"
#include "svc-store/place.h"
#include "svc-store/publish.h"

static int find(struct fixture *f, const char *text, struct store_found *out, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;

    *err = (struct bh_err)BH_ERR_INIT;
    assert_ok(store_read_begin(f->store.index, &db, err), *err);
    return store_find(db, &fixture_root, text, out, err);
}

static void names_ids_and_prefixes(void **state) {
    struct fixture *f = *state;
    const char *id = fixture_image(f, &(struct fixture_image){.name = "debian:12", .layers = {"one"}});
    char prefix[30];
    struct store_found found;
    struct bh_err err;

    assert_ok(find(f, "debian:12", &found, &err), err);
    assert_true(found.by_name);
    assert_ok(find(f, "docker.io/library/debian:12", &found, &err), err);
    assert_int_equal(find(f, "debian", &found, &err), BH_E_NOT_FOUND);
    assert_string_equal(err.msg, "No such image: debian:latest");
    assert_string_equal(err.reason, "no-such-image");
    assert_ok(find(f, id, &found, &err), err);
    assert_false(found.by_name);
    snprintf(prefix, sizeof prefix, "%.12s", id + 7);
    assert_ok(find(f, prefix, &found, &err), err);
    assert_string_equal(found.id, id);
    snprintf(prefix, sizeof prefix, "%.15s", id);
    assert_ok(find(f, prefix, &found, &err), err);
    assert_int_equal(find(f, "UPPER", &found, &err), BH_E_INVALID);
    assert_non_null(strstr(err.msg, "must be lowercase"));
}

static void a_manifest_digest_finds_too(void **state) {
    struct fixture *f = *state;
    const char *id = fixture_image(f, &(struct fixture_image){.name = "debian:12", .layers = {"one"}});
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct store_found found;
    struct store_image im;
    struct bh_err err;
    char by_digest[200];

    assert_ok(find(f, id, &found, &err), err);
    assert_ok(store_read_begin(f->store.index, &db, &err), err);
    assert_ok(store_image_get(db, found.k, &f->arena, &im, &err), err);
    store_read_end(db);
    db = NULL;
    assert_ok(find(f, im.manifest, &found, &err), err);
    assert_string_equal(found.id, id);
    snprintf(by_digest, sizeof by_digest, "debian@%s", im.manifest);
    assert_ok(find(f, by_digest, &found, &err), err);
    snprintf(by_digest, sizeof by_digest, "other@%s", im.manifest);
    assert_int_equal(find(f, by_digest, &found, &err), BH_E_NOT_FOUND);
}

static void a_name_wins_over_a_prefix(void **state) {
    struct fixture *f = *state;
    const char *id = fixture_image(f, &(struct fixture_image){.layers = {"one"}});
    struct store_found found;
    struct bh_err err;
    char name[16];
    const char *named;

    snprintf(name, sizeof name, "%.5s", id + 7);
    named = fixture_image(f, &(struct fixture_image){.name = name, .layers = {"two"}});
    assert_ok(find(f, name, &found, &err), err);
    assert_string_equal(found.id, named);
}

static void ambiguous_prefixes_name_the_candidates(void **state) {
    struct fixture *f = *state;
    struct store_found found;
    struct bh_err err;
    char prefix[2] = "0";
    int ambiguous = 0;

    for (int i = 0; i < 40; i++) {
        char cmd[8];

        snprintf(cmd, sizeof cmd, "%d", i);
        fixture_image(f, &(struct fixture_image){.layers = {"one"}, .cmd = cmd});
    }
    for (const char *digit = "0123456789abcdef"; *digit != '\0'; digit++) {
        prefix[0] = *digit;
        if (find(f, prefix, &found, &err) == BH_E_INVALID) {
            ambiguous++;
            assert_string_equal(err.reason, "ambiguous-id");
            assert_non_null(strstr(err.msg, "images start so: "));
        }
    }
    assert_true(ambiguous > 5); /* 80 digests over 16 digits */
}

static void leased_content_is_not_collected(void **state) {
    struct fixture *f = *state;
    struct bh_err err = BH_ERR_INIT;
    int64_t lease;

    assert_ok(store_lease_take(&f->store, 0, "test", &lease, &err), err);
    fixture_layer(f, 0, lease, "mine");
    fixture_layer(f, 0, STORE_LEASE_NONE, "nobody's");
    store_gc_now(&f->store);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer"), 1);
    store_lease_drop(&f->store, &lease);
    store_gc_now(&f->store);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer"), 0);
    fixture_clean(f);
}

static void leases_end_with_the_process(void **state) {
    struct fixture *f = *state;
    struct bh_err err = BH_ERR_INIT;
    int64_t lease;

    assert_ok(store_lease_take(&f->store, 0, "test", &lease, &err), err);
    fixture_layer(f, 0, lease, "half-done");
    fixture_restart(f);
    assert_int_equal(fixture_count(f, "SELECT (SELECT count(*) FROM layer) + (SELECT count(*) FROM lease)"), 0);
    fixture_clean(f);
}

static void put_file(struct fixture *f, const char *path, const char *text) {
    char full[200];
    int fd;

    snprintf(full, sizeof full, "%s/%s", f->dir, path);
    fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(bh_write_all(fd, text, strlen(text)), 0);
    close(fd);
}

static void make_folder(struct fixture *f, const char *path) {
    char full[200];

    snprintf(full, sizeof full, "%s/%s", f->dir, path);
    mkdir(full, 0700);
}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void a_start_removes_what_a_crash_left(void **state) {
    struct fixture *f = *state;

    fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"one"}});
    put_file(f, "ingest/t1", "half");
    make_folder(f, "layers/sha256/01");
    put_file(f, "layers/sha256/01/" HEX64, "layer without row");
    fixture_restart(f);
    assert_true(fixture_exists(f, &fixture_root, "a:1"));
    fixture_clean(f);
}

static uint64_t check(struct fixture *f, bool repair) {
    const struct store_check c = {.repair = repair};
    struct bh_err err = BH_ERR_INIT;
    uint64_t checked, findings;

    assert_ok(store_check(&f->store, &c, &checked, &findings, &err), err);
    return findings;
}

static void check_finds_and_repairs_strays(void **state) {
    struct fixture *f = *state;

    make_folder(f, "layers/sha256/01");
    put_file(f, "layers/sha256/01/" HEX64, "layer without row");
    put_file(f, "layers/sha256/01/README", "no layer at all");
    assert_int_equal(check(f, false), 2);
    assert_int_equal(check(f, true), 2);
    assert_int_equal(check(f, false), 0);
}

static void spoil(struct fixture *f, const char *layer) {
    char path[300];
    int fd;

    snprintf(path, sizeof path, "%s/layers/sha256/%.2s/%s", f->dir, layer + 7, layer + 7);
    assert_int_equal(chmod(path, 0600), 0);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "X", 1, 4096 + 7), 1);
    close(fd);
}

static void check_finds_a_changed_byte(void **state) {
    struct fixture *f = *state;
    const char *id = fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"one", "two"}});
    const char *other = fixture_image(f, &(struct fixture_image){.name = "b:1", .layers = {"two"}});

    spoil(f, fixture_layer(f, 0, STORE_LEASE_NONE, "one"));
    assert_int_equal(check(f, false), 1);
    assert_int_equal(check(f, true), 1);
    assert_false(fixture_exists(f, &fixture_root, id));
    assert_true(fixture_exists(f, &fixture_root, other));
    fixture_clean(f);
}

/* A worker that told another layer's digest: nobody else gets that file. */
static void false_content_is_not_shared(void **state) {
    struct fixture *f = *state;
    struct bh_err err = BH_ERR_INIT;
    const char *id = fixture_image(f, &(struct fixture_image){.name = "evil:1", .layers = {"base"}});
    const char *good = fixture_layer(f, 0, STORE_LEASE_NONE, "other");
    const char *layer = fixture_layer(f, 0, STORE_LEASE_NONE, "base");

    spoil(f, layer);
    assert_ok(store_shared_verify(&f->store, STORE_LAYERS, good, &err), err);
    assert_ok(store_shared_verify(&f->store, STORE_LAYERS, layer, &err), err);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer WHERE verified=1 AND state=0"), 1);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer WHERE state=3"), 1);
    assert_int_equal(check(f, true), 1);
    assert_false(fixture_exists(f, &fixture_root, id));
    fixture_clean(f);
}

static void check_finds_a_lost_file(void **state) {
    struct fixture *f = *state;
    const char *id = fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"one"}});
    struct bh_err err = BH_ERR_INIT;

    assert_ok(store_file_unlink(&f->store.place, STORE_BLOBS, id, &err), err);
    assert_int_equal(check(f, false), 1);
    assert_int_equal(check(f, true), 1);
    fixture_clean(f);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM image"), 0);
}

static void list_is_newest_first(void **state) {
    struct fixture *f = *state;
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct bh_err err = BH_ERR_INIT;
    struct store_image *v;
    size_t n;

    fixture_image(f, &(struct fixture_image){.name = "old:1", .layers = {"one"}, .label = "k=v"});
    fixture_image(f, &(struct fixture_image){.name = "new:1", .layers = {"one", "two"}});
    assert_ok(store_read_begin(f->store.index, &db, &err), err);
    assert_ok(store_image_list(db, &fixture_root, &f->arena, &v, &n, &err), err);
    assert_int_equal(n, 2);
    assert_string_equal(v[0].names[0].repo, "docker.io/library/new");
    assert_string_equal(v[1].labels.v[0].value, "v");
    assert_int_equal(v[0].size, 1024);
    assert_ok(store_image_sizes(db, v, n, &err), err);
    assert_int_equal(v[0].shared, 512);
    assert_int_equal(v[0].unique, 512);
    assert_int_equal(v[1].unique, 0);
}

/* Tables of version 2 had no sizes of files: the tar's size stands for them, and new layers have theirs. */
static void tables_of_an_older_version_are_brought_up(void **state) {
    struct fixture *f = *state;
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct bh_err err = BH_ERR_INIT;
    char path[300];
    sqlite3 *raw;
    int64_t size, version;

    fixture_image(f, &(struct fixture_image){.name = "old:1", .layers = {"one"}});
    store_close(&f->store);
    snprintf(path, sizeof path, "%s/meta.db", f->dir);
    assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(
            raw,
            "ALTER TABLE layer DROP COLUMN content; DROP INDEX name_by_idx;"
            "ALTER TABLE name DROP COLUMN idx; DROP TABLE index_image;"
            "DROP INDEX blob_by_diff_id; ALTER TABLE blob DROP COLUMN diff_id; ALTER TABLE image DROP COLUMN artifact;"
            "DROP TABLE partial; DROP TABLE blob_source; DROP TABLE cache_layer; DROP TABLE cache; PRAGMA "
            "user_version=2",
            NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(raw);
    fixture_reopen(f);
    fixture_image(f, &(struct fixture_image){.name = "new:1", .layers = {"one", "two"}});
    assert_ok(store_read_begin(f->store.index, &db, &err), err);
    assert_ok(store_get_int(db, &version, NULL, &err, "PRAGMA user_version", ""), err);
    assert_int_equal(version, STORE_SCHEMA_VERSION);
    assert_ok(store_get_int(db, &size, NULL, &err, "SELECT sum(size) FROM image WHERE state=0", ""), err);
    assert_int_equal(size, 512 + 1024);
}

/* Of two images under one lease the second is under way: a layer that has a row and no name yet, a document without
 * both.  The first one's commit neither waits for their folders nor says that they are safe. */
static void one_image_is_published_while_another_is_under_way(void **state) {
    const char *coming = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    const char *document = "sha256:eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
    const uint64_t sizes[1] = {512};
    struct fixture *f = *state;
    struct store_publish_image p = {0};
    struct store_db *db = NULL;
    struct bh_err err = BH_ERR_INIT;
    struct bh_image_config c;
    struct bh_digest d;
    int64_t lease;

    const struct bh_history h = {.created = "", .created_by = "x", .author = "", .comment = ""};

    assert_ok(store_lease_take(&f->store, 0, "test", &lease, &err), err);
    bh_image_config_init(&c);
    c.os = "linux";
    c.architecture = "amd64";
    assert_ok(bh_digest_parse(fixture_layer(f, 0, lease, "whole"), &d, &err), err);
    assert_ok(bh_image_config_add_layer(&c, &d, &h, &f->arena, &err), err);
    assert_ok(store_image_make(&c, sizes, NULL, &f->arena, &p.image, &err), err);
    assert_ok(store_write_begin(f->store.index, STORE_LAZY, &db, &err), err);
    assert_ok(store_exec(db, NULL, &err,
                         "INSERT INTO layer(diff_id, owner, state, durable, tar_size, file_size, index_offset,"
                         " index_size, index_sha256, entries, added_ns) VALUES(?,0,0,0,512,1,1,1,x'00',0,0)",
                         "t", coming),
              err);
    assert_ok(store_lease_add(db, lease, STORE_LEASE_LAYER, coming, &err), err);
    assert_ok(store_lease_add(db, lease, STORE_LEASE_BLOB, document, &err), err);
    assert_ok(store_write_commit(&db, &err), err);
    assert_ok(store_publish_under(&f->store, 0, lease, &p, 1, NULL, NULL, &err), err);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer WHERE durable=1"), 1);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer WHERE durable=0"), 1);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM blob WHERE durable=0"), 0);
    store_lease_drop(&f->store, &lease);
}

#define T(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(names_ids_and_prefixes),
        T(a_manifest_digest_finds_too),
        T(a_name_wins_over_a_prefix),
        T(ambiguous_prefixes_name_the_candidates),
        T(leased_content_is_not_collected),
        T(leases_end_with_the_process),
        T(a_start_removes_what_a_crash_left),
        T(check_finds_and_repairs_strays),
        T(check_finds_a_changed_byte),
        T(false_content_is_not_shared),
        T(check_finds_a_lost_file),
        T(list_is_newest_first),
        T(tables_of_an_older_version_are_brought_up),
        T(one_image_is_published_while_another_is_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
