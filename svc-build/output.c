/*
 * output.c - see output.h.
 *
 * Room: build.
 */
#include "output.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "layer/layer_format.h"
#include "room.h"

#define CHUNK ((size_t)1 << 20)

int build_output_kind(struct build_out *out, struct bh_err *err) {
    static const struct {
        const char *name;
        enum build_output kind;
    } rows[] = {{"", BUILD_OUT_IMAGE},      {"image", BUILD_OUT_IMAGE}, {"docker", BUILD_OUT_ARCHIVE},
                {"oci", BUILD_OUT_ARCHIVE}, {"tar", BUILD_OUT_FILES},   {"local", BUILD_OUT_FILES}};

    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, out->type) != 0)
            continue;
        out->kind = rows[i].kind;
        if (out->fd < 0 && strcmp(out->type, "docker") == 0)
            out->kind = BUILD_OUT_IMAGE; /* docker's own list */
        if (out->kind != BUILD_OUT_IMAGE && out->fd < 0)
            return bh_err_set(err, BH_E_INVALID, "output type %s needs somewhere to go", out->type);
        if (out->kind != BUILD_OUT_IMAGE && out->push)
            return bh_err_set(err, BH_E_INVALID, "output type %s is not what is pushed", out->type);
        return 0;
    }
    bh_err_set(err, BH_E_INVALID, "output type \"%.60s\" is not known", out->type);
    return bh_err_hint(err, "known: image, docker, oci, tar, local");
}

int build_output_archive(struct build_job *job, const struct build_out *out, const struct build_made *made, bool index,
                         const struct bh_strlist *names, struct bh_err *err) {
    const struct build_save_ask ask = {
        .owner = job->ask->owner, .id = made->id, .index = index ? made->manifest : "", .names = names};

    return build_save(job->room->store, &ask, out->fd, &job->cancel, err);
}

int build_flatten(struct build_site *site, size_t first, struct bh_digest *out, uint64_t *out_size,
                  struct bh_err *err) {
    static const char *all[] = {"/"};
    struct build_job *job = site->job;
    const struct build_item item = {
        .has_from = true,
        .from = {.layers = site->image.diff_ids + first, .n = site->image.n_diff_ids - first},
        .sources = {.present = true, .n = 1, .v = all},
        .target = "/",
        .uid = -1,
        .gid = -1,
        .contents = true,
        .whiteouts = first > 0};
    const struct build_compose c = {.hold = build_hold_number(job->hold),
                                    .items = &item,
                                    .n_items = 1,
                                    .clamp = job->ask->has_epoch,
                                    .clamp_ns = job->ask->epoch_ns};
    struct build_composed made;

    *out = (struct bh_digest){0};
    *out_size = 0;
    if (site->image.n_diff_ids == first)
        return 0;
    if (build_compose(job->room->store, &c, &job->cancel, &site->arena, &made, err) != 0)
        return err->code;
    if (!made.empty) {
        *out = made.layer;
        *out_size = made.size;
    }
    return 0;
}

/* ---- a layer's tar ----------------------------------------------------------------------------- */

static int wait_writable(struct build_job *job, int to, struct bh_err *err) {
    struct pollfd p[2] = {{.fd = to, .events = POLLOUT}, {.fd = job->ask->cancel_fd, .events = POLLIN}};

    while (poll(p, 2, -1) < 0)
        if (errno != EINTR)
            return bh_err_errno(err, errno, "wait for the output");
    if (p[1].revents != 0)
        return bh_err_set(err, BH_E_CANCELLED, "the build was cancelled");
    return 0;
}

static int copy_tar(struct build_job *job, int fd, uint64_t size, int to, struct bh_err *err) {
    off_t at = BH_LAYER_TAR_OFFSET;

    while (size > 0) {
        ssize_t n;

        if (wait_writable(job, to, err) != 0)
            return err->code;
        n = sendfile(to, fd, &at, size < CHUNK ? (size_t)size : CHUNK);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return bh_err_errno(err, errno, "write the output");
        if (n == 0)
            return bh_err_set(err, BH_E_DATA_LOSS, "a layer is shorter than the store has told");
        size -= (uint64_t)n;
    }
    return 0;
}

static int write_layer(struct build_site *site, const struct bh_digest *layer, uint64_t size, int to,
                       struct bh_err *err) {
    struct build_job *job = site->job;
    struct bh_image_config config = site->image;
    struct build_make make = {.config = &config, .parent = ""};
    BH_SCOPE_CLOSE int fd = -1;
    struct bh_digest one = *layer;
    struct build_made made;

    config.diff_ids = &one;
    config.n_diff_ids = 1;
    config.history = NULL;
    config.n_history = 0;
    config.build_cache = (struct bh_strlist){0};
    if (build_image_make(job->room->store, build_hold_number(job->hold), &make, &site->arena, &made, err) != 0 ||
        build_image_layer(job->room->store, job->ask->owner, made.id, &fd, err) != 0)
        return err->code;
    return copy_tar(job, fd, size, to, err);
}

/* "/linux_arm_v7/" */
static const char *platform_folder(struct build_site *site, struct bh_err *err) {
    BH_SCOPE_FREE char *text = bh_xasprintf("/%s/", site->job->inputs.target_platform);

    for (char *c = text + 1; c[0] != '\0' && c[1] != '\0'; c++)
        if (*c == '/')
            *c = '_';
    return bh_oci_strdup(&site->arena, text, strlen(text), err);
}

static int platform_item(struct build_site *site, struct build_item *out, struct bh_err *err) {
    static const char *all[] = {"/"};

    *out = (struct build_item){.target = platform_folder(site, err), .uid = -1, .gid = -1, .contents = true};
    if (out->target == NULL)
        return err->code;
    if (site->image.n_diff_ids == 0) {
        out->mkdir = true;
        out->mode = 0755;
        out->uid = out->gid = 0;
        return 0;
    }
    out->has_from = true;
    out->from = (struct build_stack){.layers = site->image.diff_ids, .n = site->image.n_diff_ids};
    out->sources = (struct bh_strlist){.present = true, .n = 1, .v = all};
    return 0;
}

static int join_platforms(struct build_site **sites, size_t n, struct bh_digest *out, uint64_t *out_size,
                          struct bh_err *err) {
    struct build_job *job = sites[0]->job;
    struct build_item *items = bh_oci_alloc(&sites[0]->arena, (n + 1) * sizeof *items, err);
    const struct build_compose c = {.hold = build_hold_number(job->hold),
                                    .items = items,
                                    .n_items = n,
                                    .clamp = job->ask->has_epoch,
                                    .clamp_ns = job->ask->epoch_ns};
    struct build_composed made;

    if (items == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (platform_item(sites[i], &items[i], err) != 0)
            return err->code;
    if (build_compose(job->room->store, &c, &job->cancel, &sites[0]->arena, &made, err) != 0)
        return err->code;
    *out = made.layer;
    *out_size = made.size;
    return 0;
}

int build_output_files(struct build_site **sites, size_t n, int fd, struct bh_err *err) {
    static const char nothing[1024];
    struct build_site *site = sites[0];
    struct bh_digest layer;
    uint64_t size;

    if (n > 1 ? join_platforms(sites, n, &layer, &size, err) != 0 : build_flatten(site, 0, &layer, &size, err) != 0)
        return err->code;
    if (layer.alg != BH_DIGEST_NONE)
        return write_layer(site, &layer, size, fd, err);
    if (bh_write_all(fd, nothing, sizeof nothing) != 0)
        return bh_err_errno(err, errno, "write the output");
    return 0;
}
