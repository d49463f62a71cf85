/*
 * test_plan.c - what is taken of an archive: names, platforms, layers once each.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "svc-store/load.h"
#include "svc-store/plan.h"

#define D(c)                                                                                                           \
    "sha256:" c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c  \
        c c c c c c c c c c c c
#define REPO "RepoTags"
#define FULL "io.containerd.image.name"
#define REF  "org.opencontainers.image.ref.name"

static const struct {
    const char *name;
    const char *source;
    const char *want; /* NULL: no name */
} names[] = {
    {"debian:12", REPO, "docker.io/library/debian:12"},
    {"debian", REPO, "docker.io/library/debian:latest"},
    {"reg.example/x/y:1", FULL, "reg.example/x/y:1"},
    {"latest", REF, NULL},
    {"13.10", REF, NULL},
    {"v1.2", REF, NULL},
    {"debian", REF, "docker.io/library/debian:latest"},
    {"debian:12", REF, "docker.io/library/debian:12"},
    {"reg.example/x:1@" D("a"), FULL, "reg.example/x:1"},
    {"reg.example/x@" D("a"), FULL, NULL},
    {"UPPER", REPO, NULL},
    {"", REPO, NULL},
};

static void each_name(void **state) {
    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(names); i++) {
        char text[BH_REF_TEXT_SIZE] = "";
        struct bh_ref ref;
        bool got = store_load_name(names[i].name, names[i].source, &ref);

        if (got)
            bh_ref_format(&ref, text);
        if (got != (names[i].want != NULL) || (got && strcmp(text, names[i].want) != 0))
            fail_msg("%s (%s): %s", names[i].name, names[i].source, text);
    }
}

struct made {
    struct store_plan_layer layers[2];
    struct store_plan_name names[2];
    struct store_plan_image image;
};

static void make(struct made *m, const char *arch, const char *variant, const char *config) {
    memset(m, 0, sizeof *m);
    bh_image_config_init(&m->image.config);
    m->image.config.os = "linux";
    m->image.config.architecture = arch;
    m->image.config.variant = variant;
    m->layers[0] = (struct store_plan_layer){.media = "", .digest = "", .diff_id = D("1")};
    m->layers[1] = (struct store_plan_layer){.media = "", .digest = "", .diff_id = config};
    m->image.layers = m->layers;
    m->image.n_layers = 2;
    m->image.index_digest = m->image.manifest_digest = m->image.missing = "";
    m->image.config_digest = config;
    m->image.names = m->names;
}

static struct store_choice choose(struct store_plan_image *images, size_t n, const struct store_plan_index *index,
                                  const char *platform, struct bh_arena *arena, struct bh_err *err) {
    const struct store_plan plan = {
        .images = images, .n_images = n, .indexes = (struct store_plan_index *)index, .n_indexes = index != NULL};
    struct store_choice choice = {0};

    *err = (struct bh_err)BH_ERR_INIT;
    store_plan_choose(&plan, platform, arena, &choice, err);
    return choice;
}

static void layers_come_once(void **state) {
    struct bh_arena arena;
    struct store_choice c;
    struct bh_err err;
    struct made a, b;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    make(&a, "amd64", "", D("a"));
    make(&b, "amd64", "", D("b"));
    a.names[0] = (struct store_plan_name){"x:1", REPO};
    a.names[1] = (struct store_plan_name){"x:1", REPO};
    a.image.n_names = 2;
    c = choose((struct store_plan_image[]){a.image, b.image, a.image}, 3, NULL, "", &arena, &err);
    assert_int_equal(err.code, 0);
    assert_int_equal(c.n_images, 2);
    assert_int_equal(c.n_layers, 3);
    assert_int_equal(c.images[0].n_names, 1);
    bh_arena_fini(&arena);
}

static void an_index_gives_one_platform(void **state) {
    const struct store_plan_name name = {"multi:1", REF};
    const struct store_plan_index index = {.digest = D("e"), .names = (struct store_plan_name *)&name, .n_names = 1};
    struct bh_arena arena;
    struct store_choice c;
    struct bh_err err;
    struct made arm, amd, s390;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    make(&arm, "arm64", "", D("a"));
    make(&amd, "amd64", "", D("b"));
    make(&s390, "s390x", "", D("c"));
    arm.image.index_digest = amd.image.index_digest = s390.image.index_digest = D("e");
    s390.image.missing = "its layers are not in the archive";
    struct store_plan_image v[] = {s390.image, arm.image, amd.image};

    c = choose(v, 3, &index, "linux/arm64", &arena, &err);
    assert_int_equal(c.n_images, 1);
    assert_string_equal(c.images[0].image->config_digest, D("a"));
    assert_int_equal(c.images[0].n_names, 1);
    c = choose(v, 3, &index, "linux/s390x", &arena, &err);
    assert_int_equal(err.code, BH_E_INVALID);
    assert_string_equal(err.reason, "incomplete-archive");
    c = choose(v + 1, 2, &index, "linux/riscv64", &arena, &err);
    assert_int_equal(err.code, BH_E_NOT_FOUND);
    bh_arena_fini(&arena);
}

/* Without a platform: what runs here has the names, the others that are there come along. */
static void an_index_keeps_what_is_there_of_it(void **state) {
    const struct store_plan_name name = {"multi:1", REF};
    const struct store_plan_index index = {.digest = D("e"), .names = (struct store_plan_name *)&name, .n_names = 1};
    struct bh_platform host;
    struct bh_arena arena;
    struct store_choice c;
    struct bh_err err;
    struct made other, own, gone;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    bh_platform_host(&host);
    make(&other, "s390x", "", D("a"));
    make(&own, host.arch, host.variant, D("b"));
    make(&gone, "riscv64", "", D("c"));
    other.image.index_digest = own.image.index_digest = gone.image.index_digest = D("e");
    gone.image.missing = "its layers are not in the archive";
    c = choose((struct store_plan_image[]){gone.image, other.image, own.image}, 3, &index, "", &arena, &err);
    assert_int_equal(err.code, 0);
    assert_int_equal(c.n_images, 2);
    assert_string_equal(c.images[0].image->config_digest, D("a"));
    assert_true(c.images[0].part);
    assert_int_equal(c.images[0].n_names, 0);
    assert_false(c.images[1].part);
    assert_int_equal(c.images[1].n_names, 1);
    assert_int_equal(c.n_layers, 3);

    /* one that is named by itself too is no part */
    own.image.index_digest = "";
    own.names[0] = (struct store_plan_name){"own:1", REPO};
    own.image.n_names = 1;
    c = choose((struct store_plan_image[]){other.image, own.image}, 2, &index, "", &arena, &err);
    assert_int_equal(c.n_images, 2);
    assert_false(c.images[0].part);
    assert_false(c.images[1].part);
    bh_arena_fini(&arena);
}

static void a_named_image_that_is_incomplete_refuses_all(void **state) {
    struct bh_arena arena;
    struct bh_err err;
    struct made a, b;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    make(&a, "amd64", "", D("a"));
    make(&b, "amd64", "", D("b"));
    b.image.missing = "layer 2 is not in the archive";
    choose((struct store_plan_image[]){a.image, b.image}, 2, NULL, "", &arena, &err);
    assert_int_equal(err.code, BH_E_INVALID);
    assert_non_null(strstr(err.msg, "layer 2 is not in the archive"));
    choose(NULL, 0, NULL, "", &arena, &err);
    assert_string_equal(err.msg, "the archive holds no image");
    bh_arena_fini(&arena);
}

/* Memory must not grow with the square of their number. */
static void thousands_of_images(void **state) {
    enum { N = 4000 };
    struct store_plan_image *v = bh_xcalloc(N, sizeof *v);
    struct store_plan_name *each = bh_xcalloc(N, sizeof *each);
    char(*text)[96] = bh_xcalloc(N, sizeof *text);
    struct bh_arena arena;
    struct store_choice c;
    struct bh_err err;
    struct made m;

    (void)state;
    bh_arena_init(&arena, (size_t)8 << 20);
    make(&m, "amd64", "", D("a"));
    for (size_t i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "sha256:%064zx", i);
        each[i] = (struct store_plan_name){text[i] + 65, REPO}; /* a name of six digits */
        v[i] = m.image;
        v[i].config_digest = text[i];
        v[i].names = &each[i];
        v[i].n_names = 1;
    }
    c = choose(v, N, NULL, "", &arena, &err);
    assert_int_equal(err.code, 0);
    assert_int_equal(c.n_images, N);
    assert_int_equal(c.images[N - 1].n_names, 1);
    assert_string_equal(c.images[N - 1].names[0].path, "library/000f9f");
    assert_int_equal(c.n_layers, 2);
    bh_arena_fini(&arena);
    free(text);
    free(each);
    free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name),
        cmocka_unit_test(layers_come_once),
        cmocka_unit_test(an_index_gives_one_platform),
        cmocka_unit_test(an_index_keeps_what_is_there_of_it),
        cmocka_unit_test(a_named_image_that_is_incomplete_refuses_all),
        cmocka_unit_test(thousands_of_images),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
