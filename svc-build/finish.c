/*
 * finish.c - see finish.h: the stage that was asked for becomes an image: its history gets times, its names are set.
 *
 * Room: build.  Everything before this leaves nothing that anybody sees; the names are set in one commit of the
 * store.  All times come from when layers were made, so that the same layers give the same image again.
 */
#include "finish.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
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

static int canonical_names(struct build_site *site, const struct bh_strlist *tags, struct bh_strlist *out,
                           struct bh_err *err) {
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

/* The image's config is final: labels, times, layers. */
static int prepare(struct build_site *site, struct bh_err *err) {
    if (set_labels(site, err) != 0 || set_times(site, err) != 0 || (site->job->ask->squash && squash(site, err) != 0))
        return err->code;
    return build_cache_to_inline(site, err);
}

/* ---- results --------------------------------------------------------------------------------- */

/* What is made of the targets of all platforms; their jobs differ in that alone. */
struct finishing {
    struct build_site **targets;
    size_t n;
    struct build_job *job;       /* of the last, whose thread this is */
    const struct build_out *out; /* one result after the other */
    struct bh_arena *arena;
    struct build_vertex_ref v;
    struct bh_strlist names;
    struct bh_pairs annotations, on_the_index;
    struct build_made made;
};

/* "manifest:KEY" is KEY, "index:KEY" is one of the index; others would be of descriptors, which nobody keeps. */
static int sort_annotations(struct finishing *x, struct bh_err *err) {
    const struct bh_pairs *all = &x->job->ask->annotations;

    for (size_t i = 0; i < all->n; i++) {
        const char *key = all->v[i].key, *colon = strchr(key, ':');
        bool index = bh_str_starts(key, "index:");
        struct bh_pairs *to = index ? &x->on_the_index : &x->annotations;

        if (index && x->n == 1)
            return bh_err_set(err, BH_E_INVALID, "index annotations not supported for single platform export");
        if (colon != NULL && (bh_str_starts(key, "manifest-descriptor") || bh_str_starts(key, "index-descriptor")))
            return bh_err_set(err, BH_E_UNIMPLEMENTED, "annotation %.100s: those of descriptors are not kept", key);
        if (colon != NULL && (index || bh_str_starts(key, "manifest:")))
            key = colon + 1;
        if (bh_pairs_set(to, x->arena, key, all->v[i].value, err) != 0)
            return err->code;
    }
    return 0;
}

static int make_image(struct finishing *x, struct bh_err *err) {
    bool listed = x->out->kind == BUILD_OUT_IMAGE;
    struct build_make make = {
        .config = &x->targets[0]->image, .annotations = x->annotations, .parent = "", .keep = listed};

    if (listed)
        make.names = x->names;
    return build_image_make(x->job->room->store, build_hold_number(x->job->hold), &make, x->arena, &x->made, err);
}

static int make_index(struct finishing *x, struct bh_err *err) {
    bool listed = x->out->kind == BUILD_OUT_IMAGE;
    const struct bh_image_config **configs = bh_oci_alloc(x->arena, x->n * sizeof *configs, err);
    struct build_make_index make = {
        .configs = configs, .n = x->n, .annotations = x->annotations, .on_the_index = x->on_the_index, .keep = listed};

    if (configs == NULL)
        return err->code;
    for (size_t i = 0; i < x->n; i++)
        configs[i] = &x->targets[i]->image;
    if (listed)
        make.names = x->names;
    return build_index_make(x->job->room->store, build_hold_number(x->job->hold), &make, &x->job->cancel, x->arena,
                            &x->made, err);
}

static void tell_made(struct finishing *x) {
    BH_SCOPE_FREE char *text = bh_xasprintf("writing image %s done", x->made.id);
    BH_SCOPE_FREE char *index = bh_xasprintf("exporting manifest list %s done", x->made.manifest);

    build_vertex_status(x->v, "exporting layers done", 0, 0);
    if (x->n > 1)
        build_vertex_status(x->v, index, 0, 0);
    build_vertex_status(x->v, text, 0, 0);
    for (size_t i = 0; i < x->names.n; i++) {
        BH_SCOPE_FREE char *naming = bh_xasprintf("naming to %s done", x->names.v[i]);

        build_vertex_status(x->v, naming, 0, 0);
    }
}

static int make(struct finishing *x, struct bh_err *err) {
    x->names = (struct bh_strlist){0};
    if (canonical_names(x->targets[0], &x->out->names, &x->names, err) != 0)
        return err->code;
    if ((x->n == 1 ? make_image : make_index)(x, err) != 0)
        return err->code;
    tell_made(x);
    return 0;
}

static int export(struct finishing *x, struct bh_err *err) {
    if (x->out->kind == BUILD_OUT_FILES)
        return build_output_files(x->targets, x->n, x->out->fd, err);
    if (x->n > 1 && strcmp(x->out->type, "docker") == 0 && x->out->kind == BUILD_OUT_ARCHIVE)
        return bh_err_set(err, BH_E_INVALID, "docker exporter does not currently support exporting manifest lists");
    if (make(x, err) != 0)
        return err->code;
    return x->out->kind == BUILD_OUT_ARCHIVE ? build_output_archive(x->job, x->out, &x->made, x->n > 1, &x->names, err)
                                             : 0;
}

/* What the registry has now may be called otherwise than what is here: its layers are compressed. */
static int push_names(struct finishing *x, struct bh_err *err) {
    struct build_job *job = x->job;
    struct build_vertex_ref v = build_vertex_new(job->progress, "pushing image", "", false);
    int r = build_push(job->room->registry, job->ask, &x->names, &job->cancel, v, x->made.manifest, err);

    build_vertex_end(v, r == 0 ? BUILD_V_DONE : BUILD_V_ERROR, err);
    return r;
}

static void tell_result(struct finishing *x) {
    struct build_event e = {.image_id = x->made.id, .manifest_digest = x->made.manifest, .tags = x->names};

    if (x->out->kind != BUILD_OUT_FILES) /* else there is no image */
        build_tell(x->job->progress, &e);
}

static int finish_one(struct finishing *x, struct bh_err *err) {
    static const char *const texts[] = {"exporting to image", "exporting to archive", "exporting to client"};
    int r;

    x->v = build_vertex_new(x->job->progress, texts[x->out->kind], "", false);
    r = export(x, err);
    build_vertex_end(x->v, r == 0 ? BUILD_V_DONE : BUILD_V_ERROR, err);
    if (r == 0 && x->out->push)
        r = push_names(x, err);
    if (r == 0)
        tell_result(x);
    return r;
}

/* The images' configs are final, whatever is made of them. */
static int prepare_all(struct finishing *x, struct bh_err *err) {
    bool image = false;

    for (size_t i = 0; i < x->job->ask->n_outs; i++)
        image = image || x->job->ask->outs[i].kind != BUILD_OUT_FILES;
    for (size_t i = 0; image && i < x->n; i++)
        if (prepare(x->targets[i], err) != 0)
            return err->code;
    return image ? sort_annotations(x, err) : 0;
}

int build_finish_all(struct build_site **targets, size_t n, struct bh_err *err) {
    struct build_job *job = targets[n - 1]->job;
    struct finishing x = {.targets = targets, .n = n, .job = job, .arena = &targets[n - 1]->arena};

    if (prepare_all(&x, err) != 0)
        return err->code;
    for (size_t i = 0; i < job->ask->n_outs; i++) {
        x.out = &job->ask->outs[i];
        if (finish_one(&x, err) != 0)
            return err->code;
    }
    return build_cache_to_export(targets, n, err);
}
