/*
 * recipe_stages.h - what each stage stands on and takes from, and which stages a target needs.
 *
 * Room: build.  Pure.  Names are resolved in docker's order: an earlier stage, a --build-context, an image.
 * Errors are notes with their place: no such target, base without a name, copy from a later stage, cycles.
 */
#ifndef BUILD_RECIPE_STAGES_H
#define BUILD_RECIPE_STAGES_H

#include "recipe.h"
#include "recipe_expand.h"

enum build_origin { BUILD_ORIGIN_SCRATCH, BUILD_ORIGIN_STAGE, BUILD_ORIGIN_CONTEXT, BUILD_ORIGIN_IMAGE };

/* What FROM, COPY --from or a mount's from= means. */
struct build_source {
    enum build_origin origin;
    const char *name; /* expanded; an image reference, the name of a context or of a stage */
    size_t stage;     /* BUILD_ORIGIN_STAGE */
    const char
        *suggestion; /* IMAGE: a stage that was perhaps meant, for the error when there is no such image; or "" */
};

struct build_stage_link {
    struct build_source base;
    const char *platform;    /* of FROM --platform, expanded; NULL if not given */
    const char *replaced_by; /* a --build-context of the stage's own name stands in for it; NULL if none */
    size_t *needs;           /* stages, each once */
    size_t n_needs;
    bool needed; /* by the target */
};

struct build_stages {
    struct build_stage_link *v; /* one for each stage of the recipe; stages need only stages before them */
    size_t n;
    size_t target;
};

/* 0 also when notes has got errors (out is then not to be used): ask build_notes_verdict.  BH_E_LIMIT. */
int build_stages_resolve(const struct build_recipe *r, const struct build_globals *g, struct bh_arena *arena,
                         struct build_notes *notes, struct build_stages *out, struct bh_err *err);
/* COPY --from=name or a mount's from=name in stage `at`; also for ONBUILD triggers.  BH_E_INVALID. */
int build_source_resolve(const struct build_recipe *r, const struct build_inputs *in, size_t at, const char *name,
                         struct build_source *out, struct bh_err *err);

#endif
