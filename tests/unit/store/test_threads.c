/*
 * test_threads.c - makers, removers, readers and the collector at once: nothing is lost, nothing stays.
 *
 * Run it in the TSan build too.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "svc-store/gc.h"
#include "svc-store/lease.h"
#include "svc-store/place.h"
#include "svc-store/publish.h"
#include "svc-store/remove.h"
#include "svc-store/save.h"

#define ROUNDS 30

struct worker {
    struct fixture *f;
    int number;
};

/* Like fixture_image, with memory of its own: the fixture's arena is one thread's. */
static void make_image(struct fixture *f, int number, int round, struct bh_arena *arena) {
    const uint64_t sizes[] = {512, 512};
    struct store_publish_image p = {0};
    struct bh_image_config c;
    struct bh_err err = BH_ERR_INIT;
    struct bh_ref name;
    int64_t lease;
    char own[32], text[64];

    snprintf(own, sizeof own, "own %d %d", number, round);
    snprintf(text, sizeof text, "t%d:r%d", number, round);
    assert_ok(store_lease_take(&f->store, 0, "test", &lease, &err), err);
    bh_image_config_init(&c);
    c.os = "linux";
    c.architecture = "amd64";
    const char *layers[] = {"shared base", own};
    for (int i = 0; i < 2; i++) {
        const struct bh_history h = {.created = "", .created_by = layers[i], .author = "", .comment = ""};
        struct bh_digest d;

        /* the fixture's layer goes through place and index as a worker's would */
        store_tidy_share(&f->store);
        assert_ok(bh_digest_parse(fixture_layer_into(&f->store, arena, 0, lease, layers[i]), &d, &err), err);
        store_tidy_end(&f->store);
        assert_ok(bh_image_config_add_layer(&c, &d, &h, arena, &err), err);
    }
    assert_ok(store_image_make(&c, sizes, NULL, arena, &p.image, &err), err);
    assert_ok(bh_ref_parse_tagged(text, &name, &err), err);
    p.names = &name;
    p.n_names = 1;
    assert_ok(store_publish(&f->store, 0, &lease, &p, 1, NULL, NULL, &err), err);
}

static void *maker(void *arg) {
    struct worker *w = arg;

    for (int i = 0; i < ROUNDS; i++) {
        struct store_removal r = {0};
        struct bh_arena arena;
        struct bh_err err = BH_ERR_INIT;
        char name[64];

        bh_arena_init(&arena, (size_t)8 << 20);
        make_image(w->f, w->number, i, &arena);
        snprintf(name, sizeof name, "t%d:r%d", w->number, i);
        if (i % 3 != 0)
            assert_ok(store_remove(&w->f->store, &fixture_root, name, false, false, &arena, &r, &err), err);
        bh_arena_fini(&arena);
    }
    return NULL;
}

static int discard(void *arg, const void *data, size_t n, struct bh_err *err) {
    (void)arg;
    (void)data;
    (void)n;
    (void)err;
    return 0;
}

static void *reader(void *arg) {
    struct worker *w = arg;

    for (int i = 0; i < ROUNDS; i++) {
        STORE_SCOPE_READ struct store_db *db = NULL;
        const char *names[] = {"t0:r0"};
        const struct store_save save = {.who = fixture_root, .names = names, .n_names = 1, .platform = ""};
        struct store_tarout out = {.fd = -1, .sink = discard};
        struct bh_err err = BH_ERR_INIT;
        struct store_image *images;
        struct bh_arena arena;
        size_t n;

        bh_arena_init(&arena, (size_t)8 << 20);
        assert_ok(store_read_begin(w->f->store.index, &db, &err), err);
        assert_ok(store_image_list(db, &fixture_root, &arena, &images, &n, &err), err);
        store_read_end(db);
        db = NULL;
        bh_arena_fini(&arena);
        if (store_save(&w->f->store, &save, &out, &err) != 0)
            assert_int_equal(err.code, BH_E_NOT_FOUND); /* before the first was made */
        store_gc_now(&w->f->store);
    }
    return NULL;
}

static void all_at_once(void **state) {
    struct fixture *f = *state;
    struct worker w[6];
    pthread_t t[6];

    for (int i = 0; i < 6; i++) {
        w[i] = (struct worker){f, i};
        assert_int_equal(pthread_create(&t[i], NULL, i < 4 ? maker : reader, &w[i]), 0);
    }
    for (int i = 0; i < 6; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM image"), 4 * ROUNDS / 3);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer"), 4 * ROUNDS / 3 + 1);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM lease"), 0);
    fixture_clean(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_at_once, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
