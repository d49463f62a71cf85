/*
 * test_filter.c - filters of images: each key, how they combine, what is refused.
 */
#include "fixture.h"

#include <string.h>

#include "svc-store/filter.h"

/* How many images are left; names of the first are in *first. */
static long apply(struct fixture *f, const char *match, bool all, const struct store_filter *v, size_t n,
                  struct store_image **first, struct bh_err *err) {
    const struct store_filters filters = {v, n};
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct store_image *images;
    size_t n_images;

    *err = (struct bh_err)BH_ERR_INIT;
    if (store_filter_check(&filters, store_filter_images, err) != 0)
        return -1;
    assert_ok(store_read_begin(f->store.index, &db, err), *err);
    assert_ok(store_image_list(db, &fixture_root, &f->arena, &images, &n_images, err), *err);
    if (store_filter_apply(db, &fixture_root, &filters, match, all, &f->arena, images, &n_images, err) != 0)
        return -1;
    *first = images;
    return (long)n_images;
}

static void fill(struct fixture *f) {
    const char *parent = fixture_image(f, &(struct fixture_image){.layers = {"1"}});

    fixture_image(f, &(struct fixture_image){.name = "kid:1", .parent = parent, .layers = {"1", "2"}});
    fixture_image(f, &(struct fixture_image){.name = "debian:12", .layers = {"3"}, .label = "tier=base"});
    fixture_image(f, &(struct fixture_image){.name = "debian:13", .layers = {"4"}, .label = "tier=next"});
    fixture_image(f, &(struct fixture_image){.layers = {"5"}});
}

struct row {
    const char *match;
    const char *key;
    const char *value;
    const char *key2;
    const char *value2;
    long want;
};

static const struct row rows[] = {
    {"", NULL, NULL, NULL, NULL, 4},
    {"debian", NULL, NULL, NULL, NULL, 2},
    {"debian:12", NULL, NULL, NULL, NULL, 1},
    {"docker.io/library/debian", NULL, NULL, NULL, NULL, 2},
    {"deb", NULL, NULL, NULL, NULL, 0},
    {"", "reference", "deb*", NULL, NULL, 2},
    {"", "reference", "*:13", NULL, NULL, 1},
    {"", "reference", "*:13", "reference", "kid", 2},
    {"", "dangling", "true", NULL, NULL, 1},
    {"", "dangling", "false", NULL, NULL, 3},
    {"", "label", "tier", NULL, NULL, 2},
    {"", "label", "tier=base", NULL, NULL, 1},
    {"", "label", "tier", "label", "tier=next", 1},
    {"", "label!", "tier", NULL, NULL, 2},
    {"", "before", "debian:12", NULL, NULL, 1},
    {"", "since", "debian:12", NULL, NULL, 2},
    {"", "until", "1h", NULL, NULL, 4},
    {"", "until", "2001-01-01", NULL, NULL, 0},
    {"", "until", "1000", NULL, NULL, 0},
    {"", "dangling", "true", "label", "tier", 0},
    {"", "containers", "true", NULL, NULL, 0},
    {"", "color", "red", NULL, NULL, -1},
    {"", "dangling", "maybe", NULL, NULL, -1},
    {"", "until", "soon", NULL, NULL, -1},
    {"", "before", "nosuch", NULL, NULL, -1},
    {"", "reference", "[", NULL, NULL, -1},
};

static void each_row(void **state) {
    struct fixture *f = *state;

    fill(f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct store_filter v[] = {{rows[i].key, rows[i].value}, {rows[i].key2, rows[i].value2}};
        struct store_image *first;
        struct bh_err err;
        size_t n = rows[i].key == NULL ? 0 : rows[i].key2 == NULL ? 1 : 2;
        long got = apply(f, rows[i].match, false, v, n, &first, &err);

        if (got != rows[i].want)
            fail_msg("row %zu: %s %s=%s: %ld, wanted %ld (%s)", i, rows[i].match, rows[i].key, rows[i].value, got,
                     rows[i].want, err.msg);
        if (got < 0)
            assert_true(err.msg[0] != '\0');
    }
}

static void all_shows_parents(void **state) {
    struct fixture *f = *state;
    struct store_image *first;
    struct bh_err err;

    fill(f);
    assert_int_equal(apply(f, "", true, NULL, 0, &first, &err), 5);
}

static void a_name_that_does_not_match_is_not_shown(void **state) {
    struct fixture *f = *state;
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    struct store_found found;
    struct store_image *first;
    struct bh_err err = BH_ERR_INIT;
    char previous[STORE_DIGEST_SIZE];
    struct bh_ref ref;

    fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"1"}});
    assert_ok(store_write_begin(f->store.index, STORE_LAZY, &db, &err), err);
    assert_ok(store_find(db, &fixture_root, "a:1", &found, &err), err);
    assert_ok(bh_ref_parse_tagged("b:1", &ref, &err), err);
    assert_ok(store_name_set(db, 0, &ref, found.k, "", previous, &err), err);
    assert_ok(store_write_commit(&db, &err), err);
    assert_int_equal(apply(f, "b", false, NULL, 0, &first, &err), 1);
    assert_int_equal(first[0].n_names, 1);
    assert_string_equal(first[0].names[0].repo, "docker.io/library/b");
}

#define T(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {T(each_row), T(all_shows_parents), T(a_name_that_does_not_match_is_not_shown)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
