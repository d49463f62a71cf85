/*
 * check_rpc.c - handler: Build/Check.  What a file says, without doing any of it.
 *
 * Room: build.  Foreign: the request.  The client sends a build's context after this, and only what is in
 * `context_path`.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "convert_rpc.h"
#include "job.h"
#include "methods.h"
#include "recipe_outline.h"
#include "room.h"
#include "rpc/server.h"

/* ---- lists of what is used --------------------------------------------------------------------- */

struct uses {
    struct build_job *job;
    struct bh_strlist paths, names, secrets, ssh, secrets_required, ssh_required;
    struct bh_err *err;
    bool failed;
};

static void use(struct uses *u, struct bh_strlist *list, const char *text) {
    if (!u->failed && !bh_strlist_has(list, text))
        u->failed = bh_strlist_add(list, u->job->arena, text, u->err) != 0;
}

/* The folder of a source up to its first wildcard or variable: what must be there. */
static void use_path(struct uses *u, const char *source) {
    size_t n = strcspn(source, "*?[\\$\"'");
    BH_SCOPE_FREE char *text = bh_xstrndup(source, n);
    const char *clean = "/";

    if (source[n] != '\0') { /* not whole: its last part is no name yet */
        char *slash = strrchr(text, '/');

        if (slash != NULL)
            *slash = '\0';
        else
            text[0] = '\0';
    }
    if (build_path_join("/", text, u->job->arena, &clean, u->err) != 0) {
        u->failed = true;
        return;
    }
    use(u, &u->paths, strcmp(clean, "/") == 0 ? "/" : clean + 1);
}

static void use_source(struct uses *u, size_t at, const char *from) {
    struct build_source s;
    struct bh_err ignored = BH_ERR_INIT;

    if (build_source_resolve(&u->job->recipe, &u->job->inputs, at, from, &s, &ignored) != 0)
        return;
    /* the contexts' names are not known yet: any name that is no stage may be one */
    if (s.origin == BUILD_ORIGIN_IMAGE || s.origin == BUILD_ORIGIN_CONTEXT)
        use(u, &u->names, s.name);
}

static bool is_address(const char *s) {
    return bh_str_starts(s, "http://") || bh_str_starts(s, "https://") || bh_str_starts(s, "git@");
}

static void use_copy(struct uses *u, size_t at, const struct build_instruction *in) {
    if (in->copy.from.s != NULL) {
        use_source(u, at, in->copy.from.s);
        return;
    }
    for (size_t i = 0; i < in->copy.sources.n; i++)
        if (in->op == BUILD_COPY || !is_address(in->copy.sources.v[i].s))
            use_path(u, in->copy.parents ? "/" : in->copy.sources.v[i].s);
}

static void use_mounts(struct uses *u, size_t at, const struct build_instruction *in) {
    for (size_t i = 0; i < in->run.n_mounts; i++) {
        struct build_mount m;
        struct bh_err ignored = BH_ERR_INIT;

        if (in->run.mounts[i].from != NULL)
            use_source(u, at, in->run.mounts[i].from);
        if (build_mount_read(&in->run.mounts[i], NULL, u->job->arena, &m, &ignored) != 0)
            continue;
        if (m.type == BUILD_MOUNT_BIND && m.from == NULL)
            use_path(u, m.source != NULL && m.source[0] != '\0' ? m.source : "/");
        if (m.type == BUILD_MOUNT_SECRET && m.id != NULL)
            use(u, &u->secrets, m.id);
        if (m.type == BUILD_MOUNT_SECRET && m.id != NULL && m.required)
            use(u, &u->secrets_required, m.id);
        if (m.type == BUILD_MOUNT_SSH && m.id != NULL)
            use(u, &u->ssh, m.id);
        if (m.type == BUILD_MOUNT_SSH && m.id != NULL && m.required)
            use(u, &u->ssh_required, m.id);
    }
}

static void use_instruction(struct uses *u, size_t at, const struct build_instruction *in) {
    if (in->op == BUILD_COPY || in->op == BUILD_ADD)
        use_copy(u, at, in);
    if (in->op == BUILD_RUN)
        use_mounts(u, at, in);
}

/* Triggers of a base image take files of the context too.  One that must be fetched first may have any. */
static void use_triggers(struct uses *u, size_t at, const char *name) {
    struct build_job *job = u->job;
    struct build_image image;
    struct bh_err ignored = BH_ERR_INIT;

    if (build_image_open(job->room->store, job->ask->owner, name, job->inputs.target_platform, job->arena, &image,
                         &ignored) != 0) {
        use_path(u, "/");
        return;
    }
    for (size_t i = 0; i < image.config.config.on_build.n; i++) {
        struct build_instruction *in = NULL;

        if (build_recipe_parse_trigger(image.config.config.on_build.v[i], job->recipe.stages[at].from->at, job->arena,
                                       &in, &ignored) == 0)
            use_instruction(u, at, in);
    }
}

static int find_uses(struct uses *u) {
    const struct build_job *job = u->job;

    for (size_t i = 0; i < job->stages.n; i++) {
        if (!job->stages.v[i].needed)
            continue;
        if (job->stages.v[i].base.origin == BUILD_ORIGIN_IMAGE || job->stages.v[i].base.origin == BUILD_ORIGIN_CONTEXT)
            use(u, &u->names, job->stages.v[i].base.name);
        if (job->stages.v[i].base.origin == BUILD_ORIGIN_IMAGE)
            use_triggers(u, i, job->stages.v[i].base.name);
        if (job->recipe.stages[i].name[0] != '\0')
            use(u, &u->names, job->recipe.stages[i].name);
        for (size_t k = 0; k < job->recipe.stages[i].n; k++)
            use_instruction(u, i, job->recipe.stages[i].v[k]);
    }
    return u->failed ? u->err->code : 0;
}

/* ---- the reply --------------------------------------------------------------------------------- */

static int problems_msg(struct build_job *job, BD_MSG(CheckReply) * out, struct bh_err *err) {
    BD_MSG(Problem) *all = bh_oci_alloc(job->arena, (job->notes.n + 1) * sizeof *all, err);

    out->problem = bh_oci_alloc(job->arena, (job->notes.n + 1) * sizeof *out->problem, err);
    if (all == NULL || out->problem == NULL)
        return err->code;
    build_notes_sort(&job->notes);
    for (size_t i = 0; i < job->notes.n; i++) {
        build_problem_msg(&job->notes.v[i], job->notes.file, &all[i]);
        out->problem[i] = &all[i];
    }
    out->n_problem = job->notes.n;
    return 0;
}

static int stages_msg(struct build_job *job, BD_MSG(CheckReply) * out, struct bh_err *err) {
    BD_MSG(StageInfo) *all = bh_oci_alloc(job->arena, (job->stages.n + 1) * sizeof *all, err);

    out->stage = bh_oci_alloc(job->arena, (job->stages.n + 1) * sizeof *out->stage, err);
    if (all == NULL || out->stage == NULL)
        return err->code;
    for (size_t i = 0; i < job->stages.n; i++) {
        const struct build_source *base = &job->stages.v[i].base;

        bulkhead__build__v1__stage_info__init(&all[i]);
        all[i].name = (char *)job->recipe.stages[i].name;
        all[i].from = (char *)(base->origin == BUILD_ORIGIN_SCRATCH ? "scratch" : base->name != NULL ? base->name : "");
        all[i].steps = (uint32_t)job->recipe.stages[i].n;
        all[i].needed = job->stages.v[i].needed;
        all[i].target = i == job->stages.target;
        all[i].description =
            (char *)build_outline_description(&job->recipe.stages[i].from->comments, job->recipe.stages[i].name);
        out->stage[i] = &all[i];
    }
    out->n_stage = job->stages.n;
    return 0;
}

static int args_msg(struct build_job *job, BD_MSG(CheckReply) * out, struct bh_err *err) {
    const struct build_globals *g = &job->globals;
    size_t n = 0, most = g->n - g->n_fixed;

    for (size_t i = 0; i < job->recipe.n_stages; i++)
        for (size_t k = 0; k < job->recipe.stages[i].n; k++)
            if (job->recipe.stages[i].v[k]->op == BUILD_ARG)
                most += job->recipe.stages[i].v[k]->pairs.n;
    Bulkhead__Common__V1__Pair *all = bh_oci_alloc(job->arena, (most + 1) * sizeof *all, err);

    out->arg = bh_oci_alloc(job->arena, (most + 1) * sizeof *out->arg, err);
    if (all == NULL || out->arg == NULL)
        return err->code;
    for (size_t i = 0; i < job->recipe.n_global_args + job->recipe.n_stages; i++) {
        bool global = i < job->recipe.n_global_args;
        const struct build_stage *stage = global ? NULL : &job->recipe.stages[i - job->recipe.n_global_args];
        size_t count = global ? 1 : stage->n;

        for (size_t k = 0; k < count; k++) {
            const struct build_instruction *in = global ? job->recipe.global_args[i] : stage->v[k];

            for (size_t p = 0; in->op == BUILD_ARG && p < in->pairs.n && n < most; p++) {
                bulkhead__common__v1__pair__init(&all[n]);
                all[n].key = (char *)in->pairs.v[p].key.s;
                all[n].value = (char *)(in->pairs.v[p].value.s != NULL ? in->pairs.v[p].value.s : "");
                out->arg[n] = &all[n];
                n++;
            }
        }
    }
    out->n_arg = n;
    return 0;
}

static int outline_msg(struct build_job *job, BD_MSG(CheckReply) * out, struct bh_err *err) {
    struct build_outline outline;
    BD_MSG(OutlineArg) * all;

    if (build_outline_make(&job->recipe, &job->globals, &job->stages, job->arena, &outline, err) != 0)
        return err->code;
    all = bh_oci_alloc(job->arena, (outline.n + 1) * sizeof *all, err);
    out->outline = bh_oci_alloc(job->arena, (outline.n + 1) * sizeof *out->outline, err);
    if (all == NULL || out->outline == NULL)
        return err->code;
    for (size_t i = 0; i < outline.n; i++) {
        bulkhead__build__v1__outline_arg__init(&all[i]);
        all[i].name = (char *)outline.v[i].name;
        all[i].value = (char *)outline.v[i].value;
        all[i].description = (char *)outline.v[i].description;
        all[i].line = outline.v[i].line;
        out->outline[i] = &all[i];
    }
    out->n_outline = outline.n;
    return 0;
}

static int reply_of(struct build_job *job, struct uses *u, BD_MSG(CheckReply) * out, struct bh_err *err) {
    struct bh_err verdict = BH_ERR_INIT;

    out->failed = build_notes_verdict(&job->notes, &verdict) != 0;
    if (problems_msg(job, out, err) != 0)
        return err->code;
    if (job->notes.errors > 0)
        return 0;
    u->err = err;
    if (find_uses(u) != 0 || stages_msg(job, out, err) != 0 || args_msg(job, out, err) != 0 ||
        outline_msg(job, out, err) != 0)
        return err->code;
    out->context_path = (char **)u->paths.v;
    out->n_context_path = u->paths.n;
    out->context_name = (char **)u->names.v;
    out->n_context_name = u->names.n;
    out->secret = (char **)u->secrets.v;
    out->n_secret = u->secrets.n;
    out->ssh = (char **)u->ssh.v;
    out->n_ssh = u->ssh.n;
    out->secret_required = (char **)u->secrets_required.v;
    out->n_secret_required = u->secrets_required.n;
    out->ssh_required = (char **)u->ssh_required.v;
    out->n_ssh_required = u->ssh_required.n;
    return 0;
}

static int check(struct build_room *room, struct bh_call *call, const BD_MSG(CheckRequest) * m, struct bh_arena *arena,
                 struct bh_err *err) {
    BD_MSG(CheckReply) reply = BULKHEAD__BUILD__V1__CHECK_REPLY__INIT;
    struct build_ask ask = {.dockerfile = m->dockerfile.data,
                            .n_dockerfile = m->dockerfile.len,
                            .file_name = m->name,
                            .target = m->target,
                            .owner = bh_call_peer(call)->uid};
    struct build_job job = {.room = room,
                            .ask = &ask,
                            .arena = arena,
                            .platform = m->platform,
                            .file = (const char *)m->dockerfile.data,
                            .n_file = m->dockerfile.len};
    struct uses uses = {.job = &job};

    if (build_pairs_of(m->build_arg, m->n_build_arg, arena, &ask.build_args, err) != 0 || build_plan(&job, err) != 0 ||
        reply_of(&job, &uses, &reply, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}

int build_rpc_check(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, BUILD_RECIPE_ARENA + BUILD_CALL_ARENA);
    r = check(room, call, (const BD_MSG(CheckRequest) *)request, &arena, err);
    bh_arena_fini(&arena);
    return r;
}
