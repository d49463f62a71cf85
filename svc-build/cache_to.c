/*
 * cache_to.c - --cache-to: what this build's steps have led to, for builds elsewhere.
 *
 * Room: build.  A cache is an image: its config has a line for each step (docs/store-format.md), its layers are those
 * that the steps have made.  So it travels as images do, to a registry or as an archive.  type=inline is the built
 * image itself with lines in its config.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cache_line.h"
#include "cache_spec.h"
#include "job.h"
#include "registry.h"
#include "room.h"

#define LAYERS_MAX 500 /* of one image */

int build_cache_to_check(const struct build_ask *ask, struct bh_arena *arena, struct bh_err *err) {
    struct build_cache_spec spec;

    for (size_t i = 0; i < ask->cache_to.n; i++) {
        if (build_cache_spec_to(ask->cache_to.v[i], arena, &spec, err) != 0)
            return err->code;
        if (spec.type == BUILD_CACHE_LOCAL && ask->cache_to_fd[i] < 0)
            return bh_err_set(err, BH_E_INVALID, "--cache-to %.200s needs somewhere to go", ask->cache_to.v[i]);
    }
    return 0;
}

/* ---- the document ---------------------------------------------------------------------------- */

struct collecting {
    struct bh_image_config *image; /* gets the lines */
    bool adds;                     /* and layers, too; else only of those that it has */
    struct bh_arena *arena;
    int64_t newest;
    size_t left_out;
};

static bool find_layer(const struct bh_image_config *image, const struct bh_digest *layer, size_t *out) {
    for (*out = 0; *out < image->n_diff_ids; ++*out)
        if (bh_digest_equal(&image->diff_ids[*out], layer))
            return true;
    return false;
}

/* False: the image has not got it and cannot get it. */
static bool place_layer(struct collecting *c, const struct bh_digest *layer, size_t *out) {
    if (find_layer(c->image, layer, out))
        return true;
    if (!c->adds || c->image->n_diff_ids == LAYERS_MAX)
        return false;
    c->image->diff_ids[c->image->n_diff_ids++] = *layer;
    return true;
}

static int add_record(struct collecting *c, const struct build_record *r, struct bh_err *err) {
    struct build_cache_line line = {.key = r->key, .layer = BUILD_NO_LAYER, .created_ns = r->result.created_ns};
    char text[BUILD_CACHE_LINE_SIZE];

    if (c->image->build_cache.n == BH_BUILD_CACHE_MAX ||
        (r->result.has_layer && !place_layer(c, &r->result.layer, &line.layer))) {
        c->left_out++;
        return 0;
    }
    if (line.created_ns > c->newest)
        c->newest = line.created_ns;
    build_cache_line_write(&line, text);
    return bh_strlist_has(&c->image->build_cache, text) ? 0
                                                        : bh_strlist_add(&c->image->build_cache, c->arena, text, err);
}

static int add_records(struct collecting *c, const struct build_site *site, struct bh_err *err) {
    for (size_t i = 0; i < site->n_records; i++)
        if (add_record(c, &site->records[i], err) != 0)
            return err->code;
    return 0;
}

static int add_all_stages(struct collecting *c, const struct build_job *job, struct bh_err *err) {
    for (size_t i = 0; i < job->stages.n; i++)
        if (job->sites[i].job != NULL && add_records(c, &job->sites[i], err) != 0)
            return err->code;
    return 0;
}

int build_cache_to_inline(struct build_site *target, struct bh_err *err) {
    const struct build_ask *ask = target->job->ask;
    struct collecting c = {.image = &target->image, .arena = &target->arena};
    struct build_cache_spec spec;
    bool wanted = false;

    for (size_t i = 0; i < ask->cache_to.n; i++) {
        if (build_cache_spec_to(ask->cache_to.v[i], c.arena, &spec, err) != 0)
            return err->code;
        wanted = wanted || spec.type == BUILD_CACHE_INLINE;
    }
    return wanted ? add_records(&c, target, err) : 0;
}

/* ---- an image of its own --------------------------------------------------------------------- */

static int describe(struct build_site **targets, size_t n, bool max, struct collecting *c, struct bh_err *err) {
    char created[40];

    bh_image_config_init(c->image);
    c->image->os = targets[0]->image.os;
    c->image->architecture = targets[0]->image.architecture;
    c->image->variant = targets[0]->image.variant;
    c->image->diff_ids = bh_oci_alloc(c->arena, LAYERS_MAX * sizeof *c->image->diff_ids, err);
    if (c->image->diff_ids == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if ((max ? add_all_stages(c, targets[i]->job, err) : add_records(c, targets[i], err)) != 0)
            return err->code;
    bh_time_rfc3339(c->newest, created); /* the same steps give the same document again */
    c->image->created_ns = c->newest;
    c->image->created = bh_oci_strdup(c->arena, created, strlen(created), err);
    return c->image->created == NULL ? err->code : 0;
}

static int send(struct build_job *job, struct build_vertex_ref v, const struct build_cache_spec *spec, int fd,
                const struct build_made *made, struct bh_err *err) {
    static const struct bh_strlist none = {0};
    const struct build_save_ask save = {.owner = job->ask->owner, .id = made->id, .index = "", .names = &none};
    const struct build_cache_push push = {.id = made->id,
                                          .destination = spec->ref,
                                          .compression = spec->compression,
                                          .level = spec->level,
                                          .force_compression = spec->force_compression};

    if (spec->type == BUILD_CACHE_LOCAL)
        return build_save(job->room->store, &save, fd, &job->cancel, err);
    return build_push_cache(job->room->registry, job->ask, &push, &job->cancel, v, err);
}

static int export(struct build_site **targets, size_t n, struct build_vertex_ref v, const struct build_cache_spec *spec,
                  int fd, struct bh_err *err) {
    struct build_job *job = targets[n - 1]->job;
    struct bh_image_config image;
    struct collecting c = {.image = &image, .adds = true, .arena = &targets[n - 1]->arena};
    const struct build_make make = {.config = &image, .parent = ""};
    BH_SCOPE_FREE char *text = NULL;
    struct build_made made;

    if (describe(targets, n, spec->max, &c, err) != 0)
        return err->code;
    text = bh_xasprintf("WARNING: %zu steps have no room in it", c.left_out);
    if (c.left_out > 0)
        build_vertex_status(v, text, 0, 0);
    if (build_image_make(job->room->store, build_hold_number(job->hold), &make, c.arena, &made, err) != 0)
        return err->code;
    return send(job, v, spec, fd, &made, err);
}

static int export_one(struct build_site **targets, size_t n, const struct build_cache_spec *spec, int fd,
                      struct bh_err *err) {
    struct build_job *job = targets[n - 1]->job;
    const char *name =
        spec->type == BUILD_CACHE_LOCAL ? "exporting cache to client directory" : "exporting cache to registry";
    struct build_vertex_ref v = build_vertex_new(job->progress, name, "", false);
    int r = export(targets, n, v, spec, fd, err);

    build_vertex_end(v, r == 0 ? BUILD_V_DONE : BUILD_V_ERROR, err);
    if (r == 0 || !spec->ignore_error || r == BH_E_CANCELLED)
        return r;
    bh_err_clear(err);
    return 0;
}

int build_cache_to_export(struct build_site **targets, size_t n, struct bh_err *err) {
    struct build_job *job = targets[n - 1]->job;
    const struct build_ask *ask = job->ask;
    struct build_cache_spec spec;

    for (size_t i = 0; i < ask->cache_to.n; i++)
        if (build_cache_spec_to(ask->cache_to.v[i], job->arena, &spec, err) != 0 ||
            (spec.type != BUILD_CACHE_INLINE && export_one(targets, n, &spec, ask->cache_to_fd[i], err) != 0))
            return err->code;
    return 0;
}
