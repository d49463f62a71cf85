/*
 * spec_make.c - what a container or an exec session shall be, see spec_make.h.
 *
 * Room: runtime.  Reads the request of a caller and the image's config; both are foreign.  Opens
 * nothing.  This file has the process: command, environment, user, folder, signals, log; the other
 * spec_*.c have a part each.  The rules are docker 28's unless a comment says otherwise.
 */
#include "svc-runtime/spec_make.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/port.h"
#include "svc-runtime/caps.h"
#include "svc-runtime/signal_name.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int rt_strings_of(const struct bh_strlist *list, struct bh_arena *arena, struct rt_strings *out, struct bh_err *err) {
    char **v = NULL;

    if (list->n > 65536)
        return bh_err_set(err, BH_E_LIMIT, "a list of %zu entries: at most 65536 are allowed", list->n);
    if (list->n > 0) {
        v = bh_oci_alloc(arena, list->n * sizeof *v, err);
        if (v == NULL)
            return err->code;
    }
    for (size_t i = 0; i < list->n; i++)
        v[i] = (char *)list->v[i]; /* the wire struct is not const, nobody writes through it */
    *out = (struct rt_strings){.item = v, .n = (uint32_t)list->n};
    return 0;
}

int rt_spec_warn(struct rt_made *made, struct bh_arena *arena, const char *text, struct bh_err *err) {
    return bh_strlist_add(&made->warnings, arena, text, err);
}

static const char *pick(const char *given, const char *of_image) {
    return *given != 0 ? given : of_image;
}

/* A given entry point, also an empty one, drops the image's command: its words were meant for the
 * image's own entry point. */
static void choose_command(const struct rt_request *req, const struct bh_run_config *image, struct bh_run_config *out) {
    out->entrypoint = req->entrypoint_set ? req->entrypoint : image->entrypoint;
    if (req->entrypoint_set && req->entrypoint.n == 1 && req->entrypoint.v[0][0] == 0)
        out->entrypoint = (struct bh_strlist){0};
    if (req->command.n > 0)
        out->cmd = req->command;
    else
        out->cmd = req->entrypoint_set ? (struct bh_strlist){0} : image->cmd;
    out->entrypoint.present = out->entrypoint.n > 0;
    out->cmd.present = out->cmd.n > 0;
}

int rt_list_join(const struct bh_strlist *a, const struct bh_strlist *b, struct bh_arena *arena, struct bh_strlist *out,
                 struct bh_err *err) {
    const char **v;

    if (a->n > 65536 || b->n > 65536)
        return bh_err_set(err, BH_E_LIMIT, "a list of more than 65536 entries");
    v = bh_oci_alloc(arena, (a->n + b->n + 1) * sizeof *v, err);
    if (v == NULL)
        return err->code;
    for (size_t i = 0; i < a->n; i++)
        v[i] = a->v[i];
    for (size_t i = 0; i < b->n; i++)
        v[a->n + i] = b->v[i];
    *out = (struct bh_strlist){.present = true, .n = a->n + b->n, .v = v};
    return 0;
}

static int join_args(const struct bh_run_config *c, struct bh_arena *arena, struct rt_strings *out,
                     struct bh_err *err) {
    struct bh_strlist all = {0};

    if (rt_list_join(&c->entrypoint, &c->cmd, arena, &all, err) != 0)
        return err->code;
    if (all.n == 0) {
        bh_err_set(err, BH_E_INVALID, "no command specified");
        bh_err_reason(err, "no-command");
        return bh_err_hint(err, "the image names no command: write one after the image");
    }
    return rt_strings_of(&all, arena, out, err);
}

/* What the process gets: a default PATH in front, which any other PATH replaces. */
static int process_env(const struct bh_strlist *env, struct bh_arena *arena, struct rt_strings *out,
                       struct bh_err *err) {
    static const char *default_path[] = {DEFAULT_PATH};
    const struct bh_strlist first = {.n = bh_env_get(env, "PATH") == NULL ? 1 : 0, .v = default_path};
    struct bh_strlist all = {0};

    if (rt_list_join(&first, env, arena, &all, err) != 0)
        return err->code;
    return rt_strings_of(&all, arena, out, err);
}

static int make_labels(const struct rt_request *req, struct bh_run_config *out, struct bh_arena *arena,
                       struct bh_err *err) {
    for (size_t i = 0; i < req->labels.n; i++)
        if (bh_pairs_set(&out->labels, arena, req->labels.v[i].key, req->labels.v[i].value, err) != 0)
            return err->code;
    return 0;
}

static int make_ports(const struct rt_request *req, struct bh_run_config *out, struct bh_arena *arena,
                      struct bh_err *err) {
    for (size_t i = 0; i < req->expose.n; i++)
        if (bh_ports_add(&out->exposed_ports, arena, req->expose.v[i], err) != 0)
            return bh_err_prefix(err, "--expose");
    return 0;
}

static int make_process(const struct rt_request *req, const struct bh_run_config *image, struct bh_run_config *config,
                        struct bh_arena *arena, struct rt_spec *spec, struct bh_err *err) {
    choose_command(req, image, config);
    config->user = pick(req->user, image->user);
    config->working_dir = pick(req->workdir, image->working_dir);
    if (join_args(config, arena, &spec->args, err) != 0 ||
        rt_env_merge(&image->env, &req->env, arena, &config->env, err) != 0 ||
        process_env(&config->env, arena, &spec->env, err) != 0 || make_labels(req, config, arena, err) != 0 ||
        make_ports(req, config, arena, err) != 0 || rt_strings_of(&req->group_add, arena, &spec->group_add, err) != 0)
        return err->code;
    spec->user = (char *)config->user;
    if (*config->working_dir == 0)
        config->working_dir = "/";
    if (rt_path_clean(config->working_dir, "working directory", arena, &spec->cwd, err) != 0)
        return err->code;
    config->working_dir = spec->cwd;
    return 0;
}

static int make_stop(const struct rt_request *req, const struct bh_run_config *image, struct rt_made *made,
                     struct bh_err *err) {
    const char *signal = pick(req->stop_signal, pick(image->stop_signal, "SIGTERM"));

    made->config.config.stop_signal = pick(req->stop_signal, image->stop_signal);
    made->stop_timeout = RT_STOP_SECONDS;
    if (image->has_stop_timeout && image->stop_timeout >= -1 && image->stop_timeout < INT32_MAX)
        made->stop_timeout = (int)image->stop_timeout;
    if (req->stop_timeout_set)
        made->stop_timeout = req->stop_timeout < 0 ? -1 : req->stop_timeout;
    return rt_signal_parse(signal, &made->stop_signal, err);
}

static int make_log(const struct rt_request *req, struct rt_spec *spec, struct bh_err *err) {
    static const char *const kept[] = {"", "json-file", "local"};
    uint64_t n = 0;

    for (size_t i = 0; i < BH_ARRAY_LEN(kept); i++)
        if (strcmp(req->log_driver, kept[i]) == 0)
            spec->flags |= RT_KEEP_LOG;
    if (!(spec->flags & RT_KEEP_LOG) && strcmp(req->log_driver, "none") != 0) {
        bh_err_set(err, BH_E_INVALID, "logger: no log driver named '%s' is registered", req->log_driver);
        return bh_err_hint(err, "json-file, local and none are known; the first two keep the engine's own log");
    }
    for (size_t i = 0; i < req->log_opts.n; i++) {
        const char *key = req->log_opts.v[i].key, *value = req->log_opts.v[i].value;

        if (strcmp(key, "max-size") == 0 && bh_str_bytes(value, &n) && n >= 4096)
            spec->log_max_size = n;
        else if (strcmp(key, "max-file") == 0 && bh_str_u64(value, &n) && n >= 1 && n <= 100)
            spec->log_max_files = (uint32_t)n;
        else
            return bh_err_set(err, BH_E_INVALID,
                              "log option %s=%s: max-size (4k or more) and max-file (1 to 100) are known", key, value);
    }
    return 0;
}

static int make_tty(const struct rt_request *req, struct rt_spec *spec, struct bh_err *err) {
    if (req->tty_rows > 65535 || req->tty_cols > 65535)
        return bh_err_set(err, BH_E_INVALID, "a terminal of %u rows and %u columns: at most 65535 each", req->tty_rows,
                          req->tty_cols);
    spec->tty_rows = req->tty_rows;
    spec->tty_cols = req->tty_cols;
    /* a terminal outlives the client that left it: somebody may attach again */
    spec->flags |= (req->tty ? (uint32_t)RT_TTY : 0) | (req->open_stdin ? (uint32_t)RT_OPEN_STDIN : 0) |
                   (req->open_stdin && req->stdin_once && !req->tty ? (uint32_t)RT_STDIN_ONCE : 0) |
                   (req->auto_remove ? (uint32_t)RT_VOLATILE : 0) | (req->init ? (uint32_t)RT_INIT : 0) |
                   (req->read_only ? (uint32_t)RT_READONLY_ROOTFS : 0);
    return 0;
}

/* Docker runs an image of another platform with a warning, and binfmt may even make it work; here a
 * platform that was asked for by name must be the image's. */
static int check_platform(const struct rt_request *req, const struct bh_image_config *image, struct bh_err *err) {
    struct bh_platform want, have;
    char text[BH_PLATFORM_TEXT_SIZE];

    if (*req->platform == 0)
        return 0;
    if (bh_platform_parse(req->platform, &want, err) != 0)
        return err->code;
    bh_image_config_platform(image, &have);
    if (bh_platform_rank(&want, &have) >= 0)
        return 0;
    bh_platform_format(&have, text);
    bh_err_set(err, BH_E_NOT_FOUND, "image %s was found but does not provide the specified platform (%s): it is %s",
               req->image, req->platform, text);
    return bh_err_reason(err, "wrong-platform");
}

int rt_spec_make(const struct rt_request *req, const struct bh_image_config *image, const char *id,
                 struct bh_arena *arena, struct rt_made *out, struct bh_err *err) {
    struct rt_made made = {0};

    made.spec.seccomp_profile = (char *)"";
    if (check_platform(req, image, err) != 0 || bh_image_config_copy(image, arena, &made.config, err) != 0 ||
        make_process(req, &image->config, &made.config.config, arena, &made.spec, err) != 0 ||
        make_stop(req, &image->config, &made, err) != 0 || make_log(req, &made.spec, err) != 0 ||
        make_tty(req, &made.spec, err) != 0 || rt_spec_isolation(req, arena, &made, err) != 0 ||
        rt_spec_names(req, id, arena, &made.spec, err) != 0 || rt_spec_mounts(req, arena, &made.spec, err) != 0 ||
        rt_spec_limits(req, arena, &made.spec, err) != 0)
        return err->code;
    made.config.config.hostname = made.spec.hostname;
    made.config.config.domainname = made.spec.domainname;
    *out = made;
    return 0;
}

int rt_spec_make_exec(const struct rt_exec_request *req, const struct rt_spec *base, struct bh_arena *arena,
                      struct rt_spec *out, struct bh_err *err) {
    struct bh_strlist of_container = {.n = base->env.n, .v = (const char **)base->env.item, .present = true};
    struct bh_strlist env = {0};
    struct rt_spec spec = {
        .cwd = base->cwd,
        .user = (char *)pick(req->user, base->user),
        .group_add = base->group_add,
        .caps = req->privileged ? rt_caps_all() : base->caps,
        .hostname = base->hostname,
        .domainname = base->domainname,
        .seccomp_profile = base->seccomp_profile,
        .ulimits = base->ulimits,
        .n_ulimits = base->n_ulimits,
        .oom_score_adj = base->oom_score_adj,
        .umask = base->umask,
        .tty_rows = req->tty_rows,
        .tty_cols = req->tty_cols,
        .flags = (base->flags & (RT_NO_NEW_PRIVS | RT_SECCOMP_UNCONFINED | RT_PRIVILEGED | RT_USERNS_HOST)) |
                 (req->tty ? (uint32_t)RT_TTY : 0) | (req->privileged ? (uint32_t)RT_EXEC_PRIVILEGED : 0) |
                 (req->open_stdin ? (uint32_t)RT_OPEN_STDIN : 0) |
                 (req->open_stdin && !req->tty ? (uint32_t)RT_STDIN_ONCE : 0),
    };

    if (req->command.n == 0)
        return bh_err_set(err, BH_E_INVALID, "No exec command specified");
    if (req->tty_rows > 65535 || req->tty_cols > 65535)
        return bh_err_set(err, BH_E_INVALID, "a terminal has at most 65535 rows and columns");
    if (rt_env_merge(&of_container, &req->env, arena, &env, err) != 0 ||
        rt_strings_of(&env, arena, &spec.env, err) != 0 || rt_strings_of(&req->command, arena, &spec.args, err) != 0 ||
        (*req->workdir != 0 && rt_path_clean(req->workdir, "working directory", arena, &spec.cwd, err) != 0))
        return err->code;
    *out = spec;
    return 0;
}
