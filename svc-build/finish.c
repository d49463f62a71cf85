/*
 * finish.c - the stage that was asked for becomes an image: its history gets times, its names are set.
 *
 * Room: build.  Everything before this leaves nothing that anybody sees; the names are set in one commit of the
 * store.  All times come from when layers were made, so that the same layers give the same image again.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job.h"
#include "key.h"
#include "oci/ref.h"
#include "output.h"
#include "registry.h"
#include "room.h"

/* ---- times ----------------------------------------------------------------------------------- */

static int time_text(struct build_site *site, int64_t ns, const char **out, struct bh_err *err) {
    char text[40];

    bh_time_rfc3339(ns, text);
    *out = bh_oci_strdup(&site->arena, text, strlen(text), err);
    return *out == NULL ? err->code : 0;
}

/* An image without a layer of its own: when the same was first made. */
static int first_time(struct build_site *site, int64_t *out, struct bh_err *err) {
    const struct bh_image_config *image = &site->image;
    struct bh_buf text = BH_BUF_INIT_MAX((size_t)16 << 20);
    struct build_result found = {.created_ns = bh_now_ns()};
    struct bh_digest key;
    struct build_key k;
    bool have = false;
    int r;

    bh_image_config_write(image, &text);
    r = bh_buf_failed(&text) ? bh_err_set(err, BH_E_LIMIT, "the image's config has more than 16 MiB")
                             : build_key_begin(&k, "config", err);
    if (r == 0) {
        build_key_bytes(&k, text.data, text.len);
        r = build_key_end(&k, &key, err);
    }
    bh_buf_fini(&text);
    if (r == 0)
        r = build_cache_look(site, &key, &have, &found, err);
    if (r == 0 && !have) {
        found = (struct build_result){.created_ns = bh_now_ns()};
        r = build_cache_keep(site, &key, &found, "image config", err);
    }
    *out = found.created_ns;
    return r;
}

/* Of the rows of this build: those without a layer have the time of the last layer, or else of the first. */
static int set_times(struct build_site *site, struct bh_err *err) {
    const struct build_ask *ask = site->job->ask;
    struct bh_image_config *image = &site->image;
    struct bh_history *rows;
    int64_t now = 0;

    for (size_t i = 0; now == 0 && i < site->n_rows; i++)
        now = site->row_ns[i];
    if (ask->has_epoch)
        now = ask->epoch_ns;
    else if (now == 0 && first_time(site, &now, err) != 0)
        return err->code;
    rows = bh_oci_alloc(&site->arena, (image->n_history + 1) * sizeof *rows, err);
    if (rows == NULL)
        return err->code;
    for (size_t i = 0; i < image->n_history; i++) {
        rows[i] = image->history[i];
        if (i < site->base_history || i - site->base_history >= site->n_rows)
            continue;
        if (!ask->has_epoch && site->row_ns[i - site->base_history] != 0)
            now = site->row_ns[i - site->base_history];
        if (time_text(site, now, &rows[i].created, err) != 0)
            return err->code;
    }
    image->history = rows;
    image->created_ns = now;
    return time_text(site, now, &image->created, err);
}

static int set_labels(struct build_site *site, struct bh_err *err) {
    const struct bh_pairs *labels = &site->job->ask->labels;

    for (size_t i = 0; i < labels->n; i++)
        if (bh_pairs_set(&site->image.config.labels, &site->arena, labels->v[i].key, labels->v[i].value, err) != 0)
            return err->code;
    return 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int canonical_names(struct build_site *site, struct bh_strlist *out, struct bh_err *err) {
    const struct bh_strlist *tags = &site->job->ask->tags;
    char text[BH_REF_TEXT_SIZE];
    struct bh_ref ref;

    for (size_t i = 0; i < tags->n; i++) {
        if (bh_ref_parse(tags->v[i], &ref, err) != 0 || bh_ref_check_target(&ref, err) != 0)
            return err->code;
        bh_ref_format(&ref, text);
        if (bh_strlist_add(out, &site->arena, text, err) != 0)
            return err->code;
    }
    return 0;
}

static void tell_names(struct build_vertex_ref v, const struct build_made *made, const struct bh_strlist *names) {
    BH_SCOPE_FREE char *text = bh_xasprintf("writing image %s done", made->id);

    build_vertex_status(v, text, 0, 0);
    for (size_t i = 0; i < names->n; i++) {
        BH_SCOPE_FREE char *naming = bh_xasprintf("naming to %s done", names->v[i]);

        build_vertex_status(v, naming, 0, 0);
    }
}

/* One layer in place of all that this build has put on the base. */
static int squash(struct build_site *site, struct bh_err *err) {
    struct bh_image_config *image = &site->image;
    struct bh_history row = {.created = "", .created_by = "", .author = "", .comment = "squash"};
    const size_t n = site->base_layers;
    struct bh_digest *layers = bh_oci_alloc(&site->arena, (n + 1) * sizeof *layers, err);
    struct bh_history *rows = bh_oci_alloc(&site->arena, (image->n_history + 1) * sizeof *rows, err);
    uint64_t size;

    if (layers == NULL || rows == NULL || build_flatten(site, n, &layers[n], &size, err) != 0)
        return err->code;
    for (size_t i = 0; i < image->n_history; i++) {
        rows[i] = image->history[i];
        rows[i].empty_layer = rows[i].empty_layer || i >= site->base_history;
    }
    for (size_t i = 0; i < n; i++)
        layers[i] = image->diff_ids[i];
    row.created = image->created;
    row.empty_layer = layers[n].alg == BH_DIGEST_NONE;
    rows[image->n_history] = row;
    image->history = rows;
    image->n_history++;
    image->diff_ids = layers;
    image->n_diff_ids = n + !row.empty_layer;
    return 0;
}

static int make_image(struct build_site *site, struct build_vertex_ref v, struct bh_strlist *names,
                      struct bh_err *err) {
    struct build_job *job = site->job;
    bool listed = job->output == BUILD_OUT_IMAGE;
    struct build_make make = {
        .config = &site->image, .annotations = job->ask->annotations, .parent = "", .keep = listed};

    build_vertex_status(v, "exporting layers done", 0, 0);
    if (set_labels(site, err) != 0 || set_times(site, err) != 0 || (job->ask->squash && squash(site, err) != 0) ||
        canonical_names(site, names, err) != 0)
        return err->code;
    if (listed)
        make.names = *names;
    if (build_image_make(job->room->store, build_hold_number(job->hold), &make, &site->arena, &job->made, err) != 0)
        return err->code;
    tell_names(v, &job->made, names);
    return 0;
}

static int push_names(struct build_site *site, const struct bh_strlist *names, struct bh_err *err) {
    struct build_job *job = site->job;
    struct build_vertex_ref v = build_vertex_new(job->progress, "pushing image", "", false);
    int r = build_push(job->room->registry, job->ask, names, &job->cancel, v, err);

    build_vertex_end(v, r == 0 ? BUILD_V_DONE : BUILD_V_ERROR, err);
    return r;
}

static void tell_result(struct build_job *job, const struct bh_strlist *names) {
    struct build_event e = {.image_id = job->made.id, .manifest_digest = job->made.manifest, .tags = *names};

    if (job->output == BUILD_OUT_FILES)
        return; /* there is no image */
    build_tell(job->progress, &e);
}

static int export(struct build_site *site, struct build_vertex_ref v, struct bh_strlist *names, struct bh_err *err) {
    if (site->job->output == BUILD_OUT_FILES)
        return build_output_files(site, err);
    if (make_image(site, v, names, err) != 0)
        return err->code;
    return site->job->output == BUILD_OUT_ARCHIVE ? build_output_archive(site, names, err) : 0;
}

int build_finish(struct build_job *job, struct build_site *target, struct bh_err *err) {
    static const char *const texts[] = {"exporting to image", "exporting to archive", "exporting to client"};
    struct build_vertex_ref v = build_vertex_new(job->progress, texts[job->output], "", false);
    struct bh_strlist names = {0};
    int r = export(target, v, &names, err);

    build_vertex_end(v, r == 0 ? BUILD_V_DONE : BUILD_V_ERROR, err);
    if (r == 0 && job->ask->push)
        r = push_names(target, &names, err);
    if (r == 0)
        tell_result(job, &names);
    return r;
}
