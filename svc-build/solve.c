/*
 * solve.c - a build from its request to its image: stages side by side, one failure ends all.
 *
 * Room: build.  Each stage that is needed has a thread; one that needs another's files waits for it.  The call's
 * own thread watches whether the caller is still there.  docs/internals/build.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "finish.h"
#include "job.h"
#include "oci/ref.h"
#include "output.h"
#include "platforms.h"
#include "room.h"

#define STAGE_ARENA ((size_t)256 << 20)
#define STACK_SIZE  ((size_t)512 << 10)
#define JOBS        2
#define LOOK_MS     1000

/* ---- one failure for all --------------------------------------------------------------------- */

static void fail(struct build_job *job, const struct bh_err *err) {
    pthread_mutex_lock(&job->lock);
    if (!job->failed || (job->failure.code == BH_E_CANCELLED && err->code != BH_E_CANCELLED))
        job->failure = *err;
    job->failed = true;
    pthread_cond_broadcast(&job->changed);
    pthread_mutex_unlock(&job->lock);
    build_cancel_set(&job->cancel);
}

static int ended(struct bh_err *err) {
    return bh_err_set(err, BH_E_CANCELLED, "the build has ended");
}

/* ---- slots ----------------------------------------------------------------------------------- */

int build_slot_take(struct build_job *job, struct bh_err *err) {
    unsigned most = job->ask->jobs != 0 ? job->ask->jobs : JOBS;
    int r = 0;

    pthread_mutex_lock(&job->lock);
    while (job->busy >= most && !job->failed)
        pthread_cond_wait(&job->changed, &job->lock);
    if (job->failed)
        r = ended(err);
    else
        job->busy++;
    pthread_mutex_unlock(&job->lock);
    return r;
}

void build_slot_give(struct build_job *job) {
    pthread_mutex_lock(&job->lock);
    job->busy--;
    pthread_cond_broadcast(&job->changed);
    pthread_mutex_unlock(&job->lock);
}

int build_nothing(struct build_job *job, struct bh_digest *out, struct bh_err *err) {
    bool have;

    pthread_mutex_lock(&job->lock);
    have = job->has_nothing;
    *out = job->nothing;
    pthread_mutex_unlock(&job->lock);
    if (have)
        return 0;
    if (build_layer_nothing(job->room->store, build_hold_number(job->hold), out, err) != 0)
        return err->code;
    pthread_mutex_lock(&job->lock);
    job->has_nothing = true;
    job->nothing = *out;
    pthread_mutex_unlock(&job->lock);
    return 0;
}

/* ---- a stage --------------------------------------------------------------------------------- */

/* Where in the file the step stands that has failed. */
static void tell_place(struct build_job *job, const struct build_instruction *in, const struct bh_err *err) {
    struct build_event e = {.problem_file = job->notes.file};

    if (err->code == BH_E_CANCELLED)
        return;
    pthread_mutex_lock(&job->lock);
    if (!job->failed)
        e.problem = build_note_add(&job->notes, BUILD_ERROR, "step-failed", in->at, in->name_len, "%s", err->msg);
    pthread_mutex_unlock(&job->lock);
    if (e.problem != NULL)
        build_tell(job->progress, &e);
}

static int run_trigger(struct build_site *site, const char *text, struct bh_err *err) {
    struct build_instruction *in = NULL;

    if (build_recipe_parse_trigger(text, site->stage->from->at, &site->arena, &in, err) != 0)
        return err->code;
    return build_step(site, in, err);
}

static bool has_vertex(const char *trigger) {
    return strncasecmp(trigger, "RUN", 3) == 0 || strncasecmp(trigger, "COPY", 4) == 0 ||
           strncasecmp(trigger, "ADD", 3) == 0 || strncasecmp(trigger, "WORKDIR", 7) == 0;
}

static int run_stage(struct build_site *site, struct bh_err *err) {
    struct bh_strlist triggers = {0};

    build_plan_label(site->job, site, err);
    if (build_base(site, &triggers, err) != 0)
        return err->code;
    if (site->link->replaced_by != NULL)
        return 0; /* its own instructions do not count */
    for (size_t i = 0; i < triggers.n; i++)
        site->n_commands += has_vertex(triggers.v[i]);
    for (size_t i = 0; i < triggers.n; i++)
        if (run_trigger(site, triggers.v[i], err) != 0)
            return err->code;
    for (size_t i = 0; i < site->stage->n; i++)
        if (build_step(site, site->stage->v[i], err) != 0) {
            tell_place(site->job, site->stage->v[i], err);
            return err->code;
        }
    return 0;
}

static void *stage_thread(void *arg) {
    struct build_site *site = arg;
    struct build_job *job = site->job;
    struct bh_err err = BH_ERR_INIT;

    if (run_stage(site, &err) != 0)
        fail(job, &err);
    pthread_mutex_lock(&job->lock);
    site->done = true;
    pthread_cond_broadcast(&job->changed);
    pthread_mutex_unlock(&job->lock);
    return NULL;
}

/* Locked. */
static int start_stage(struct build_job *job, size_t index, struct bh_err *err) {
    struct build_site *site = &job->sites[index];
    pthread_attr_t attr;
    int e;

    if (site->has_thread)
        return 0;
    site->job = job;
    site->index = index;
    site->stage = &job->recipe.stages[index];
    site->link = &job->stages.v[index];
    bh_arena_init(&site->arena, STAGE_ARENA);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    e = pthread_create(&site->thread, &attr, stage_thread, site);
    pthread_attr_destroy(&attr);
    if (e != 0) {
        bh_arena_fini(&site->arena);
        return bh_err_errno(err, e, "make a thread for a stage");
    }
    site->has_thread = true;
    return 0;
}

int build_wait_stage(struct build_job *job, size_t index, struct build_site **out, struct bh_err *err) {
    struct build_site *site = &job->sites[index];
    int r = 0;

    pthread_mutex_lock(&job->lock);
    if (!job->failed)
        r = start_stage(job, index, err); /* a trigger of an image may need one that nobody else does */
    while (r == 0 && !site->done && !job->failed)
        pthread_cond_wait(&job->changed, &job->lock);
    if (r == 0 && job->failed)
        r = ended(err);
    pthread_mutex_unlock(&job->lock);
    *out = site;
    return r;
}

/* ---- the whole ------------------------------------------------------------------------------- */

struct watch {
    struct build_job *job;
    int wake[2];
};

/* Ends the build when the caller has gone, or cannot be told anything any more. */
static void *watch_thread(void *arg) {
    struct watch *w = arg;
    struct pollfd p[2] = {{.fd = w->job->ask->cancel_fd, .events = POLLIN}, {.fd = w->wake[0], .events = POLLIN}};
    struct bh_err err = BH_ERR_INIT;

    for (;;) {
        if (poll(p, 2, LOOK_MS) < 0 && errno != EINTR)
            return NULL;
        if (p[1].revents != 0)
            return NULL;
        if (p[0].revents != 0 || build_progress_failed(w->job->progress, &err) != 0)
            break;
    }
    bh_err_set(&err, BH_E_CANCELLED, "the build was cancelled");
    fail(w->job, &err);
    return NULL;
}

/* From the last stage down: one that a trigger has started comes before the one that started it. */
static void wait_all(struct build_job *job) {
    for (size_t i = job->stages.n; i-- > 0;) {
        struct build_site *site = &job->sites[i];

        pthread_mutex_lock(&job->lock);
        bool has = site->has_thread;
        pthread_mutex_unlock(&job->lock);
        if (has)
            pthread_join(site->thread, NULL);
    }
}

static int run_stages(struct build_job *job, struct bh_err *err) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < job->stages.n; i++)
        if (job->stages.v[i].needed) {
            pthread_mutex_lock(&job->lock);
            r = start_stage(job, i, err);
            pthread_mutex_unlock(&job->lock);
        }
    if (r != 0)
        fail(job, err);
    wait_all(job);
    return r;
}

void build_sites_free(struct build_job *job) {
    for (size_t i = 0; job->sites != NULL && i < job->stages.n; i++)
        if (job->sites[i].job != NULL) {
            if (job->ask->n_secrets > 0)
                bh_arena_wipe(&job->sites[i].arena);
            bh_arena_fini(&job->sites[i].arena);
            free(job->sites[i].row_ns);
            free(job->sites[i].records);
        }
    free(job->sites);
    job->sites = NULL;
}

int build_run(struct build_job *job, build_end *end, void *arg, struct bh_err *err) {
    struct watch w = {.job = job};
    pthread_t thread;
    int r, e;

    job->sites = bh_xcalloc(job->stages.n, sizeof *job->sites);
    if (pipe2(w.wake, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    e = pthread_create(&thread, NULL, watch_thread, &w);
    if (e != 0) {
        close(w.wake[0]);
        close(w.wake[1]);
        return bh_err_errno(err, e, "make a thread");
    }
    r = run_stages(job, err);
    if (!job->failed && r == 0)
        r = end(job, arg, err);
    close(w.wake[1]); /* ends the watch */
    pthread_join(thread, NULL);
    close(w.wake[0]);
    if (job->failed) {
        *err = job->failure;
        r = err->code;
    }
    return r;
}

/* ---- before it begins ------------------------------------------------------------------------ */

static void tell_problems(struct build_job *job) {
    build_notes_sort(&job->notes);
    for (size_t i = 0; i < job->notes.n; i++) {
        struct build_event e = {.problem = &job->notes.v[i], .problem_file = job->notes.file};

        build_tell(job->progress, &e);
    }
}

static int check_names(const struct build_out *out, struct bh_err *err) {
    for (size_t i = 0; i < out->names.n; i++) {
        struct bh_ref ref;

        if (bh_ref_parse(out->names.v[i], &ref, err) != 0 || bh_ref_check_target(&ref, err) != 0)
            return bh_err_prefix(err, "tag \"%.200s\"", out->names.v[i]);
    }
    if (out->push && out->names.n == 0)
        return bh_err_set(err, BH_E_INVALID, "tag is needed when pushing to registry");
    return 0;
}

static int check_outputs(const struct build_ask *ask, struct bh_err *err) {
    for (size_t i = 0; i < ask->n_outs; i++)
        if (check_names(&ask->outs[i], err) != 0 || build_output_kind(&ask->outs[i], err) != 0)
            return err->code;
    return 0;
}

void build_job_init(struct build_job *job, struct build_room *room, const struct build_ask *ask,
                    struct bh_arena *arena) {
    *job = (struct build_job){.room = room, .ask = ask, .arena = arena, .begin_ns = bh_now_ns(), .platform = ""};
    build_cancel_init(&job->cancel);
    pthread_mutex_init(&job->loading, NULL);
    pthread_mutex_init(&job->lock, NULL);
    pthread_cond_init(&job->changed, NULL);
}

void build_job_fini(struct build_job *job) {
    build_cancel_fini(&job->cancel);
    pthread_mutex_destroy(&job->loading);
    pthread_mutex_destroy(&job->lock);
    pthread_cond_destroy(&job->changed);
}

int build_ready(struct build_job *job, bool tell, struct bh_err *err) {
    if (build_plan(job, err) != 0)
        return err->code;
    if (tell)
        tell_problems(job);
    if (build_notes_verdict(&job->notes, err) != 0 ||
        (job->hold == NULL && build_hold_begin(job->room->store, job->ask->owner, &job->hold, err) != 0))
        return err->code;
    return build_cache_from_load(job, err);
}

static int end_one(struct build_job *job, void *arg, struct bh_err *err) {
    struct build_site *target = &job->sites[job->stages.target];

    (void)arg;
    return build_finish_all(&target, 1, err);
}

int build_solve(struct build_job *job, struct bh_err *err) {
    int r;

    if (check_outputs(job->ask, err) != 0 || build_cache_to_check(job->ask, job->arena, err) != 0 ||
        build_context(job, err) != 0)
        return err->code;
    if (job->ask->platforms.n > 1)
        return build_platforms(job, err);
    job->platform = job->ask->platforms.n > 0 ? job->ask->platforms.v[0] : "";
    r = build_ready(job, true, err);
    if (r == 0)
        r = build_run(job, end_one, NULL, err);
    build_sites_free(job);
    return r;
}
