/*
 * test_parked.c - layers that have come for an image that has not: what keeps them, and what ends that.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "fixture.h"
#include "svc-store/gc.h"
#include "svc-store/lease.h"
#include "svc-store/parked.h"
#include "svc-store/partial.h"
#include "svc-store/place.h"

#define HOUR (3600 * BH_NSEC)

static const struct store_who other = {.owner = 7};

static const char *park(struct fixture *f, uid_t owner, const char *text, int64_t expires_ns) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    struct bh_err err = BH_ERR_INIT;
    int64_t lease;
    const char *id;

    assert_ok(store_lease_take(&f->store, owner, "pull", &lease, &err), err);
    id = fixture_layer(f, owner, lease, text);
    assert_ok(store_write_begin(f->store.index, STORE_LAZY, &db, &err), err);
    assert_ok(store_parked_add(db, owner, expires_ns, id, "", &err), err);
    assert_ok(store_write_commit(&db, &err), err);
    store_lease_drop(&f->store, &lease);
    store_gc_now(&f->store);
    return id;
}

static int64_t layers(struct fixture *f) {
    return fixture_count(f, "SELECT count(*) FROM layer");
}

static uint64_t counted(struct fixture *f, const struct store_who *who) {
    struct bh_err err = BH_ERR_INIT;
    struct store_partials n;

    assert_ok(store_partial_count(&f->store, who, &n, &err), err);
    assert_true(n.n == 0 || n.bytes > 0);
    return n.n;
}

static void it_outlives_the_call_and_the_process(void **state) {
    struct fixture *f = *state;

    park(f, 0, "one", bh_now_ns() + HOUR);
    assert_int_equal(layers(f), 1);
    fixture_restart(f);
    assert_int_equal(layers(f), 1);
    assert_int_equal(counted(f, &fixture_root), 1);
    fixture_clean(f);
}

static void an_image_that_has_it_ends_it(void **state) {
    struct fixture *f = *state;

    park(f, 0, "one", bh_now_ns() + HOUR);
    park(f, 7, "one", bh_now_ns() + HOUR);
    park(f, 0, "two", bh_now_ns() + HOUR);
    fixture_image(f, &(struct fixture_image){.name = "new:1", .layers = {"one"}});
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM lease WHERE owner=0"), 1);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM lease WHERE owner=7"), 1); /* not his image */
    assert_int_equal(layers(f), 2);
}

static void it_expires(void **state) {
    struct fixture *f = *state;

    park(f, 0, "one", bh_now_ns() - 1);
    assert_int_equal(layers(f), 0);
    assert_int_equal(counted(f, &fixture_root), 0);
}

static void prune_takes_those_of_the_caller(void **state) {
    struct fixture *f = *state;
    struct bh_err err = BH_ERR_INIT;
    struct store_partials gone;

    park(f, 0, "one", bh_now_ns() + HOUR);
    park(f, 7, "two", bh_now_ns() + HOUR);
    assert_ok(store_partial_sweep(&f->store, &other, false, &gone, &err), err);
    assert_int_equal(gone.n, 0);
    assert_ok(store_partial_sweep(&f->store, &other, true, &gone, &err), err);
    assert_int_equal(gone.n, 1);
    assert_true(gone.bytes > 0);
    assert_int_equal(layers(f), 1);
    assert_int_equal(counted(f, &other), 0);
    assert_int_equal(counted(f, &fixture_root), 1);
}

/* A power cut may take a name whose row is there. */
static void a_lost_file_is_not_waited_for(void **state) {
    struct fixture *f = *state;
    struct bh_err err = BH_ERR_INIT;

    park(f, 0, "one", bh_now_ns() + HOUR);
    const char *id = park(f, 0, "two", bh_now_ns() + HOUR);
    assert_ok(store_file_unlink(&f->store.place, STORE_LAYERS, id, &err), err);
    fixture_restart(f);
    assert_int_equal(layers(f), 1);
    fixture_clean(f);
}

/* Dies between the name of a finished download and its row: the bytes are there for the next try. */
static void a_name_without_a_row_is_a_download_again(void **state) {
    static const char digest[] = "sha256:9192c25b734fcbadbe32dadc28089c60db0e39f90cc20ce2e5733f57261acc0c";
    static char bytes[100000];
    struct fixture *f = *state;
    struct bh_err err = BH_ERR_INIT;
    struct store_partial p;

    for (int known = 0; known < 2; known++) {
        assert_ok(store_partial_open(&f->store, 7, digest, sizeof bytes, false, &p, &err), err);
        assert_int_equal(p.received, 0);
        assert_int_equal(write(p.file.fd, bytes, sizeof bytes), sizeof bytes);
        assert_ok(store_temp_publish(&f->store.place, &p.file, STORE_BLOBS, digest, &err), err);
        if (known) { /* another's: it stays where it is */
            STORE_SCOPE_WRITE struct store_db *db = NULL;
            assert_ok(store_write_begin(f->store.index, STORE_LAZY, &db, &err), err);
            assert_ok(store_blob_put(db, 0, digest, STORE_BLOB_OTHER, sizeof bytes, "", &err), err);
            assert_ok(store_parked_add(db, 0, bh_now_ns() + HOUR, "", digest, &err), err);
            assert_ok(store_write_commit(&db, &err), err);
        }
        fixture_restart(f);
        assert_int_equal(counted(f, &other), !known);
        if (known)
            continue;
        assert_ok(store_partial_open(&f->store, 7, digest, sizeof bytes, false, &p, &err), err);
        assert_int_equal(p.received, sizeof bytes);
        store_partial_drop(&f->store, &p);
    }
    fixture_clean(f);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(it_outlives_the_call_and_the_process),
        T(an_image_that_has_it_ends_it),
        T(it_expires),
        T(prune_takes_those_of_the_caller),
        T(a_lost_file_is_not_waited_for),
        T(a_name_without_a_row_is_a_download_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
