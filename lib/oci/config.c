/*
 * config.c - see config.h.  Owns the reading of image configs.
 * Room: the worker, on foreign bytes; store, runtime and build on what it passed.
 * Trusts nothing.  Must refuse what a later reader could take for something else: an Env entry
 * without '=', a count of layers that does not fit, a control byte in a name.
 */
#include "oci/config.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "oci/json.h"

#define LIST_MAX    65536
#define HISTORY_MAX 10000

static const struct bh_oci_limits default_limits = BH_OCI_LIMITS_DEFAULT;

/* docker reads "Cmd": "text" as a list of one. */
static int parse_argv(const struct bh_json_at *at, const char *key, struct bh_arena *arena, struct bh_strlist *out,
                      struct bh_err *err) {
    struct bh_json_at m;
    const char *text;

    *out = (struct bh_strlist){0};
    if (!bh_json_member(at, key, &m) || !json_is_string(m.v))
        return bh_json_strlist(at, key, BH_TEXT_FREE, LIST_MAX, arena, out, err);
    if (bh_json_text(&m, BH_TEXT_FREE, arena, &text, err) != 0)
        return err->code;
    return bh_strlist_add(out, arena, text, err);
}

static int parse_env(const struct bh_json_at *at, struct bh_arena *arena, struct bh_strlist *out, struct bh_err *err) {
    if (bh_json_strlist(at, "Env", BH_TEXT_FREE, LIST_MAX, arena, out, err) != 0)
        return err->code;
    for (size_t i = 0; i < out->n; i++) {
        const char *eq = strchr(out->v[i], '=');

        if (eq == NULL || eq == out->v[i])
            return bh_json_fail(at, err, "Env[%zu]: \"%.100s\" is not NAME=value", i, out->v[i]);
    }
    return 0;
}

static int parse_health(const struct bh_json_at *config, struct bh_arena *arena, struct bh_healthcheck *h,
                        struct bh_err *err) {
    static const char *const known[] = {"Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries", NULL};
    struct bh_json_at at;

    *h = (struct bh_healthcheck){0};
    if (!bh_json_member(config, "Healthcheck", &at))
        return 0;
    if (bh_json_need_object(&at, err) != 0 || bh_json_check_keys(&at, known, false, err) != 0 ||
        bh_json_strlist(&at, "Test", BH_TEXT_FREE, LIST_MAX, arena, &h->test, err) != 0 ||
        bh_json_i64(&at, "Interval", &h->interval_ns, err) != 0 ||
        bh_json_i64(&at, "Timeout", &h->timeout_ns, err) != 0 ||
        bh_json_i64(&at, "StartPeriod", &h->start_period_ns, err) != 0 ||
        bh_json_i64(&at, "StartInterval", &h->start_interval_ns, err) != 0 ||
        bh_json_i64(&at, "Retries", &h->retries, err) != 0)
        return err->code;
    if (h->interval_ns < 0 || h->timeout_ns < 0 || h->start_period_ns < 0 || h->start_interval_ns < 0 || h->retries < 0)
        return bh_json_fail(&at, err, "a time or count is negative");
    h->present = true;
    return 0;
}

static int parse_stop_timeout(const struct bh_json_at *at, struct bh_run_config *c, struct bh_err *err) {
    struct bh_json_at m;

    c->has_stop_timeout = bh_json_member(at, "StopTimeout", &m);
    return bh_json_i64(at, "StopTimeout", &c->stop_timeout, err);
}

static int parse_run_config(const struct bh_json_at *root, struct bh_arena *arena, struct bh_run_config *c,
                            struct bh_err *err) {
    static const char *const known[] = {
        "User",       "ExposedPorts", "Env",         "Entrypoint",  "Cmd",        "Volumes",
        "WorkingDir", "Labels",       "StopSignal",  "Hostname",    "Domainname", "Healthcheck",
        "OnBuild",    "Shell",        "ArgsEscaped", "StopTimeout", NULL};
    struct bh_json_at at;

    if (!bh_json_member(root, "config", &at))
        return 0;
    if (bh_json_need_object(&at, err) != 0 || bh_json_check_keys(&at, known, false, err) != 0 ||
        bh_json_str(&at, "User", BH_TEXT_LINE, arena, &c->user, err) != 0 ||
        bh_json_str(&at, "WorkingDir", BH_TEXT_LINE, arena, &c->working_dir, err) != 0 ||
        bh_json_str(&at, "Hostname", BH_TEXT_LINE, arena, &c->hostname, err) != 0 ||
        bh_json_str(&at, "Domainname", BH_TEXT_LINE, arena, &c->domainname, err) != 0 ||
        bh_json_str(&at, "StopSignal", BH_TEXT_LINE, arena, &c->stop_signal, err) != 0 ||
        parse_env(&at, arena, &c->env, err) != 0 || parse_argv(&at, "Entrypoint", arena, &c->entrypoint, err) != 0 ||
        parse_argv(&at, "Cmd", arena, &c->cmd, err) != 0 || parse_argv(&at, "Shell", arena, &c->shell, err) != 0 ||
        bh_json_strlist(&at, "OnBuild", BH_TEXT_FREE, LIST_MAX, arena, &c->on_build, err) != 0 ||
        bh_json_set(&at, "ExposedPorts", LIST_MAX, arena, &c->exposed_ports, err) != 0 ||
        bh_json_set(&at, "Volumes", LIST_MAX, arena, &c->volumes, err) != 0 ||
        bh_json_pairs(&at, "Labels", BH_TEXT_FREE, LIST_MAX, arena, &c->labels, err) != 0 ||
        parse_health(&at, arena, &c->healthcheck, err) != 0 ||
        bh_json_bool(&at, "ArgsEscaped", &c->args_escaped, err) != 0)
        return err->code;
    return parse_stop_timeout(&at, c, err);
}

static int parse_rootfs(const struct bh_json_at *root, const struct bh_oci_limits *limits, struct bh_arena *arena,
                        struct bh_image_config *c, struct bh_err *err) {
    static const char *const known[] = {"type", "diff_ids", NULL};
    struct bh_strlist ids;
    struct bh_json_at at;
    const char *type;

    if (!bh_json_member(root, "rootfs", &at))
        return bh_json_fail(root, err, "key \"rootfs\" is missing: not the config of a container image");
    if (bh_json_need_object(&at, err) != 0 || bh_json_check_keys(&at, known, false, err) != 0 ||
        bh_json_str(&at, "type", BH_TEXT_LINE, arena, &type, err) != 0)
        return err->code;
    if (type[0] != '\0' && strcmp(type, "layers") != 0)
        return bh_json_fail(&at, err, "type \"%.64s\" is not known, only \"layers\" is", type);
    if (bh_json_strlist(&at, "diff_ids", BH_TEXT_LINE, limits->max_layers, arena, &ids, err) != 0)
        return err->code;
    c->diff_ids = bh_oci_alloc(arena, ids.n * sizeof *c->diff_ids, err);
    if (c->diff_ids == NULL)
        return err->code;
    for (size_t i = 0; i < ids.n; i++) {
        struct bh_err why = BH_ERR_INIT;

        if (bh_digest_parse(ids.v[i], &c->diff_ids[i], &why) != 0 || c->diff_ids[i].alg != BH_DIGEST_SHA256)
            return bh_json_fail(&at, err, "diff_ids[%zu]: \"%.160s\" is not a sha256 digest", i, ids.v[i]);
    }
    c->n_diff_ids = ids.n;
    return 0;
}

static int parse_history(const struct bh_json_at *root, struct bh_arena *arena, struct bh_image_config *c,
                         struct bh_err *err) {
    static const char *const known[] = {"created", "created_by", "author", "comment", "empty_layer", NULL};
    struct bh_json_at at;

    if (!bh_json_member(root, "history", &at))
        return 0;
    if (bh_json_need_array(&at, HISTORY_MAX, "of history entries", err) != 0)
        return err->code;
    c->n_history = json_array_size(at.v);
    c->history = bh_oci_alloc(arena, c->n_history * sizeof *c->history, err);
    if (c->history == NULL)
        return err->code;
    for (size_t i = 0; i < c->n_history; i++) {
        struct bh_json_at e = bh_json_element(&at, i);
        struct bh_history *h = &c->history[i];

        if (bh_json_need_object(&e, err) != 0 || bh_json_check_keys(&e, known, false, err) != 0 ||
            bh_json_str(&e, "created", BH_TEXT_LINE, arena, &h->created, err) != 0 ||
            bh_json_str(&e, "created_by", BH_TEXT_FREE, arena, &h->created_by, err) != 0 ||
            bh_json_str(&e, "author", BH_TEXT_FREE, arena, &h->author, err) != 0 ||
            bh_json_str(&e, "comment", BH_TEXT_FREE, arena, &h->comment, err) != 0 ||
            bh_json_bool(&e, "empty_layer", &h->empty_layer, err) != 0)
            return err->code;
    }
    return 0;
}

/* docker's rule: history may say less than there is (squashed, built by other programs), never more. */
static int check_history(const struct bh_json_at *root, const struct bh_image_config *c, struct bh_err *err) {
    size_t with_layer = 0;

    for (size_t i = 0; i < c->n_history; i++)
        with_layer += !c->history[i].empty_layer;
    if (with_layer > c->n_diff_ids)
        return bh_json_fail(root, err, "history names %zu layers, rootfs.diff_ids has %zu", with_layer, c->n_diff_ids);
    return 0;
}

/* Go writes the year 1 for "no time"; such a text is kept, but 64 bits of nanoseconds cannot hold it. */
static bool parse_created(const char *text, int64_t *out_ns) {
    char shifted[72];

    *out_ns = 0;
    if (text[0] == '\0' || bh_time_parse(text, out_ns))
        return true;
    if (!bh_str_copy(shifted, sizeof shifted, text) || strspn(text, "0123456789") != 4)
        return false;
    memcpy(shifted, "2000", 4);
    if (!bh_time_parse(shifted, out_ns))
        return false;
    *out_ns = 0;
    return true;
}

static int check_platform_text(const struct bh_json_at *root, const char *key, const char *text, size_t size,
                               struct bh_err *err) {
    return strlen(text) < size ? 0 : bh_json_fail(root, err, "\"%s\" is longer than %zu bytes", key, size - 1);
}

/* It is worth nothing to who runs the image: one that a later version wrote in another way is passed over. */
static void parse_build_cache(const struct bh_json_at *root, struct bh_arena *arena, struct bh_image_config *c) {
    struct bh_err ignored = BH_ERR_INIT;

    (void)bh_json_strlist(root, BH_BUILD_CACHE_KEY, BH_TEXT_LINE, BH_BUILD_CACHE_MAX, arena, &c->build_cache, &ignored);
}

static int parse_top(const struct bh_json_at *root, struct bh_arena *arena, struct bh_image_config *c,
                     struct bh_err *err) {
    static const char *const known[] = {"created", "author",           "comment",     "architecture", "variant",
                                        "os",      "os.version",       "os.features", "config",       "rootfs",
                                        "history", BH_BUILD_CACHE_KEY, NULL};
    struct bh_platform *p = NULL;

    if (bh_json_need_object(root, err) != 0 || bh_json_check_keys(root, known, false, err) != 0 ||
        bh_json_str(root, "created", BH_TEXT_LINE, arena, &c->created, err) != 0 ||
        bh_json_str(root, "author", BH_TEXT_FREE, arena, &c->author, err) != 0 ||
        bh_json_str(root, "comment", BH_TEXT_FREE, arena, &c->comment, err) != 0 ||
        bh_json_str(root, "architecture", BH_TEXT_LINE, arena, &c->architecture, err) != 0 ||
        bh_json_str(root, "variant", BH_TEXT_LINE, arena, &c->variant, err) != 0 ||
        bh_json_str(root, "os", BH_TEXT_LINE, arena, &c->os, err) != 0 ||
        bh_json_str(root, "os.version", BH_TEXT_LINE, arena, &c->os_version, err) != 0 ||
        bh_json_strlist(root, "os.features", BH_TEXT_LINE, LIST_MAX, arena, &c->os_features, err) != 0)
        return err->code;
    parse_build_cache(root, arena, c);
    if (!parse_created(c->created, &c->created_ns))
        return bh_json_fail(root, err, "created: \"%.64s\" is no time as in RFC 3339", c->created);
    if (check_platform_text(root, "architecture", c->architecture, sizeof p->arch, err) != 0 ||
        check_platform_text(root, "variant", c->variant, sizeof p->variant, err) != 0 ||
        check_platform_text(root, "os.version", c->os_version, sizeof p->os_version, err) != 0)
        return err->code;
    return check_platform_text(root, "os", c->os, sizeof p->os, err);
}

int bh_image_config_parse(const void *data, size_t n, const char *what, const struct bh_oci_limits *limits,
                          struct bh_arena *arena, struct bh_image_config *out, struct bh_err *err) {
    BH_SCOPE_JSON json_t *json = NULL;
    struct bh_image_config c;
    struct bh_json_at root;

    if (limits == NULL)
        limits = &default_limits;
    bh_image_config_init(&c);
    if (bh_json_parse(data, n, limits->max_bytes, what, &json, err) != 0)
        return err->code;
    root = bh_json_root(json, what);
    if (parse_top(&root, arena, &c, err) != 0 || parse_run_config(&root, arena, &c.config, err) != 0 ||
        parse_rootfs(&root, limits, arena, &c, err) != 0 || parse_history(&root, arena, &c, err) != 0 ||
        check_history(&root, &c, err) != 0) {
        if (err->code == BH_E_INVALID)
            bh_err_reason(err, "invalid-config");
        return err->code;
    }
    *out = c;
    return 0;
}
