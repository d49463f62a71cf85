/*
 * test_remove.c - rmi, untag, tag and prune on a store: what goes, what stays, what is told.
 */
#include "fixture.h"

#include <string.h>

#include "svc-store/container.h"
#include "svc-store/filter.h"
#include "svc-store/remove.h"

static int rmi(struct fixture *f, const struct store_who *who, const char *name, bool force, struct store_removal *out,
               struct bh_err *err) {
    *out = (struct store_removal){0};
    *err = (struct bh_err)BH_ERR_INIT;
    return store_remove(&f->store, who, name, force, false, &f->arena, out, err);
}

static void last_name_takes_the_image(void **state) {
    struct fixture *f = *state;
    const char *id = fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"one", "two"}});
    struct store_removal r;
    struct bh_err err;

    assert_ok(rmi(f, &fixture_root, "a:1", false, &r, &err), err);
    assert_int_equal(r.n_items, 4);
    assert_string_equal(r.items[0].untagged, "a:1");
    assert_string_equal(r.items[1].deleted, id);
    assert_true(r.reclaimed > 0);
    assert_int_equal(fixture_count(f, "SELECT (SELECT count(*) FROM layer) + (SELECT count(*) FROM blob)"), 0);
    fixture_clean(f);
}

static void shared_layers_stay(void **state) {
    struct fixture *f = *state;
    struct store_removal r;
    struct bh_err err;

    fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"base", "two"}});
    fixture_image(f, &(struct fixture_image){.name = "b:1", .layers = {"base", "three"}});
    assert_ok(rmi(f, &fixture_root, "a:1", false, &r, &err), err);
    assert_int_equal(r.n_items, 3);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer"), 2);
    assert_true(fixture_exists(f, &fixture_root, "b:1"));
    fixture_clean(f);
}

static void one_of_two_names(void **state) {
    struct fixture *f = *state;
    const char *id = fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"one"}});
    char previous[STORE_DIGEST_SIZE];
    struct store_removal r;
    struct bh_err err = BH_ERR_INIT;

    assert_ok(store_tag(&f->store, &fixture_root, "a:1", "b", previous, &err), err);
    assert_int_equal(rmi(f, &fixture_root, id, false, &r, &err), BH_E_CONFLICT);
    assert_non_null(strstr(err.msg, "(must be forced) - image is referenced in multiple repositories"));
    assert_ok(rmi(f, &fixture_root, "a:1", false, &r, &err), err);
    assert_int_equal(r.n_items, 1);
    assert_true(fixture_exists(f, &fixture_root, "b:latest"));
    assert_ok(rmi(f, &fixture_root, id, false, &r, &err), err);
    assert_string_equal(r.items[0].untagged, "b:latest");
    assert_false(fixture_exists(f, &fixture_root, id));
}

static void force_takes_all_names(void **state) {
    struct fixture *f = *state;
    const char *id = fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"one"}});
    char previous[STORE_DIGEST_SIZE];
    struct store_removal r;
    struct bh_err err = BH_ERR_INIT;

    assert_ok(store_tag(&f->store, &fixture_root, "a:1", "a:2", previous, &err), err);
    assert_ok(rmi(f, &fixture_root, id + 7, true, &r, &err), err);
    assert_string_equal(r.items[0].untagged, "a:1");
    assert_string_equal(r.items[1].untagged, "a:2");
    fixture_clean(f);
}

static void containers_hold_images(void **state) {
    struct fixture *f = *state;
    const char *id = fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"one"}});
    struct store_removal r;
    struct bh_err err;

    fixture_container(f, "c0ffee", id, true);
    assert_int_equal(rmi(f, &fixture_root, "a:1", false, &r, &err), BH_E_CONFLICT);
    assert_string_equal(err.reason, "image-in-use");
    assert_non_null(strstr(err.msg, "unable to remove repository reference \"a:1\" (must force)"));
    assert_non_null(strstr(err.hint, "c0ffee"));
    assert_int_equal(rmi(f, &fixture_root, id, true, &r, &err), BH_E_CONFLICT);
    assert_non_null(strstr(err.msg, "(cannot be forced) - image is being used by running container c0ffee"));
    fixture_container(f, "c0ffee", id, false);
    assert_int_equal(rmi(f, &fixture_root, id, false, &r, &err), BH_E_CONFLICT);
    assert_non_null(strstr(err.msg, "(must be forced) - image is being used by stopped container c0ffee"));
}

static void forced_image_lives_on_for_its_container(void **state) {
    struct fixture *f = *state;
    const char *id = fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"one"}});
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct store_found found;
    struct store_removal r;
    struct bh_err err;

    fixture_container(f, "c0ffee", id, false);
    assert_ok(rmi(f, &fixture_root, "a:1", true, &r, &err), err);
    assert_int_equal(r.n_items, 2);
    assert_false(fixture_exists(f, &fixture_root, id));
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer WHERE state=0"), 1);
    fixture_clean(f);
    fixture_restart(f);
    assert_ok(store_read_begin(f->store.index, &db, &err), err);
    assert_ok(store_find_kept(db, &fixture_root, id, &found, &err), err);
    store_read_end(db);
    db = NULL;
    assert_ok(store_container_forget(&f->store, "c0ffee", &err), err);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer"), 0);
    fixture_clean(f);
}

static void loaded_again_it_is_seen_again(void **state) {
    struct fixture *f = *state;
    struct fixture_image im = {.name = "a:1", .layers = {"one"}};
    const char *id = fixture_image(f, &im);
    struct store_removal r;
    struct bh_err err;

    fixture_container(f, "c0ffee", id, false);
    assert_ok(rmi(f, &fixture_root, "a:1", true, &r, &err), err);
    f->clock--;
    assert_string_equal(fixture_image(f, &im), id);
    assert_true(fixture_exists(f, &fixture_root, "a:1"));
}

static void children_hold_parents_and_take_them_along(void **state) {
    struct fixture *f = *state;
    const char *parent = fixture_image(f, &(struct fixture_image){.layers = {"one"}});
    struct store_removal r;
    struct bh_err err;

    fixture_image(f, &(struct fixture_image){.name = "kid:1", .parent = parent, .layers = {"one", "two"}});
    assert_int_equal(rmi(f, &fixture_root, parent, true, &r, &err), BH_E_CONFLICT);
    assert_non_null(strstr(err.msg, "(cannot be forced) - image has dependent child images"));
    assert_ok(rmi(f, &fixture_root, "kid:1", false, &r, &err), err);
    assert_false(fixture_exists(f, &fixture_root, parent));
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM image"), 0);
}

static void no_prune_leaves_parents(void **state) {
    struct fixture *f = *state;
    const char *parent = fixture_image(f, &(struct fixture_image){.layers = {"one"}});
    struct store_removal r = {0};
    struct bh_err err = BH_ERR_INIT;

    fixture_image(f, &(struct fixture_image){.name = "kid:1", .parent = parent, .layers = {"one", "two"}});
    assert_ok(store_remove(&f->store, &fixture_root, "kid:1", false, true, &f->arena, &r, &err), err);
    assert_true(fixture_exists(f, &fixture_root, parent));
}

static void others_images_are_not_there(void **state) {
    struct fixture *f = *state;
    const struct store_who anna = {.owner = 1001};
    const struct store_who ben = {.owner = 1002};
    const char *id = fixture_image(f, &(struct fixture_image){.owner = 1001, .name = "a:1", .layers = {"one"}});
    struct store_removal r;
    struct bh_err err;

    assert_int_equal(rmi(f, &ben, "a:1", true, &r, &err), BH_E_NOT_FOUND);
    assert_string_equal(err.msg, "No such image: a:1");
    assert_int_equal(rmi(f, &ben, id, true, &r, &err), BH_E_NOT_FOUND);
    assert_true(fixture_exists(f, &fixture_root, "a:1"));
    assert_ok(rmi(f, &anna, "a:1", false, &r, &err), err);
}

static void same_image_of_two_owners(void **state) {
    struct fixture *f = *state;
    const struct store_who anna = {.owner = 1001};
    const struct store_who ben = {.owner = 1002};
    const char *id = fixture_image(f, &(struct fixture_image){.owner = 1001, .name = "a:1", .layers = {"one"}});
    struct store_removal r;
    struct bh_err err;

    f->clock--;
    assert_string_equal(fixture_image(f, &(struct fixture_image){.owner = 1002, .name = "b:1", .layers = {"one"}}), id);
    assert_ok(rmi(f, &anna, "a:1", false, &r, &err), err);
    assert_int_equal(r.n_items, 2);
    assert_true(fixture_exists(f, &ben, id));
    assert_false(fixture_exists(f, &anna, id));
    fixture_clean(f);
}

static void tag_of_anothers_image_is_a_copy(void **state) {
    struct fixture *f = *state;
    const struct store_who anna = {.owner = 1001};
    char previous[STORE_DIGEST_SIZE];
    struct store_removal r;
    struct bh_err err = BH_ERR_INIT;

    fixture_image(f, &(struct fixture_image){.owner = 1001, .name = "a:1", .layers = {"one"}});
    assert_ok(store_tag(&f->store, &fixture_root, "a:1", "mine:1", previous, &err), err);
    assert_ok(rmi(f, &anna, "a:1", false, &r, &err), err);
    assert_true(fixture_exists(f, &fixture_root, "mine:1"));
    fixture_clean(f);
}

static void untag_leaves_the_image(void **state) {
    struct fixture *f = *state;
    const char *id = fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"one"}});
    struct store_removal r = {0};
    struct bh_err err = BH_ERR_INIT;

    assert_ok(store_untag(&f->store, &fixture_root, "a:1", &f->arena, &r, &err), err);
    assert_int_equal(r.n_items, 1);
    assert_true(fixture_exists(f, &fixture_root, id));
    assert_false(fixture_exists(f, &fixture_root, "a:1"));
}

static void moving_a_tag_tells_the_old(void **state) {
    struct fixture *f = *state;
    const char *old = fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"one"}});
    char previous[STORE_DIGEST_SIZE];
    struct bh_err err = BH_ERR_INIT;

    fixture_image(f, &(struct fixture_image){.name = "b:1", .layers = {"two"}});
    assert_ok(store_tag(&f->store, &fixture_root, "b:1", "a:1", previous, &err), err);
    assert_string_equal(previous, old);
    assert_ok(store_tag(&f->store, &fixture_root, "b:1", "a:1", previous, &err), err);
    assert_string_equal(previous, "");
    assert_int_equal(store_tag(&f->store, &fixture_root, "b:1", "sha256:1", previous, &err), BH_E_INVALID);
}

static int prune(struct fixture *f, bool all, bool dry, const char *key, const char *value, struct store_removal *r,
                 struct bh_err *err) {
    const struct store_filter one = {key, value};
    const struct store_filters filters = {&one, key != NULL};

    *r = (struct store_removal){0};
    *err = (struct bh_err)BH_ERR_INIT;
    return store_prune(&f->store, &fixture_root, all, &filters, dry, &f->arena, r, err);
}

static void prune_takes_the_unnamed(void **state) {
    struct fixture *f = *state;
    struct store_removal r;
    struct bh_err err;
    const char *used;

    fixture_image(f, &(struct fixture_image){.name = "a:1", .layers = {"one"}});
    fixture_image(f, &(struct fixture_image){.layers = {"two"}});
    used = fixture_image(f, &(struct fixture_image){.layers = {"three"}});
    fixture_container(f, "c0ffee", used, false);
    assert_ok(prune(f, false, true, NULL, NULL, &r, &err), err);
    assert_int_equal(r.n_items, 1);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM image"), 3);
    assert_ok(prune(f, false, false, NULL, NULL, &r, &err), err);
    assert_int_equal(r.n_items, 2);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM image"), 2);
    assert_ok(prune(f, true, false, NULL, NULL, &r, &err), err);
    assert_false(fixture_exists(f, &fixture_root, "a:1"));
    assert_true(fixture_exists(f, &fixture_root, used));
    fixture_clean(f);
}

static void prune_takes_chains_and_minds_filters(void **state) {
    struct fixture *f = *state;
    struct store_removal r;
    struct bh_err err;
    const char *parent = fixture_image(f, &(struct fixture_image){.layers = {"one"}});

    fixture_image(f, &(struct fixture_image){.parent = parent, .layers = {"one", "two"}});
    fixture_image(f, &(struct fixture_image){.layers = {"three"}, .label = "keep=yes"});
    assert_int_equal(prune(f, true, false, "reference", "x", &r, &err), BH_E_INVALID);
    assert_ok(prune(f, true, false, "label!", "keep", &r, &err), err);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM image"), 1);
    assert_ok(prune(f, true, false, "label", "keep=yes", &r, &err), err);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM image"), 0);
}

#define T(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(last_name_takes_the_image),
        T(shared_layers_stay),
        T(one_of_two_names),
        T(force_takes_all_names),
        T(containers_hold_images),
        T(forced_image_lives_on_for_its_container),
        T(loaded_again_it_is_seen_again),
        T(children_hold_parents_and_take_them_along),
        T(no_prune_leaves_parents),
        T(others_images_are_not_there),
        T(same_image_of_two_owners),
        T(tag_of_anothers_image_is_a_copy),
        T(untag_leaves_the_image),
        T(moving_a_tag_tells_the_old),
        T(prune_takes_the_unnamed),
        T(prune_takes_chains_and_minds_filters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
