/*
 * platforms.c - see platforms.h.
 *
 * Room: build.
 */
#include "platforms.h"

#include <string.h>

#include "base/mem.h"
#include "finish.h"
#include "methods.h"
#include "oci/platform.h"
#include "room.h"

struct rounds {
    struct build_job *job; /* the call's own, which no stage has */
    struct build_job v[BUILD_PLATFORMS_MAX];
    struct bh_arena arena[BUILD_PLATFORMS_MAX];
    size_t n;
};

static int check(const struct build_ask *ask, struct bh_err *err) {
    struct bh_platform p;

    if (ask->platforms.n > BUILD_PLATFORMS_MAX)
        return bh_err_set(err, BH_E_LIMIT, "--platform: at most %d platforms in one build", BUILD_PLATFORMS_MAX);
    for (size_t i = 0; i < ask->platforms.n; i++) {
        if (bh_platform_parse(ask->platforms.v[i], &p, err) != 0)
            return err->code;
        for (size_t k = 0; k < i; k++)
            if (strcmp(ask->platforms.v[i], ask->platforms.v[k]) == 0)
                return bh_err_set(err, BH_E_INVALID, "--platform names %s twice", ask->platforms.v[i]);
    }
    return 0;
}

/* Result and names are the last round's to make, while the caller is still watched. */
static int end_all(struct build_job *job, void *arg, struct bh_err *err) {
    struct rounds *r = arg;
    struct build_site *sites[BUILD_PLATFORMS_MAX];

    if (job != &r->v[r->job->ask->platforms.n - 1])
        return 0;
    for (size_t i = 0; i < r->n; i++)
        sites[i] = &r->v[i].sites[r->v[i].stages.target];
    return build_finish_all(sites, r->n, err);
}

static int run_round(struct rounds *r, const char *platform, struct bh_err *err) {
    struct build_job *job = &r->v[r->n];

    bh_arena_init(&r->arena[r->n], BUILD_RECIPE_ARENA + BUILD_CALL_ARENA);
    build_job_init(job, r->job->room, r->job->ask, &r->arena[r->n]);
    r->n++;
    job->platform = platform;
    job->several = true;
    job->begin_ns = r->job->begin_ns;
    memcpy(job->id, r->job->id, sizeof job->id);
    job->file = r->job->file;
    job->n_file = r->job->n_file;
    job->context = r->job->context;
    job->ignore = r->job->ignore;
    job->named = r->job->named;
    job->hold = r->job->hold;
    job->progress = r->job->progress;
    if (build_ready(job, r->n == 1, err) != 0)
        return err->code;
    return build_run(job, end_all, r, err);
}

int build_platforms(struct build_job *job, struct bh_err *err) {
    struct rounds *r;

    if (check(job->ask, err) != 0 ||
        (job->hold == NULL && build_hold_begin(job->room->store, job->ask->owner, &job->hold, err) != 0))
        return err->code;
    r = bh_xcalloc(1, sizeof *r);
    r->job = job;
    for (size_t i = 0; i < job->ask->platforms.n && err->code == 0; i++)
        run_round(r, job->ask->platforms.v[i], err);
    while (r->n > 0) {
        r->n--;
        build_sites_free(&r->v[r->n]);
        build_job_fini(&r->v[r->n]);
        if (job->ask->n_secrets > 0)
            bh_arena_wipe(&r->arena[r->n]);
        bh_arena_fini(&r->arena[r->n]);
    }
    free(r);
    return err->code;
}
