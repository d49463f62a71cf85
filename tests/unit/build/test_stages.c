/*
 * test_stages.c - what stages stand on, which are needed, and names that lead nowhere.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "dump.h"
#include "svc-build/recipe_stages.h"

static const char *const contexts[] = {"ctx", "debian"};

struct resolved {
    struct bh_arena arena;
    struct build_notes notes;
    struct build_recipe r;
    struct bh_pairs args;
    struct build_inputs in;
    struct build_globals g;
    struct build_stages s;
};

static void resolve(struct resolved *x, const char *text, const char *target) {
    struct bh_err err = BH_ERR_INIT;

    memset(x, 0, sizeof *x);
    bh_arena_init(&x->arena, (size_t)16 << 20);
    build_notes_init(&x->notes, &x->arena, "Dockerfile");
    assert_int_equal(build_recipe_parse(text, strlen(text), &x->arena, &x->notes, &x->r, &err), 0);
    assert_int_equal(x->notes.errors, 0);
    assert_int_equal(bh_pairs_set(&x->args, &x->arena, "BASE", "given:1", &err), 0);
    x->in = (struct build_inputs){.build_args = &x->args,
                                  .build_platform = "linux/amd64",
                                  .target_platform = "linux/arm64",
                                  .target = target,
                                  .contexts = contexts,
                                  .n_contexts = BH_ARRAY_LEN(contexts)};
    assert_int_equal(build_globals_init(&x->g, &x->r, &x->in, &x->arena, &err), 0);
    assert_int_equal(build_stages_resolve(&x->r, &x->g, &x->arena, &x->notes, &x->s, &err), 0);
}

/* "image:a platform=p needs 0 1 *;" for each stage; '*': the target needs it. */
static void show(const struct build_stages *s, struct bh_buf *out) {
    static const char *const origins[] = {"scratch", "stage", "context", "image"};

    for (size_t i = 0; i < s->n; i++) {
        const struct build_stage_link *link = &s->v[i];

        bh_buf_adds(out, origins[link->base.origin]);
        if (link->base.origin == BUILD_ORIGIN_STAGE)
            bh_buf_addf(out, ":%zu", link->base.stage);
        else if (link->base.origin != BUILD_ORIGIN_SCRATCH)
            bh_buf_addf(out, ":%s", link->base.name);
        if (link->base.suggestion[0] != '\0')
            bh_buf_addf(out, "(%s?)", link->base.suggestion);
        if (link->platform != NULL)
            bh_buf_addf(out, " platform=%s", link->platform);
        if (link->replaced_by != NULL)
            bh_buf_addf(out, " by=%s", link->replaced_by);
        for (size_t k = 0; k < link->n_needs; k++)
            bh_buf_addf(out, " %zu", link->needs[k]);
        bh_buf_adds(out, link->needed ? " *;" : ";");
    }
}

static void test_good(void **state) {
    static const struct {
        const char *text;
        const char *target;
        const char *want;
    } rows[] = {
        {"FROM a", NULL, "image:a *;"},
        {"FROM scratch", "", "scratch *;"},
        {"FROM a AS x\nFROM x", NULL, "image:a *;stage:0 0 *;"},
        {"FROM a AS x\nFROM X", NULL, "image:a *;stage:0 0 *;"},
        {"FROM a AS x\nFROM b", NULL, "image:a;image:b *;"},
        {"FROM a AS x\nFROM b AS y\nFROM c", "x", "image:a *;image:b;image:c;"},
        {"FROM a AS x\nFROM b AS y\nFROM c", "1", "image:a;image:b *;image:c;"},
        {"FROM a AS x\nFROM b\nCOPY --from=x a b\nCOPY --from=0 c d", NULL, "image:a *;image:b 0 *;"},
        {"FROM a AS x\nFROM b\nRUN --mount=from=x,target=/m c", NULL, "image:a *;image:b 0 *;"},
        {"FROM a\nFROM b\nFROM c AS t\nCOPY --from=1 a b\nFROM d", "t", "image:a;image:b *;image:c 1 *;image:d;"},
        {"FROM a AS x\nFROM x AS x\nFROM x", NULL, "image:a *;stage:0 0 *;stage:1 1 *;"},
        {"FROM a AS x\nFROM b\nCOPY --from=x a b\nFROM c AS x", "1", "image:a *;image:b 0 *;image:c;"},
        {"FROM a AS x\nFROM b AS y\nCOPY --from=other:1 a b", NULL, "image:a;image:b *;"},
        {"ARG BASE\nFROM $BASE", NULL, "image:given:1 *;"},
        {"ARG V=12\nFROM deb:$V-slim", NULL, "image:deb:12-slim *;"},
        {"ARG V=x\nFROM a AS x\nFROM ${V}", NULL, "image:a *;stage:0 0 *;"},
        {"FROM ${NO:-a}", NULL, "image:a *;"},
        {"FROM --platform=$BUILDPLATFORM a", NULL, "image:a platform=linux/amd64 *;"},
        {"FROM --platform=$TARGETPLATFORM a", NULL, "image:a platform=linux/arm64 *;"},
        {"FROM debian", NULL, "context:debian *;"},
        {"FROM docker.io/library/debian:latest", NULL, "context:debian *;"},
        {"FROM debian:12", NULL, "image:debian:12 *;"},
        {"FROM a AS ctx\nCOPY --from=1 a b\nFROM b\nCOPY --from=ctx a b", NULL, "image:a by=ctx *;image:b 0 *;"},
        {"FROM a AS build\nFROM biuld", NULL, "image:a;image:biuld(build?) *;"},
        {"FROM later\nFROM a AS later", NULL, "image:later;image:a *;"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
        struct resolved x;

        resolve(&x, rows[i].text, rows[i].target);
        if (x.notes.errors > 0)
            fail_msg("%s: %s", rows[i].text, x.notes.v[0].message);
        show(&x.s, &got);
        if (strcmp(bh_buf_str(&got), rows[i].want) != 0)
            fail_msg("---\n%s\n--- gives %s, expected %s", rows[i].text, bh_buf_str(&got), rows[i].want);
        bh_arena_fini(&x.arena);
    }
}

static void test_bad(void **state) {
    static const struct {
        const char *text;
        const char *target;
        const char *want; /* dump_notes */
        const char *message;
    } rows[] = {
        {"FROM $NO", NULL, "1:6+3 blank-base\n", "base name ($NO) should not be blank"},
        {"FROM ${NO:?why}", NULL, "1:6+10 bad-substitution\n", NULL},
        {"FROM a AS build\nFROM b", "biuld", "0:1+1 no-target (build)\n", "target stage \"biuld\" could not be found"},
        {"FROM a", "2", "0:1+1 no-target\n", "target stage \"2\" could not be found"},
        {"FROM a AS x\nCOPY --from=x a b", NULL, "2:13+1 invalid-from\n", "circular dependency detected on stage: x"},
        {"FROM a\nCOPY --from=0 a b", NULL, "2:13+1 invalid-from\n", "circular dependency detected on stage: 0"},
        {"FROM a AS x\nCOPY --from=y a b\nFROM b AS y\nRUN --mount=from=z,target=/z c\nFROM c AS z", NULL,
         "2:13+1 invalid-from\n4:13+16 invalid-from\n",
         "cannot copy from stage \"y\", it needs to be defined before current stage \"x\""},
        {"FROM a\nCOPY --from=7 a b", NULL, "2:13+1 invalid-from\n", "invalid stage index 7"},
        {"FROM a:b:c\nFROM Abc", NULL, "1:6+5 invalid-base\n2:6+3 invalid-base\n", NULL},
        {"FROM --platform=$NO a", NULL, "1:17+3 invalid-platform\n", "empty platform value from expression $NO"},
        {"FROM --platform=a/b/c/d a", NULL, "1:17+7 invalid-platform\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct resolved x;

        resolve(&x, rows[i].text, rows[i].target);
        expect_notes(rows[i].text, &x.notes, rows[i].want, rows[i].message);
        bh_arena_fini(&x.arena);
    }
}

static void test_source(void **state) {
    static const struct {
        const char *name;
        enum build_origin origin;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"x", BUILD_ORIGIN_STAGE, "x"},
        {"0", BUILD_ORIGIN_STAGE, "x"},
        {"ctx", BUILD_ORIGIN_CONTEXT, "ctx"},
        {"img:1", BUILD_ORIGIN_IMAGE, "img:1"},
        {"scratch", BUILD_ORIGIN_SCRATCH, "scratch"},
        {"y", BUILD_ORIGIN_STAGE, NULL},
        {"z", BUILD_ORIGIN_STAGE, NULL},
        {"9", BUILD_ORIGIN_STAGE, NULL},
    };
    struct resolved x;

    (void)state;
    resolve(&x, "FROM a AS x\nFROM b AS y\nFROM c AS z", NULL);
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct build_source source;
        int r = build_source_resolve(&x.r, &x.in, 1, rows[i].name, &source, &err);

        assert_int_equal(r, rows[i].want != NULL ? 0 : BH_E_INVALID);
        if (rows[i].want == NULL)
            continue;
        assert_int_equal(source.origin, rows[i].origin);
        assert_string_equal(source.name, rows[i].want);
    }
    bh_arena_fini(&x.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_source)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
