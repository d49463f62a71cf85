/*
 * cache_from.c - --cache-from: results of steps that were built before, here or elsewhere.
 *
 * Room: build.  An image that was built with --cache-to tells by keys which steps its layers are the results of: any
 * kind of step is found by its key, which is made of all that the result depends on.  Of any other image the history
 * tells which command made which layer: a RUN takes the layer when all that stands before it, layers and rows, is the
 * same there and the row after it is its own.  Files of COPY are never taken on an image's word.  Whoever names an
 * image trusts who made it.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cache_line.h"
#include "cache_spec.h"
#include "job.h"
#include "oci/platform.h"
#include "registry.h"
#include "room.h"

#define SHORT_ID 12 /* digits of an id, at least: a slip of a name may begin one */

struct build_import {
    const char *name;
    struct bh_image_config config;
    struct build_cache_line *lines;
    size_t n;
    const char *pinned; /* at a registry, which its layers come from when they are wanted; "": they are here */
};

/* ---- reading --------------------------------------------------------------------------------- */

/* One line that is none, and the whole is not ours. */
static int read_lines(struct build_import *im, struct bh_arena *arena, struct bh_err *err) {
    const struct bh_strlist *text = &im->config.build_cache;

    im->lines = bh_oci_alloc(arena, (text->n + 1) * sizeof *im->lines, err);
    if (im->lines == NULL)
        return err->code;
    for (size_t i = 0; i < text->n; i++)
        if (!build_cache_line_read(text->v[i], im->config.n_diff_ids, &im->lines[i])) {
            bh_err_set(err, BH_E_INVALID, "line %zu of its cache cannot be read", i + 1);
            return bh_err_hint(err, "it is left out; a newer version may have written it");
        }
    im->n = text->n;
    return 0;
}

static bool is_here(struct build_job *job, const char *name, struct build_import *im) {
    struct bh_platform want, have;
    struct bh_err ignored = BH_ERR_INIT;
    struct build_image image;

    if (build_image_open(job->room->store, job->ask->owner, name, job->inputs.target_platform, job->arena, &image,
                         &ignored) != 0 ||
        (image.reference[0] == '\0' && strlen(name) < SHORT_ID) ||
        bh_platform_parse(job->inputs.target_platform, &want, &ignored) != 0)
        return false;
    bh_image_config_platform(&image.config, &have);
    im->config = image.config;
    im->pinned = "";
    return bh_platform_rank(&want, &have) >= 0;
}

static void tell_foreign(struct build_vertex_ref v, const struct build_import *im) {
    BH_SCOPE_FREE char *text = bh_xasprintf("WARNING: %s has a cache that BuildKit wrote, which is not read", im->name);

    build_vertex_status(v, text, 0, 0);
}

/* Only its documents come; *out_none: it is no image. */
static int from_registry(struct build_job *job, struct build_vertex_ref v, struct build_import *im, bool *out_none,
                         struct bh_err *err) {
    struct build_remote remote;

    if (build_remote_look(job->room->registry, job->ask, im->name, job->inputs.target_platform, job->arena, &remote,
                          err) != 0)
        return err->code;
    if (remote.foreign)
        tell_foreign(v, im);
    *out_none = !remote.is_image;
    if (!remote.is_image && !remote.foreign)
        return bh_err_set(err, BH_E_INVALID, "it is neither an image nor a cache");
    im->config = remote.config;
    im->pinned = remote.pinned;
    return 0;
}

/* The image that is here goes first, unless the registry's may tell more. */
static int from_name(struct build_job *job, struct build_vertex_ref v, const struct build_cache_spec *spec,
                     struct build_import *im, bool *out_none, struct bh_err *err) {
    struct build_import there = {.name = im->name};
    bool here = is_here(job, im->name, im);

    if (here && (im->config.build_cache.n > 0 || spec->type == BUILD_CACHE_NAME))
        return 0;
    if (from_registry(job, v, &there, out_none, err) == 0) {
        *im = there;
        return 0;
    }
    if (!here)
        return err->code;
    *out_none = false;
    bh_err_clear(err);
    return 0;
}

static int from_archive(struct build_job *job, int fd, struct build_import *im, struct bh_err *err) {
    const struct build_load_ask ask = {.hold = build_hold_number(job->hold), .platform = "", .fd = fd};
    char id[BH_DIGEST_TEXT_SIZE];
    struct build_image image;

    (void)lseek(fd, 0, SEEK_SET); /* the round of another platform has read it */
    if (build_load(job->room->store, &ask, &job->cancel, id, err) != 0 ||
        build_image_open(job->room->store, job->ask->owner, id, "", job->arena, &image, err) != 0)
        return err->code;
    im->config = image.config;
    im->pinned = "";
    return 0;
}

static void load_one(struct build_job *job, const struct build_cache_spec *spec, int fd) {
    struct build_import im = {.name = spec->type == BUILD_CACHE_LOCAL ? "the folder" : spec->ref};
    BH_SCOPE_FREE char *text = bh_xasprintf("importing cache manifest from %s", im.name);
    struct build_vertex_ref v = build_vertex_new(job->progress, text, "", false);
    struct bh_err err = BH_ERR_INIT;
    bool none = false;
    int r =
        spec->type == BUILD_CACHE_LOCAL ? from_archive(job, fd, &im, &err) : from_name(job, v, spec, &im, &none, &err);

    if (r == 0 && !none)
        r = read_lines(&im, job->arena, &err);
    if (r == 0 && !none)
        job->imports[job->n_imports++] = im;
    build_vertex_end(v, r == 0 ? BUILD_V_DONE : BUILD_V_ERROR, &err);
}

/* An image that is not there is no reason not to build. */
int build_cache_from_load(struct build_job *job, struct bh_err *err) {
    const struct bh_strlist *texts = &job->ask->cache_from;
    struct build_cache_spec spec;

    job->imports = bh_oci_alloc(job->arena, (texts->n + 1) * sizeof *job->imports, err);
    if (job->imports == NULL)
        return err->code;
    for (size_t i = 0; i < texts->n; i++) {
        if (build_cache_spec_from(texts->v[i], job->arena, &spec, err) != 0)
            return err->code;
        if (spec.type == BUILD_CACHE_LOCAL && job->ask->cache_from_fd[i] < 0)
            return bh_err_set(err, BH_E_INVALID, "--cache-from %.200s: no archive came with it", texts->v[i]);
        load_one(job, &spec, job->ask->cache_from_fd[i]);
    }
    return 0;
}

/* ---- finding --------------------------------------------------------------------------------- */

/* A layer that does not come is no reason not to build either. */
static bool bring_layer(const struct build_site *site, const struct build_import *im, const struct bh_digest *layer) {
    struct build_job *job = site->job;
    const struct build_layer_pull what = {.pinned = im->pinned, .hold = build_hold_number(job->hold), .layer = layer};
    BH_SCOPE_FREE char *text = NULL;
    struct bh_err err = BH_ERR_INIT;
    char id[BH_DIGEST_TEXT_SIZE];
    struct build_vertex_ref v;
    int r;

    if (im->pinned[0] == '\0')
        return true;
    bh_digest_format(layer, id);
    text = bh_xasprintf("importing layer %.19s from %s", id, im->name);
    v = build_vertex_new(job->progress, text, "", false);
    r = build_layer_pull(job->room->registry, job->ask, &what, &job->cancel, v, &err);
    build_vertex_end(v, r == 0 ? BUILD_V_DONE : BUILD_V_ERROR, &err);
    return r == 0;
}

bool build_cache_from_key(const struct build_site *site, const struct bh_digest *key, struct build_result *out,
                          const char **out_name) {
    const struct build_job *job = site->job;

    for (size_t i = 0; build_cache_on(site) && i < job->n_imports; i++) {
        const struct build_import *im = &job->imports[i];

        for (size_t k = 0; k < im->n; k++) {
            const struct build_cache_line *line = &im->lines[k];

            if (!bh_digest_equal(&line->key, key))
                continue;
            *out = (struct build_result){.has_layer = line->layer != BUILD_NO_LAYER, .created_ns = line->created_ns};
            if (out->has_layer)
                out->layer = im->config.diff_ids[line->layer];
            *out_name = im->name;
            if (!out->has_layer || bring_layer(site, im, &out->layer))
                return true;
        }
    }
    return false;
}

static bool same_start(const struct bh_image_config *a, const struct bh_image_config *image) {
    if (image->n_diff_ids <= a->n_diff_ids || image->n_history <= a->n_history)
        return false;
    for (size_t i = 0; i < a->n_diff_ids; i++)
        if (!bh_digest_equal(&a->diff_ids[i], &image->diff_ids[i]))
            return false;
    for (size_t i = 0; i < a->n_history; i++)
        if (strcmp(a->history[i].created_by, image->history[i].created_by) != 0 ||
            a->history[i].empty_layer != image->history[i].empty_layer)
            return false;
    return true;
}

bool build_cache_from(const struct build_site *site, const char *text, struct build_result *out) {
    const struct build_job *job = site->job;
    BH_SCOPE_FREE char *row_text = bh_xasprintf("%s # buildkit", text);

    if (!build_cache_on(site) || job->ask->has_epoch)
        return false;
    for (size_t i = 0; i < job->n_imports; i++) {
        const struct bh_image_config *image = &job->imports[i].config;
        const struct bh_history *row;

        if (!same_start(&site->image, image))
            continue;
        row = &image->history[site->image.n_history];
        if (row->empty_layer || strcmp(row->created_by, row_text) != 0)
            continue;
        *out = (struct build_result){.has_layer = true, .layer = image->diff_ids[site->image.n_diff_ids]};
        if (!bh_time_parse(row->created, &out->created_ns))
            out->created_ns = bh_now_ns();
        if (bring_layer(site, &job->imports[i], &out->layer))
            return true;
    }
    return false;
}
