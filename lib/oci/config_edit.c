/*
 * config_edit.c - image configs made here: empty, copied, extended; environment and ports (see config.h).
 * Room: store (import, commit) and build.  Pure.  Trusts the struct: its texts are valid UTF-8.
 * Lists are never changed in place: a struct that was copied by value keeps what it had.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "oci/config.h"

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
    c.build_cache = copy_list(&k, &src->build_cache);
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

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
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

/* The list with `count` ports from `first` on, sorted, none twice; one allocation, as a range can be long. */
static int merge_ports(struct bh_strlist *ports, struct bh_arena *arena, uint64_t first, uint64_t count,
                       const char *proto, struct bh_err *err) {
    struct bh_strlist l = {.present = true};
    size_t unique = 0;
    char text[32];

    l.v = bh_oci_alloc(arena, (ports->n + count) * sizeof *l.v, err);
    if (l.v == NULL)
        return err->code;
    if (ports->n > 0)
        memcpy(l.v, ports->v, ports->n * sizeof *l.v);
    l.n = ports->n;
    for (uint64_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%" PRIu64 "/%s", first + i, proto);
        l.v[l.n] = bh_oci_strdup(arena, text, strlen(text), err);
        if (l.v[l.n++] == NULL)
            return err->code;
    }
    qsort(l.v, l.n, sizeof *l.v, by_text);
    for (size_t i = 0; i < l.n; i++) {
        if (unique == 0 || strcmp(l.v[unique - 1], l.v[i]) != 0)
            l.v[unique++] = l.v[i];
    }
    l.n = unique;
    *ports = l;
    return 0;
}

int bh_expose_add(struct bh_strlist *ports, struct bh_arena *arena, const char *spec, struct bh_err *err) {
    static const char *const protos[] = {"tcp", "udp", "sctp"};
    const char *slash = strchr(spec, '/'), *proto = NULL, *dash;
    size_t n = slash != NULL ? (size_t)(slash - spec) : strlen(spec);
    uint64_t first, last;

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
    return merge_ports(ports, arena, first, last - first + 1, proto, err);
}
