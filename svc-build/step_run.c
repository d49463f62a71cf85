/*
 * step_run.c - RUN: a command in a container of the caller, and what it changed as a layer.
 *
 * Room: build.  The result of the same command on the same layers with the same variables is taken from an
 * earlier build.  Secrets, proxies and the content of caches are no part of that question.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "job.h"
#include "key.h"
#include "mounts.h"
#include "oci/platform.h"
#include "room.h"
#include "runner.h"

struct running {
    struct build_site *site;
    const struct build_instruction *in;
    struct build_vertex_ref v;
    struct bh_strlist args;
    const char *network;
    struct build_mounts mounts;
    bool bad_format; /* the OCI runtime says that the program is of no kind that the kernel knows */
};

/* ---- what it is ------------------------------------------------------------------------------ */

/* "RUN |1 A=b /bin/sh -c make" */
static int history_text(struct running *x, char **out, struct bh_err *err) {
    struct bh_buf b = BH_BUF_INIT_MAX((size_t)4 << 20);
    struct bh_strlist args = {0};

    if (build_scope_arg_list(&x->site->scope, &x->site->arena, &args, err) != 0)
        return err->code;
    bh_buf_adds(&b, "RUN");
    if (args.n > 0)
        bh_buf_addf(&b, " |%zu", args.n);
    for (size_t i = 0; i < args.n; i++)
        bh_buf_addf(&b, " %s", args.v[i]);
    for (size_t i = 0; i < x->args.n; i++)
        bh_buf_addf(&b, " %s", x->args.v[i]);
    if (bh_buf_failed(&b)) {
        bh_buf_fini(&b);
        return bh_err_set(err, BH_E_LIMIT, "a RUN of more than 4 MiB");
    }
    *out = bh_buf_take(&b);
    return 0;
}

static int key_of(struct running *x, struct bh_digest *out, struct bh_err *err) {
    const struct build_site *site = x->site;
    const struct build_ask *ask = site->job->ask;
    struct bh_strlist env = {0};
    struct build_key k;

    if (build_scope_run_env(&site->scope, true, &x->site->arena, &env, err) != 0 ||
        build_key_begin(&k, "run", err) != 0)
        return err->code;
    build_key_text(&k, site->image.os);
    build_key_text(&k, site->image.architecture);
    build_key_text(&k, site->image.variant);
    build_key_digests(&k, site->image.diff_ids, site->image.n_diff_ids);
    build_key_list(&k, &x->args);
    build_key_list(&k, &env);
    build_key_text(&k, site->image.config.user);
    build_key_text(&k, site->image.config.working_dir);
    build_key_text(&k, x->network);
    build_key_number(&k, x->in->run.insecure);
    build_key_list(&k, &ask->extra_hosts);
    build_key_number(&k, ask->has_epoch);
    build_key_number(&k, ask->epoch_ns);
    build_mounts_key(&x->mounts, &k);
    return build_key_end(&k, out, err);
}

/* ---- doing it -------------------------------------------------------------------------------- */

static void on_begun(void *arg, const char *container_id) {
    struct running *x = arg;

    build_classic(x->site->job->progress, " ---> Running in %.12s", container_id);
}

static void on_output(void *arg, unsigned stream, const void *data, size_t n) {
    static const char words[] = "xec format error";
    struct running *x = arg;

    if (memmem(data, n, words, sizeof words - 1) != NULL)
        x->bad_format = true;
    build_vertex_output(x->v, stream, data, n);
}

/* What the container is made of: the stage as it stands, with what mounts bring above it. */
static int step_image(struct running *x, struct bh_image_config *out, struct bh_err *err) {
    struct build_site *site = x->site;
    struct bh_image_config config = site->image;
    size_t n = config.n_diff_ids + x->mounts.n_above;
    struct bh_digest *layers = bh_oci_alloc(&site->arena, (n + 1) * sizeof *layers, err);

    if (layers == NULL)
        return err->code;
    if (n == 0) {
        bh_err_set(err, BH_E_INVALID, "line %u: RUN has no program to run: the stage is FROM scratch and still empty",
                   x->in->at.line);
        return bh_err_hint(err, "copy one into it, or begin with an image that has a shell");
    }
    for (size_t i = 0; i < config.n_diff_ids; i++)
        layers[i] = config.diff_ids[i];
    for (size_t i = 0; i < x->mounts.n_above; i++)
        layers[config.n_diff_ids + i] = x->mounts.above[i];
    config.diff_ids = layers;
    config.n_diff_ids = n;
    config.history = NULL; /* nobody reads these */
    config.n_history = 0;
    config.config.labels = (struct bh_pairs){0};
    *out = config;
    return 0;
}

/* What cannot be started may be of another kind of machine. */
static int hint_machine(const struct running *x, struct bh_err *err) {
    struct bh_platform host, image;
    char text[BH_PLATFORM_TEXT_SIZE], here[BH_PLATFORM_TEXT_SIZE];

    bh_platform_host(&host);
    bh_image_config_platform(&x->site->image, &image);
    if (!x->bad_format || bh_platform_rank(&host, &image) >= 0)
        return err->code;
    bh_platform_format(&image, text);
    bh_platform_format(&host, here);
    return bh_err_hint(err,
                       "this host (%s) runs programs for %s only if binfmt_misc has an interpreter for them"
                       " (package qemu-user-static); COPY, and stages FROM --platform=$BUILDPLATFORM, need none",
                       here, text);
}

static int step_failed(const struct running *x, int code, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT;

    for (size_t i = 0; i < x->args.n; i++)
        bh_buf_addf(&b, "%s%s", i > 0 ? " " : "", x->args.v[i]);
    bh_err_set(err, BH_E_ABORTED, "process \"%.600s%s\" did not complete successfully: exit code: %d", bh_buf_str(&b),
               b.len > 600 ? ".." : "", code);
    bh_err_reason(err, "step-failed");
    return hint_machine(x, err);
}

static int execute(struct running *x, const struct bh_image_config *image, struct build_result *out,
                   struct bh_err *err) {
    struct build_site *site = x->site;
    struct build_exec e = {.ask = site->job->ask,
                           .hold = build_hold_number(site->job->hold),
                           .image = image,
                           .command = x->args,
                           .user = site->image.config.user,
                           .workdir = site->image.config.working_dir,
                           .network = x->network,
                           .privileged = x->in->run.insecure,
                           .mounts = x->mounts.exec,
                           .n_mounts = x->mounts.n_exec,
                           .exclude = x->mounts.exclude,
                           .separate = x->mounts.separate};
    struct build_exec_result done;

    if (build_scope_run_env(&site->scope, false, &site->arena, &e.env, err) != 0 ||
        build_mounts_env(&x->mounts, &e.env, err) != 0 ||
        build_exec(site->job->room->runner, &e, &site->job->cancel, on_begun, on_output, x, &site->arena, &done, err) !=
            0)
        return err->code;
    if (done.exit_code != 0)
        return step_failed(x, done.exit_code, err);
    *out = (struct build_result){.has_layer = true, .layer = done.change.layer, .created_ns = bh_now_ns()};
    if (!done.change.changed && build_nothing(site->job, &out->layer, err) != 0)
        return err->code;
    return build_mounts_keep(&x->mounts, done.separate, err);
}

static int work(struct running *x, const struct bh_digest *key, const char *text, struct build_result *out,
                struct bh_err *err) {
    struct bh_image_config image;
    int r;

    if (build_slot_take(x->site->job, err) != 0)
        return err->code;
    r = build_mounts_make(&x->mounts, err);
    if (r == 0)
        r = step_image(x, &image, err);
    if (r == 0)
        r = execute(x, &image, out, err);
    build_mounts_leave(&x->mounts);
    build_slot_give(x->site->job);
    return r == 0 ? build_cache_keep(x->site, key, out, text, err) : r;
}

static int run_step(struct running *x, bool *out_cached, struct bh_err *err) {
    BH_SCOPE_FREE char *text = NULL;
    struct build_result result;
    struct bh_digest key;

    if (build_shell_args(x->site, &x->in->run.command, x->in->run.script, &x->args, err) != 0 ||
        build_mounts_read(&x->mounts, x->site, x->in, x->v, &x->args, err) != 0 || history_text(x, &text, err) != 0 ||
        key_of(x, &key, err) != 0 || build_cache_look(x->site, &key, out_cached, &result, err) != 0)
        return err->code;
    if (!*out_cached && x->mounts.n == 0 && build_cache_from(x->site, text, &result)) {
        *out_cached = true;
        if (build_cache_keep(x->site, &key, &result, text, err) != 0)
            return err->code;
    }
    if (*out_cached)
        build_classic(x->site->job->progress, " ---> Using cache");
    else if (work(x, &key, text, &result, err) != 0)
        return err->code;
    return build_history_layer(x->site, text, &result, err);
}

int build_step_run(struct build_site *site, const struct build_instruction *in, struct bh_err *err) {
    struct running x = {.site = site, .in = in, .v = build_vertex_begin(site, in, "")};
    bool cached = false;
    int r;

    x.network = in->run.network == BUILD_NETWORK_NONE   ? "none"
                : in->run.network == BUILD_NETWORK_HOST ? "host"
                                                        : site->job->ask->network;
    if (x.network[0] == '\0' || strcmp(x.network, "default") == 0)
        x.network = "none";
    r = run_step(&x, &cached, err);
    if (r == 0)
        build_vertex_end(x.v, cached ? BUILD_V_CACHED : BUILD_V_DONE, NULL);
    else
        build_vertex_end(x.v, r == BH_E_CANCELLED ? BUILD_V_CANCELLED : BUILD_V_ERROR, err);
    return r;
}
