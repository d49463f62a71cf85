/*
 * cache_from.c - --cache-from: layers of an image that was built before, here or elsewhere.
 *
 * Room: build.  An image tells by its history which command made which layer.  A RUN takes the layer when all that
 * stands before it, layers and rows, is the same there and the row after it is its own.  Files of COPY are never
 * taken on an image's word.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "job.h"

/* "name", or "type=registry,ref=name". */
static const char *reference(const char *text, struct bh_arena *arena, struct bh_err *err) {
    const char *ref = strstr(text, "ref=");
    size_t n;

    if (strchr(text, '=') == NULL)
        return text;
    if (ref == NULL || (ref != text && ref[-1] != ','))
        return NULL;
    n = strcspn(ref + 4, ",");
    return n == 0 ? NULL : bh_oci_strdup(arena, ref + 4, n, err);
}

static void load_one(struct build_job *job, const char *name) {
    BH_SCOPE_FREE char *text = bh_xasprintf("importing cache manifest from %s", name);
    struct build_vertex_ref v = build_vertex_new(job->progress, text, "", false);
    struct bh_err err = BH_ERR_INIT;
    int r = build_base_image(job, v, name, job->inputs.target_platform, job->arena, &job->cache_from[job->n_cache_from],
                             &err);

    job->n_cache_from += r == 0;
    build_vertex_end(v, r == 0 ? BUILD_V_DONE : BUILD_V_ERROR, &err);
}

/* An image that is not there is no reason not to build. */
int build_cache_from_load(struct build_job *job, struct bh_err *err) {
    const struct bh_strlist *names = &job->ask->cache_from;

    job->cache_from = bh_oci_alloc(job->arena, (names->n + 1) * sizeof *job->cache_from, err);
    if (job->cache_from == NULL)
        return err->code;
    for (size_t i = 0; i < names->n; i++) {
        const char *name = reference(names->v[i], job->arena, err);

        if (err->code != 0)
            return err->code;
        if (name == NULL) {
            bh_err_set(err, BH_E_INVALID, "--cache-from %.200s: only images are known", names->v[i]);
            return bh_err_hint(err, "write NAME, or type=registry,ref=NAME");
        }
        load_one(job, name);
    }
    return 0;
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
    for (size_t i = 0; i < job->n_cache_from; i++) {
        const struct bh_image_config *image = &job->cache_from[i].config;
        const struct bh_history *row;

        if (!same_start(&site->image, image))
            continue;
        row = &image->history[site->image.n_history];
        if (row->empty_layer || strcmp(row->created_by, row_text) != 0)
            continue;
        *out = (struct build_result){.has_layer = true, .layer = image->diff_ids[site->image.n_diff_ids]};
        if (!bh_time_parse(row->created, &out->created_ns))
            out->created_ns = bh_now_ns();
        return true;
    }
    return false;
}
