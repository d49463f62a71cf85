/*
 * config_edit.c - image configs made here: empty, copied, extended, written (see config.h).
 * Room: store (import, commit) and build.  Pure.  Trusts the struct: its texts are valid UTF-8.
 * The written bytes depend on the struct alone, because the image id is a digest of them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "oci/config.h"
#include "oci/write.h"

void bh_image_config_init(struct bh_image_config *c) {
    *c = (struct bh_image_config){
        .created = "", .author = "", .comment = "", .architecture = "", .variant = "", .os = "", .os_version = ""};
    c->config.user = c->config.working_dir = c->config.hostname = c->config.domainname = c->config.stop_signal = "";
}

int bh_image_config_check_layers(const struct bh_image_config *c, size_t n_layers, const char *what,
                                 struct bh_err *err) {
    if (c->n_diff_ids == n_layers)
        return 0;
    bh_err_set(err, BH_E_INVALID, "%s: the manifest has %zu layers, the config names %zu", what, n_layers,
               c->n_diff_ids);
    return bh_err_reason(err, "invalid-config");
}

void bh_image_config_platform(const struct bh_image_config *c, struct bh_platform *out) {
    *out = (struct bh_platform){0};
    bh_str_copy(out->os, sizeof out->os, c->os[0] != '\0' ? c->os : "linux");
    bh_str_copy(out->arch, sizeof out->arch, c->architecture);
    bh_str_copy(out->variant, sizeof out->variant, c->variant);
    bh_str_copy(out->os_version, sizeof out->os_version, c->os_version);
}

/* --- copy: a text that fails to be copied leaves the error set; `failed` is looked at once, at the end --- */

struct copier {
    struct bh_arena *arena;
    struct bh_err *err;
    bool failed;
};

static const char *copy_text(struct copier *k, const char *s) {
    const char *out = bh_oci_strdup(k->arena, s, strlen(s), k->err);

    k->failed = k->failed || out == NULL;
    return out;
}

static void *copy_room(struct copier *k, size_t n, size_t size) {
    void *out = bh_oci_alloc(k->arena, n * size, k->err);

    k->failed = k->failed || out == NULL;
    return out;
}

static struct bh_strlist copy_list(struct copier *k, const struct bh_strlist *l) {
    struct bh_strlist out = {.present = l->present, .v = copy_room(k, l->n, sizeof *l->v)};

    for (size_t i = 0; out.v != NULL && i < l->n; i++)
        out.v[out.n++] = copy_text(k, l->v[i]);
    return out;
}

static struct bh_pairs copy_pairs(struct copier *k, const struct bh_pairs *p) {
    struct bh_pairs out = {.present = p->present, .v = copy_room(k, p->n, sizeof *p->v)};

    for (size_t i = 0; out.v != NULL && i < p->n; i++)
        out.v[out.n++] = (struct bh_pair){copy_text(k, p->v[i].key), copy_text(k, p->v[i].value)};
    return out;
}

static void copy_run_config(struct copier *k, const struct bh_run_config *src, struct bh_run_config *out) {
    out->user = copy_text(k, src->user);
    out->working_dir = copy_text(k, src->working_dir);
    out->hostname = copy_text(k, src->hostname);
    out->domainname = copy_text(k, src->domainname);
    out->stop_signal = copy_text(k, src->stop_signal);
    out->env = copy_list(k, &src->env);
    out->entrypoint = copy_list(k, &src->entrypoint);
    out->cmd = copy_list(k, &src->cmd);
    out->exposed_ports = copy_list(k, &src->exposed_ports);
    out->volumes = copy_list(k, &src->volumes);
    out->on_build = copy_list(k, &src->on_build);
    out->shell = copy_list(k, &src->shell);
    out->labels = copy_pairs(k, &src->labels);
    out->healthcheck.test = copy_list(k, &src->healthcheck.test);
}

static struct bh_history copy_step(struct copier *k, const struct bh_history *h) {
    return (struct bh_history){
        .created = copy_text(k, h->created != NULL ? h->created : ""),
        .created_by = copy_text(k, h->created_by != NULL ? h->created_by : ""),
        .author = copy_text(k, h->author != NULL ? h->author : ""),
        .comment = copy_text(k, h->comment != NULL ? h->comment : ""),
        .empty_layer = h->empty_layer,
    };
}

int bh_image_config_copy(const struct bh_image_config *src, struct bh_arena *arena, struct bh_image_config *out,
                         struct bh_err *err) {
    struct copier k = {.arena = arena, .err = err};
    struct bh_image_config c = *src;

    c.created = copy_text(&k, src->created);
    c.author = copy_text(&k, src->author);
    c.comment = copy_text(&k, src->comment);
    c.architecture = copy_text(&k, src->architecture);
    c.variant = copy_text(&k, src->variant);
    c.os = copy_text(&k, src->os);
    c.os_version = copy_text(&k, src->os_version);
    c.os_features = copy_list(&k, &src->os_features);
    copy_run_config(&k, &src->config, &c.config);
    c.diff_ids = copy_room(&k, src->n_diff_ids, sizeof *src->diff_ids);
    if (c.diff_ids != NULL && src->n_diff_ids > 0)
        memcpy(c.diff_ids, src->diff_ids, src->n_diff_ids * sizeof *src->diff_ids);
    c.history = copy_room(&k, src->n_history, sizeof *src->history);
    for (size_t i = 0; c.history != NULL && i < src->n_history; i++)
        c.history[i] = copy_step(&k, &src->history[i]);
    if (k.failed)
        return err->code;
    *out = c;
    return 0;
}

int bh_image_config_add_layer(struct bh_image_config *c, const struct bh_digest *diff_id,
                              const struct bh_history *history, struct bh_arena *arena, struct bh_err *err) {
    struct copier k = {.arena = arena, .err = err};
    struct bh_digest *ids = copy_room(&k, c->n_diff_ids + 1, sizeof *ids);
    struct bh_history *steps = copy_room(&k, c->n_history + 1, sizeof *steps);
    struct bh_history step = copy_step(&k, history);

    if (k.failed)
        return err->code;
    if (diff_id != NULL) {
        if (c->n_diff_ids > 0)
            memcpy(ids, c->diff_ids, c->n_diff_ids * sizeof *ids);
        ids[c->n_diff_ids++] = *diff_id;
        c->diff_ids = ids;
    }
    step.empty_layer = diff_id == NULL;
    if (c->n_history > 0)
        memcpy(steps, c->history, c->n_history * sizeof *steps);
    steps[c->n_history++] = step;
    c->history = steps;
    return 0;
}

/* --- environment and ports ----------------------------------------------------------------------- */

static bool env_is(const char *entry, const char *key, size_t n) {
    return strncmp(entry, key, n) == 0 && entry[n] == '=';
}

const char *bh_env_get(const struct bh_strlist *env, const char *key) {
    size_t n = strlen(key);

    for (size_t i = env->n; i > 0; i--) {
        if (env_is(env->v[i - 1], key, n))
            return env->v[i - 1] + n + 1;
    }
    return NULL;
}

int bh_env_set(struct bh_strlist *env, struct bh_arena *arena, const char *key, const char *value, struct bh_err *err) {
    size_t n = strlen(key), size = n + strlen(value) + 2;
    struct copier k = {.arena = arena, .err = err};
    struct bh_strlist fresh;
    char *entry;

    if (n == 0 || strchr(key, '=') != NULL)
        return bh_err_set(err, BH_E_INVALID, "\"%.100s\" is no name of an environment variable", key);
    entry = bh_oci_alloc(arena, size, err);
    if (entry == NULL)
        return err->code;
    snprintf(entry, size, "%s=%s", key, value);
    for (size_t i = 0; i < env->n; i++) {
        if (!env_is(env->v[i], key, n))
            continue;
        fresh = copy_list(&k, env);
        if (k.failed)
            return err->code;
        fresh.v[i] = entry;
        *env = fresh;
        return 0;
    }
    return bh_strlist_add(env, arena, entry, err);
}

static int refuse_port(const char *spec, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "invalid port \"%.64s\": expected PORT[-PORT][/tcp|udp|sctp]", spec);
    return bh_err_hint(err, "ports are numbers from 1 to 65535");
}

/* A decimal port in s[0..n). */
static bool parse_port(const char *s, size_t n, uint64_t *out) {
    char text[8];

    return bh_str_copy_n(text, sizeof text, s, n) && bh_str_u64(text, out) && *out >= 1 && *out <= 65535;
}

int bh_expose_add(struct bh_strlist *ports, struct bh_arena *arena, const char *spec, struct bh_err *err) {
    static const char *const protos[] = {"tcp", "udp", "sctp"};
    const char *slash = strchr(spec, '/'), *proto = NULL, *dash;
    size_t n = slash != NULL ? (size_t)(slash - spec) : strlen(spec);
    uint64_t first, last;
    char text[32];

    for (size_t i = 0; i < 3; i++) {
        if (strcasecmp(slash != NULL ? slash + 1 : "tcp", protos[i]) == 0)
            proto = protos[i];
    }
    dash = memchr(spec, '-', n);
    if (proto == NULL || !parse_port(spec, dash != NULL ? (size_t)(dash - spec) : n, &first))
        return refuse_port(spec, err);
    last = first;
    if (dash != NULL && (!parse_port(dash + 1, n - (size_t)(dash + 1 - spec), &last) || last < first))
        return refuse_port(spec, err);
    for (uint64_t port = first; port <= last; port++) {
        snprintf(text, sizeof text, "%" PRIu64 "/%s", port, proto);
        if (bh_strlist_add_sorted(ports, arena, text, err) != 0)
            return err->code;
    }
    return 0;
}

/* --- writing --------------------------------------------------------------------------------------- */

/* {"name":{}, ...} */
static void write_set(struct bh_buf *b, const char *key, const struct bh_strlist *l) {
    if (!l->present)
        return;
    bh_write_key(b, key);
    bh_buf_addc(b, '{');
    for (size_t i = 0; i < l->n; i++) {
        bh_write_key(b, l->v[i]);
        bh_buf_adds(b, "{}");
    }
    bh_buf_addc(b, '}');
}

static void write_number(struct bh_buf *b, const char *key, int64_t v) {
    if (v == 0)
        return;
    bh_write_key(b, key);
    bh_buf_addf(b, "%" PRId64, v);
}

static void write_true(struct bh_buf *b, const char *key, bool v) {
    if (!v)
        return;
    bh_write_key(b, key);
    bh_buf_adds(b, "true");
}

static void write_health(struct bh_buf *b, const struct bh_healthcheck *h) {
    if (!h->present)
        return;
    bh_write_key(b, "Healthcheck");
    bh_buf_addc(b, '{');
    bh_write_strlist(b, "Test", &h->test);
    write_number(b, "Interval", h->interval_ns);
    write_number(b, "Timeout", h->timeout_ns);
    write_number(b, "StartPeriod", h->start_period_ns);
    write_number(b, "StartInterval", h->start_interval_ns);
    write_number(b, "Retries", h->retries);
    bh_buf_addc(b, '}');
}

static void write_run_config(struct bh_buf *b, const struct bh_run_config *c) {
    bh_write_key(b, "config");
    bh_buf_addc(b, '{');
    bh_write_str(b, "Hostname", c->hostname);
    bh_write_str(b, "Domainname", c->domainname);
    bh_write_str(b, "User", c->user);
    write_set(b, "ExposedPorts", &c->exposed_ports);
    bh_write_strlist(b, "Env", &c->env);
    bh_write_strlist(b, "Cmd", &c->cmd);
    write_health(b, &c->healthcheck);
    write_true(b, "ArgsEscaped", c->args_escaped);
    write_set(b, "Volumes", &c->volumes);
    bh_write_str(b, "WorkingDir", c->working_dir);
    bh_write_strlist(b, "Entrypoint", &c->entrypoint);
    bh_write_strlist(b, "OnBuild", &c->on_build);
    bh_write_pairs(b, "Labels", &c->labels);
    bh_write_str(b, "StopSignal", c->stop_signal);
    if (c->has_stop_timeout) {
        bh_write_key(b, "StopTimeout");
        bh_buf_addf(b, "%" PRId64, c->stop_timeout);
    }
    bh_write_strlist(b, "Shell", &c->shell);
    bh_buf_addc(b, '}');
}

static void write_rootfs(struct bh_buf *b, const struct bh_image_config *c) {
    char text[BH_DIGEST_TEXT_SIZE];

    bh_write_key(b, "rootfs");
    bh_buf_adds(b, "{\"type\":\"layers\",\"diff_ids\":[");
    for (size_t i = 0; i < c->n_diff_ids; i++) {
        if (i > 0)
            bh_buf_addc(b, ',');
        bh_digest_format(&c->diff_ids[i], text);
        bh_write_text(b, text);
    }
    bh_buf_adds(b, "]}");
}

static void write_history(struct bh_buf *b, const struct bh_image_config *c) {
    if (c->n_history == 0)
        return;
    bh_write_key(b, "history");
    bh_buf_addc(b, '[');
    for (size_t i = 0; i < c->n_history; i++) {
        const struct bh_history *h = &c->history[i];

        bh_buf_adds(b, i > 0 ? ",{" : "{");
        bh_write_str(b, "created", h->created);
        bh_write_str(b, "created_by", h->created_by);
        bh_write_str(b, "author", h->author);
        bh_write_str(b, "comment", h->comment);
        write_true(b, "empty_layer", h->empty_layer);
        bh_buf_addc(b, '}');
    }
    bh_buf_addc(b, ']');
}

void bh_image_config_write(const struct bh_image_config *c, struct bh_buf *out) {
    bh_buf_addc(out, '{');
    bh_write_str(out, "created", c->created);
    bh_write_str(out, "author", c->author);
    bh_write_str(out, "comment", c->comment);
    bh_write_key(out, "architecture");
    bh_write_text(out, c->architecture);
    bh_write_str(out, "variant", c->variant);
    bh_write_key(out, "os");
    bh_write_text(out, c->os);
    bh_write_str(out, "os.version", c->os_version);
    bh_write_strlist(out, "os.features", &c->os_features);
    write_run_config(out, &c->config);
    write_rootfs(out, c);
    write_history(out, c);
    bh_buf_addc(out, '}');
}
