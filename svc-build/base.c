/*
 * base.c - what a stage begins with: nothing, an earlier stage, or an image; and images that files come from.
 *
 * Room: build.  A local image is taken as it is; one that is not here, or shall be fresh, is pulled by the
 * registry room for the caller of the build.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "job.h"
#include "oci/platform.h"
#include "oci/ref.h"
#include "room.h"

#define SHORT_ID     12 /* digits, at least: what lists show */
#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- images by name -------------------------------------------------------------------------- */

static bool fits(const struct bh_image_config *image, const char *platform) {
    struct bh_platform want, have;
    struct bh_err ignored = BH_ERR_INIT;

    if (bh_platform_parse(platform, &want, &ignored) != 0)
        return false;
    bh_image_config_platform(image, &have);
    return bh_platform_rank(&want, &have) >= 0;
}

/* A room that cannot pull yet is no reason to hide that there is no such image. */
static int pull(struct build_job *job, struct build_vertex_ref v, const struct build_pull *what,
                const struct bh_err *missing, const char **out_id, struct bh_err *err) {
    struct bh_err pulled = BH_ERR_INIT;

    if (build_pull(job->room->registry, job->ask, what, &job->cancel, v, out_id, &pulled) == 0)
        return 0;
    *err = pulled.code == BH_E_UNIMPLEMENTED && missing->code != 0 ? *missing : pulled;
    return err->code;
}

int build_base_image(struct build_job *job, struct build_vertex_ref v, const char *name, const char *platform,
                     struct bh_arena *arena, struct build_image *out, struct bh_err *err) {
    struct build_pull what = {
        .hold = build_hold_number(job->hold), .reference = name, .platform = platform, .arena = arena};
    struct bh_err missing = BH_ERR_INIT;
    const char *id = NULL;
    int r;

    r = build_image_open(job->room->store, job->ask->owner, name, platform, arena, out, &missing);
    if (r == 0 && out->reference[0] == '\0' &&
        strlen(name) < SHORT_ID) { /* a slip of a name, which an id begins with */
        *out = (struct build_image){0};
        r = bh_err_set(&missing, BH_E_NOT_FOUND, "No such image: %s", name);
    }
    if (r == 0 && fits(&out->config, platform) && !job->ask->pull)
        return 0;
    if (r != 0 && r != BH_E_NOT_FOUND) {
        *err = missing;
        return r;
    }
    if (r == 0 && !fits(&out->config, platform)) {
        bh_err_set(&missing, BH_E_NOT_FOUND, "image %s is here, but not for %s", name, platform);
        bh_err_reason(&missing, "wrong-platform");
    }
    what.missing = r != 0 && !job->ask->pull;
    if (pull(job, v, &what, &missing, &id, err) != 0)
        return err->code;
    return build_image_open(job->room->store, job->ask->owner, id, platform, arena, out, err);
}

static const struct build_named *named_context(const struct build_ask *ask, const char *name) {
    for (size_t i = 0; i < ask->n_named; i++)
        if (strcmp(ask->named[i].name, name) == 0)
            return &ask->named[i];
    return NULL;
}

static const struct build_stack *named_files(const struct build_job *job, const struct build_named *named) {
    return &job->named[named - job->ask->named];
}

static int load_archive(struct build_job *job, const struct build_named *named, const char *platform,
                        char out_id[BH_DIGEST_TEXT_SIZE], struct bh_err *err) {
    const struct build_load_ask ask = {.hold = build_hold_number(job->hold), .platform = platform, .fd = named->fd};
    int r;

    pthread_mutex_lock(&job->loading);
    r = lseek(named->fd, 0, SEEK_SET) == 0 ? build_load(job->room->store, &ask, &job->cancel, out_id, err)
                                           : bh_err_errno(err, errno, "read the archive again");
    pthread_mutex_unlock(&job->loading);
    return r == 0 ? 0 : bh_err_prefix(err, "build context %s", named->name);
}

/* The image that a named context stands for; named NULL: an image by its name. */
static int open_image(struct build_job *job, struct build_vertex_ref v, const struct build_named *named,
                      const char *name, const char *platform, struct bh_arena *arena, struct build_image *out,
                      struct bh_err *err) {
    char id[BH_DIGEST_TEXT_SIZE];

    if (named == NULL || !named->archive)
        return build_base_image(job, v, named != NULL ? named->reference : name, platform, arena, out, err);
    if (load_archive(job, named, platform, id, err) != 0)
        return err->code;
    return build_image_open(job->room->store, job->ask->owner, id, "", arena, out, err);
}

/* ---- FROM ------------------------------------------------------------------------------------ */

const char *build_stage_platform(const struct build_site *site) {
    return site->link->platform != NULL ? site->link->platform : site->job->inputs.target_platform;
}

/* An image that tells no PATH gets the usual one, as docker does it. */
static int need_path(struct build_site *site, struct bh_err *err) {
    struct bh_strlist *env = &site->image.config.env;

    for (size_t i = 0; i < env->n; i++)
        if (bh_str_starts(env->v[i], "PATH="))
            return 0;
    return bh_strlist_add(env, &site->arena, DEFAULT_PATH, err);
}

static int from_scratch(struct build_site *site, struct bh_err *err) {
    struct bh_platform p;

    bh_image_config_init(&site->image);
    if (bh_platform_parse(build_stage_platform(site), &p, err) != 0)
        return err->code;
    site->image.os = bh_oci_strdup(&site->arena, p.os, strlen(p.os), err);
    site->image.architecture = bh_oci_strdup(&site->arena, p.arch, strlen(p.arch), err);
    site->image.variant = bh_oci_strdup(&site->arena, p.variant, strlen(p.variant), err);
    site->image.config.working_dir = "/";
    if (site->image.os == NULL || site->image.architecture == NULL || site->image.variant == NULL)
        return err->code;
    return need_path(site, err);
}

static int from_stage(struct build_site *site, size_t index, struct bh_err *err) {
    struct build_site *base = NULL;

    if (build_wait_stage(site->job, index, &base, err) != 0 ||
        bh_image_config_copy(&base->image, &site->arena, &site->image, err) != 0)
        return err->code;
    site->base_history = base->base_history;
    site->base_layers = base->base_layers;
    site->n_rows = base->n_rows;
    site->cap_rows = base->n_rows;
    if (base->n_rows > 0) {
        site->row_ns = bh_xcalloc(base->n_rows, sizeof *site->row_ns);
        memcpy(site->row_ns, base->row_ns, base->n_rows * sizeof *site->row_ns);
    }
    build_scope_init(&site->scope, &site->job->globals, &site->image.config.env, &site->arena);
    site->scope.args = base->scope.args; /* never changed in place */
    site->scope.n_args = base->scope.n_args;
    site->n_records = site->cap_records = base->n_records;
    if (base->n_records > 0) {
        site->records = bh_xcalloc(base->n_records, sizeof *site->records);
        memcpy(site->records, base->records, base->n_records * sizeof *site->records);
    }
    return 0;
}

static const char *shown_name(const char *name, struct bh_arena *arena) {
    char text[BH_REF_TEXT_SIZE];
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_ref ref;
    const char *copy;

    if (bh_ref_parse_tagged(name, &ref, &ignored) != 0)
        return name;
    bh_ref_format(&ref, text);
    copy = bh_oci_strdup(arena, text, strlen(text), &ignored);
    return copy != NULL ? copy : name;
}

/* Unknown names are told with what was perhaps meant. */
static int hint_name(const struct build_source *source, struct bh_err *err) {
    if (source->suggestion != NULL && source->suggestion[0] != '\0' && err->hint[0] == '\0')
        bh_err_hint(err, "did you mean the stage %s?", source->suggestion);
    return err->code;
}

static int from_image(struct build_site *site, const struct build_named *named, const char *name, struct bh_err *err) {
    BH_SCOPE_FREE char *text = bh_xasprintf(
        "FROM %s", named != NULL && named->archive ? named->name
                                                   : shown_name(named != NULL ? named->reference : name, &site->arena));
    struct build_vertex_ref v = build_vertex_begin(site, NULL, text);
    struct build_image image;
    int r;

    r = open_image(site->job, v, named, name, build_stage_platform(site), &site->arena, &image, err);
    build_vertex_end(v, r == 0 ? BUILD_V_DONE : BUILD_V_ERROR, err);
    if (r != 0)
        return hint_name(&site->link->base, err);
    site->image = image.config;
    site->image.build_cache = (struct bh_strlist){0}; /* of its own steps, not of ours */
    site->base_history = image.config.n_history;
    site->base_layers = image.config.n_diff_ids;
    return need_path(site, err);
}

/* A folder or an archive as base: its files are the first layer. */
static int from_files(struct build_site *site, const struct build_stack *files, struct bh_err *err) {
    static const char *all[] = {"/"};
    const struct build_item item = {.has_from = true,
                                    .from = *files,
                                    .sources = {.present = true, .n = 1, .v = all},
                                    .target = "/",
                                    .uid = -1,
                                    .gid = -1,
                                    .contents = true};
    const struct build_compose c = {.hold = build_hold_number(site->job->hold),
                                    .items = &item,
                                    .n_items = 1,
                                    .clamp = site->job->ask->has_epoch,
                                    .clamp_ns = site->job->ask->epoch_ns};
    struct build_result result = {.created_ns = bh_now_ns()};
    struct build_composed made;

    if (from_scratch(site, err) != 0 ||
        build_compose(site->job->room->store, &c, &site->job->cancel, &site->arena, &made, err) != 0)
        return err->code;
    result.has_layer = !made.empty;
    result.layer = made.layer;
    return build_history_layer(site, "COPY / /", &result, err);
}

static int begin(struct build_site *site, struct bh_err *err) {
    const struct build_source *base = &site->link->base;
    const struct build_named *named =
        base->origin == BUILD_ORIGIN_CONTEXT ? named_context(site->job->ask, base->name) : NULL;

    if (site->link->replaced_by != NULL)
        named = named_context(site->job->ask, site->link->replaced_by);
    if (named != NULL && build_has_files(named_files(site->job, named)))
        return from_files(site, named_files(site->job, named), err);
    if (named == NULL && base->origin == BUILD_ORIGIN_SCRATCH)
        return from_scratch(site, err);
    if (named == NULL && base->origin == BUILD_ORIGIN_STAGE)
        return from_stage(site, base->stage, err);
    return from_image(site, named, base->name, err);
}

int build_base(struct build_site *site, struct bh_strlist *out_triggers, struct bh_err *err) {
    if (begin(site, err) != 0)
        return err->code;
    if (site->scope.globals == NULL)
        build_scope_init(&site->scope, &site->job->globals, &site->image.config.env, &site->arena);
    *out_triggers = site->image.config.on_build;
    site->image.config.on_build = (struct bh_strlist){0};
    return 0;
}

/* ---- files of something else ----------------------------------------------------------------- */

static int stack_of_image(struct build_site *site, struct build_vertex_ref v, const struct build_source *source,
                          const struct build_named *named, struct build_stack *out, struct bh_err *err) {
    struct build_image image;

    if (open_image(site->job, v, named, source->name, site->job->inputs.target_platform, &site->arena, &image, err) !=
        0)
        return hint_name(source, err);
    *out = (struct build_stack){.layers = image.config.diff_ids, .n = image.config.n_diff_ids};
    return 0;
}

int build_source_stack(struct build_site *site, struct build_vertex_ref v, const char *from, struct build_stack *out,
                       struct bh_err *err) {
    const struct build_named *named;
    struct build_source source;
    struct build_site *other = NULL;

    if (build_source_resolve(&site->job->recipe, &site->job->inputs, site->index, from, &source, err) != 0)
        return err->code;
    switch (source.origin) {
    case BUILD_ORIGIN_SCRATCH:
        *out = (struct build_stack){0};
        return 0;
    case BUILD_ORIGIN_STAGE:
        if (build_wait_stage(site->job, source.stage, &other, err) != 0)
            return err->code;
        *out = (struct build_stack){.layers = other->image.diff_ids, .n = other->image.n_diff_ids};
        return 0;
    case BUILD_ORIGIN_CONTEXT:
        named = named_context(site->job->ask, source.name);
        if (named == NULL)
            return bh_err_set(err, BH_E_INTERNAL, "no build context is named %s", source.name);
        if (!build_has_files(named_files(site->job, named)))
            return stack_of_image(site, v, &source, named, out, err);
        *out = *named_files(site->job, named);
        return 0;
    default:
        return stack_of_image(site, v, &source, NULL, out, err);
    }
}
