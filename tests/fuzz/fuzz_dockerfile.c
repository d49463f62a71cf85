/*
 * fuzz_dockerfile.c - any bytes as a Dockerfile: parsed, its stages resolved, checked, every instruction expanded.
 *
 * Besides memory safety: a word stands where it says it does, a trigger that was taken can be read again, and what
 * is said of the file can be shown.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "svc-build/recipe_check.h"
#include "svc-build/recipe_outline.h"
#include "svc-build/recipe_stages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool truth) {
    if (!truth)
        abort();
}

static void check_place(const struct build_notes *notes, struct build_pos at) {
    need(at.line >= 1 && at.line <= notes->n_lines && at.column >= 1);
    need(notes->line_at[at.line - 1] + at.column - 1 <= notes->line_at[at.line]);
}

static void check_trigger(const struct build_instruction *in, struct bh_arena *arena) {
    struct bh_err err = BH_ERR_INIT;
    struct build_instruction *again;
    int rc = build_recipe_parse_trigger(in->onbuild.text, in->at, arena, &again, &err);

    need(rc == 0 || rc == BH_E_LIMIT);
}

static void one(const struct build_notes *notes, struct build_instruction *in, struct build_scope *s, bool backslash) {
    struct bh_err err = BH_ERR_INIT;
    struct build_instruction copy;
    struct build_mount mount;
    struct bh_strlist env;

    check_place(notes, in->at);
    if (in->op == BUILD_ONBUILD && backslash && notes->errors == 0)
        check_trigger(in, s->arena);
    if (in->op == BUILD_ARG)
        build_scope_declare(s, in, &err);
    for (size_t i = 0; in->op == BUILD_RUN && i < in->run.n_mounts; i++)
        build_mount_read(&in->run.mounts[i], s, s->arena, &mount, &err);
    if (in->op == BUILD_RUN)
        build_scope_run_env(s, false, s->arena, &env, &err);
    if (build_instruction_expand(in, s, &copy, &err) == 0 && in->op == BUILD_ENV)
        build_scope_set_env(s, &copy, &err);
}

static void check_outline(const struct build_recipe *r, const struct build_globals *g,
                          const struct build_stages *stages, struct bh_arena *arena) {
    struct bh_err err = BH_ERR_INIT;
    struct build_outline outline;

    if (build_outline_make(r, g, stages, arena, &outline, &err) != 0)
        return;
    for (size_t i = 1; i < outline.n; i++) {
        need(outline.v[i - 1].line <= outline.v[i].line);
        need(strcmp(outline.v[i - 1].name, outline.v[i].name) != 0);
    }
}

static void check_recipe(const struct build_recipe *r, struct build_notes *notes, struct bh_arena *arena) {
    static const char *const contexts[] = {"c"};
    struct build_inputs in = {
        .build_platform = "linux/amd64", .target_platform = "linux/arm64", .contexts = contexts, .n_contexts = 1};
    struct build_check_input input = {.in = &in};
    struct bh_err err = BH_ERR_INIT;
    struct build_globals g;
    struct build_stages stages;
    struct build_scope s;

    if (build_globals_init(&g, r, &in, arena, &err) != 0)
        return;
    if (build_stages_resolve(r, &g, arena, notes, &stages, &err) == 0 && notes->errors == 0) {
        for (size_t i = 0; i < stages.n; i++)
            need(stages.v[i].base.origin != BUILD_ORIGIN_STAGE || stages.v[i].base.stage < i);
        check_outline(r, &g, &stages, arena);
    }
    build_recipe_check(r, &input, arena, notes, &err);
    for (size_t i = 0; i < r->n_stages; i++) {
        build_scope_init(&s, &g, NULL, arena);
        for (size_t k = 0; k < r->stages[i].n; k++)
            one(notes, r->stages[i].v[k], &s, r->escape == '\\');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_arena arena;
    struct build_notes notes;
    struct build_recipe r;

    bh_arena_init(&arena, (size_t)64 << 20);
    build_notes_init(&notes, &arena, "Dockerfile");
    if (build_recipe_parse((const char *)data, size, &arena, &notes, &r, &err) == 0) {
        check_recipe(&r, &notes, &arena);
        build_notes_render(&notes, &out);
        build_notes_json(&notes, &out);
        need(build_notes_verdict(&notes, &err) == 0 || notes.errors > 0 || notes.warnings_fail);
    }
    bh_arena_fini(&arena);
    return 0;
}
