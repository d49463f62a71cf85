/*
 * context.c - where the main context's files and the Dockerfile come from: the client, or an address.
 *
 * Room: build.  What comes from an address lies in the store as a layer, unpacked there by a worker; only the
 * Dockerfile and the ignore file are looked at here.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "job.h"
#include "registry.h"
#include "room.h"

#define BODY "body"

static struct build_stack *one_layer(struct build_job *job, const struct bh_digest *layer, struct build_stack *out,
                                     struct bh_err *err) {
    struct bh_digest *kept = bh_oci_alloc(job->arena, sizeof *kept, err);

    if (kept == NULL)
        return NULL;
    *kept = *layer;
    *out = (struct build_stack){.layers = kept, .n = 1};
    return out;
}

int build_fetch_layer(struct build_job *job, const char *url, const char *checksum, struct bh_arena *arena,
                      struct build_fetched *got, struct bh_digest *out, struct bh_err *err) {
    struct build_tar *tar = NULL;
    int fds[2];

    if (build_tar_begin_spooled(job->room->store, build_hold_number(job->hold), &tar, fds, err) != 0)
        return err->code;
    if (build_fetch(job->room->registry, job->ask, url, checksum, fds, &job->cancel, arena, got, err) != 0) {
        build_tar_drop(tar);
        return err->code;
    }
    return build_tar_end(tar, out, err);
}

static int fetch(struct build_job *job, const char *url, struct build_stack *out, struct bh_err *err) {
    struct build_fetched got;
    struct bh_digest layer;

    if (build_fetch_layer(job, url, "", job->arena, &got, &layer, err) != 0)
        return err->code;
    return one_layer(job, &layer, out, err) == NULL ? err->code : 0;
}

/* The body's own files, or the body at `target` if it is no archive. */
static int unpack(struct build_job *job, const struct build_stack *body, bool archive, const char *target,
                  struct build_composed *made, struct build_stack *out, struct bh_err *err) {
    static const char *source[] = {"/" BODY};
    const struct build_item item = {.has_from = true,
                                    .from = *body,
                                    .sources = {.present = true, .n = 1, .v = source},
                                    .target = target,
                                    .uid = -1,
                                    .gid = -1,
                                    .unpack = archive};
    const struct build_compose c = {.hold = build_hold_number(job->hold), .items = &item, .n_items = 1};

    if (build_compose(job->room->store, &c, &job->cancel, job->arena, made, err) != 0)
        return err->code;
    if (made->empty)
        return bh_err_set(err, BH_E_INVALID, "the archive is empty");
    return one_layer(job, &made->layer, out, err) == NULL ? err->code : 0;
}

static int read_file(struct build_job *job, const char *name, const char **out, size_t *out_n, struct bh_err *err) {
    BH_SCOPE_FREE char *path = bh_xasprintf("/%s", name);

    return build_layer_file(job->room->store, build_hold_number(job->hold), &job->context, path, job->arena, out, out_n,
                            err);
}

static int add_lines(struct build_job *job, const char *text, size_t n, struct bh_err *err) {
    BH_SCOPE_FREE char *copy = bh_xstrndup(text, n);
    char *save = NULL;

    for (char *line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        line[strcspn(line, "\r")] = '\0';
        if (bh_strlist_add(&job->ignore, job->arena, line, err) != 0)
            return err->code;
    }
    return 0;
}

static int read_ignore(struct build_job *job, const char *name, struct bh_err *err) {
    BH_SCOPE_FREE char *own = bh_xasprintf("%s.dockerignore", name);
    const char *const names[] = {own, ".dockerignore"};

    for (size_t i = 0; i < BH_ARRAY_LEN(names); i++) {
        const char *text = NULL;
        size_t n = 0;
        int r = read_file(job, names[i], &text, &n, err);

        if (r == 0)
            return add_lines(job, text, n, err);
        if (r != BH_E_NOT_FOUND)
            return r;
        bh_err_clear(err);
    }
    return 0;
}

/* A file that is no archive is the Dockerfile itself, without a context. */
static int read_recipe(struct build_job *job, struct bh_err *err) {
    const char *name = job->ask->file_name[0] != '\0' ? job->ask->file_name : "Dockerfile";
    int r = 0;

    if (job->ask->n_dockerfile == 0)
        r = read_file(job, name, &job->file, &job->n_file, err);
    if (r == BH_E_NOT_FOUND) {
        bh_err_clear(err);
        r = read_file(job, BODY, &job->file, &job->n_file, err);
        if (r == BH_E_NOT_FOUND)
            return bh_err_set(err, BH_E_NOT_FOUND, "failed to read dockerfile: %s is not in the archive", name);
        job->context = (struct build_stack){0};
        return r;
    }
    return r == 0 ? read_ignore(job, name, err) : r;
}

static int from_address(struct build_job *job, struct bh_err *err) {
    BH_SCOPE_FREE char *text = bh_xasprintf("[internal] load remote build context %s", job->ask->context_url);
    struct build_vertex_ref v = build_vertex_new(job->progress, text, "", false);
    struct build_composed made;
    struct build_stack body;
    int r = fetch(job, job->ask->context_url, &body, err);

    if (r == 0)
        r = unpack(job, &body, true, "/", &made, &job->context, err);
    if (r == 0)
        r = read_recipe(job, err);
    build_vertex_end(v, r == 0 ? BUILD_V_DONE : BUILD_V_ERROR, err);
    return r;
}

/* As docker has it, what is no archive is the one file "context". */
static int named_files(struct build_job *job, const char *url, struct build_stack *out, struct bh_err *err) {
    struct build_composed made;
    struct build_stack body;
    const char *text;
    size_t n;

    if (fetch(job, url, &body, err) != 0 || unpack(job, &body, true, "/", &made, out, err) != 0)
        return err->code;
    if (made.files != 1 || build_layer_file(job->room->store, build_hold_number(job->hold), out, "/" BODY, job->arena,
                                            &text, &n, err) == BH_E_NOT_FOUND) {
        bh_err_clear(err);
        return 0;
    }
    bh_err_clear(err); /* one that is too long to be read here is there, too */
    return unpack(job, &body, false, "/context", &made, out, err);
}

static int named_address(struct build_job *job, const struct build_named *named, struct build_stack *out,
                         struct bh_err *err) {
    BH_SCOPE_FREE char *text = bh_xasprintf("[context %s] %s", named->name, named->url);
    struct build_vertex_ref v = build_vertex_new(job->progress, text, "", false);
    int r = named_files(job, named->url, out, err);

    if (r != 0)
        bh_err_prefix(err, "build context %s", named->name);
    build_vertex_end(v, r == 0 ? BUILD_V_DONE : BUILD_V_ERROR, err);
    return r;
}

static int named_contexts(struct build_job *job, struct bh_err *err) {
    const struct build_ask *ask = job->ask;

    job->named = bh_oci_alloc(job->arena, (ask->n_named + 1) * sizeof *job->named, err);
    if (job->named == NULL)
        return err->code;
    for (size_t i = 0; i < ask->n_named; i++) {
        job->named[i] = (struct build_stack){.context = ask->named[i].context};
        if (ask->named[i].url[0] != '\0' && named_address(job, &ask->named[i], &job->named[i], err) != 0)
            return err->code;
    }
    return 0;
}

static bool has_address(const struct build_ask *ask) {
    bool has = ask->context_url != NULL && ask->context_url[0] != '\0';

    for (size_t i = 0; i < ask->n_named; i++)
        has = has || ask->named[i].url[0] != '\0';
    return has;
}

int build_context(struct build_job *job, struct bh_err *err) {
    const struct build_ask *ask = job->ask;

    job->file = ask->dockerfile;
    job->n_file = ask->n_dockerfile;
    job->context = (struct build_stack){.context = ask->context};
    job->ignore = ask->ignore;
    if (has_address(ask) && build_hold_begin(job->room->store, ask->owner, &job->hold, err) != 0)
        return err->code;
    if (named_contexts(job, err) != 0)
        return err->code;
    return ask->context_url == NULL || ask->context_url[0] == '\0' ? 0 : from_address(job, err);
}
