/*
 * plan.c - what a build is going to do, before anything happens.
 *
 * Room: build.  Foreign: the Dockerfile and the options, both a user's.  Everything that can be wrong with them is
 * found here, all of it at once; nothing is asked of another room.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ignore/ignore.h"
#include "job.h"
#include "oci/platform.h"
#include "recipe_check.h"

static const char *platform_text(const struct bh_platform *p, struct bh_arena *arena, struct bh_err *err) {
    char text[BH_PLATFORM_TEXT_SIZE];

    bh_platform_format(p, text);
    return bh_oci_strdup(arena, text, strlen(text), err);
}

static int make_inputs(struct build_job *job, struct bh_err *err) {
    const struct build_ask *ask = job->ask;
    struct build_inputs *in = &job->inputs;
    const char **contexts = bh_oci_alloc(job->arena, (ask->n_named + 1) * sizeof *contexts, err);
    struct bh_platform host, target;

    if (contexts == NULL)
        return err->code;
    bh_platform_host(&host);
    target = host;
    if (job->platform[0] != '\0' && bh_platform_parse(job->platform, &target, err) != 0)
        return err->code;
    for (size_t i = 0; i < ask->n_named; i++)
        contexts[i] = ask->named[i].name;
    *in = (struct build_inputs){.build_args = &ask->build_args,
                                .build_platform = platform_text(&host, job->arena, err),
                                .target_platform = platform_text(&target, job->arena, err),
                                .target = ask->target,
                                .contexts = contexts,
                                .n_contexts = ask->n_named};
    return in->build_platform == NULL || in->target_platform == NULL ? err->code : 0;
}

static int check(struct build_job *job, struct bh_err *err) {
    const struct build_check_input input = {.in = &job->inputs};

    return build_recipe_check(&job->recipe, &input, job->arena, &job->notes, err);
}

int build_plan(struct build_job *job, struct bh_err *err) {
    const struct build_ask *ask = job->ask;

    build_notes_init(&job->notes, job->arena, ask->file_name[0] != '\0' ? ask->file_name : "Dockerfile");
    if (make_inputs(job, err) != 0 ||
        build_recipe_parse(job->file, job->n_file, job->arena, &job->notes, &job->recipe, err) != 0)
        return err->code;
    if (job->notes.errors > 0)
        return 0;
    if (build_globals_init(&job->globals, &job->recipe, &job->inputs, job->arena, err) != 0 ||
        build_stages_resolve(&job->recipe, &job->globals, job->arena, &job->notes, &job->stages, err) != 0)
        return err->code;
    return job->notes.errors > 0 ? 0 : check(job, err);
}

static bool has_vertex(enum build_op op) {
    return op == BUILD_RUN || op == BUILD_COPY || op == BUILD_ADD || op == BUILD_WORKDIR;
}

void build_plan_label(struct build_job *job, struct build_site *site, struct bh_err *err) {
    char text[40];

    site->n_commands =
        site->link->base.origin == BUILD_ORIGIN_STAGE || site->link->base.origin == BUILD_ORIGIN_SCRATCH ? 0 : 1;
    for (size_t i = 0; i < site->stage->n; i++)
        site->n_commands += has_vertex(site->stage->v[i]->op);
    site->label = site->stage->name;
    if (site->label[0] != '\0' || job->recipe.n_stages < 2)
        return;
    snprintf(text, sizeof text, "stage-%zu", site->index);
    site->label = bh_oci_strdup(&site->arena, text, strlen(text), err);
}
