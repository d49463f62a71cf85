/*
 * config_edit.c - image configs made here: empty, copied, extended; their environment (see config.h).
 * Room: store (import, commit) and build.  Pure.  Trusts the struct: its texts are valid UTF-8.
 * Lists are never changed in place: a struct that was copied by value keeps what it had.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
