/*
 * conf.c - look-ups in a parsed configuration file (see conf.h).
 * Room: supervisor.  Pure.  Every look-up marks what it finds, so that bh_conf_check_known can name
 * what nobody asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "conf/tree.h"

void bh_conf_free(struct bh_conf *conf) {
    if (conf == NULL)
        return;
    bh_arena_fini(&conf->arena);
    free(conf);
}

void bh_scope_conf(struct bh_conf **conf) {
    bh_conf_free(*conf);
    *conf = NULL;
}

struct bh_conf_table *bh_conf_root(struct bh_conf *conf) {
    return &conf->root;
}

/* The whole path may be one key ("docker.io"); else its pieces are tables. */
static struct conf_node *look_up(struct bh_conf_table *t, const char *path) {
    struct conf_node *v = conf_find(t, path, strlen(path));

    for (const char *dot; v == NULL && (dot = strchr(path, '.')) != NULL;) {
        struct conf_node *in = conf_find(t, path, (size_t)(dot - path));

        if (in == NULL || in->type != CONF_TABLE)
            return NULL;
        t = &in->u.table;
        path = dot + 1;
        v = conf_find(t, path, strlen(path));
    }
    if (v != NULL)
        v->known = true;
    return v;
}

static int wrong(const struct bh_conf_table *t, const struct conf_node *v, const char *path, const char *expected,
                 struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "%s:%d: \"%s\" must be %s", t->conf->name, v->line, path, expected);
    return bh_err_reason(err, "invalid-config-file");
}

int bh_conf_get_str(struct bh_conf_table *t, const char *path, const char **out, struct bh_err *err) {
    struct conf_node *v = look_up(t, path);

    if (v == NULL)
        return 0;
    if (v->type != CONF_STR)
        return wrong(t, v, path, "a string", err);
    *out = v->u.str;
    return 1;
}

int bh_conf_get_i64(struct bh_conf_table *t, const char *path, int64_t *out, struct bh_err *err) {
    struct conf_node *v = look_up(t, path);

    if (v == NULL)
        return 0;
    if (v->type != CONF_INT)
        return wrong(t, v, path, "an integer", err);
    *out = v->u.num;
    return 1;
}

int bh_conf_get_u64(struct bh_conf_table *t, const char *path, uint64_t min, uint64_t max, uint64_t *out,
                    struct bh_err *err) {
    struct conf_node *v = look_up(t, path);
    char expected[96];

    if (v == NULL)
        return 0;
    if (v->type != CONF_INT || v->u.num < 0 || (uint64_t)v->u.num < min || (uint64_t)v->u.num > max) {
        snprintf(expected, sizeof expected, "an integer from %llu to %llu", (unsigned long long)min,
                 (unsigned long long)max);
        return wrong(t, v, path, expected, err);
    }
    *out = (uint64_t)v->u.num;
    return 1;
}

int bh_conf_get_bool(struct bh_conf_table *t, const char *path, bool *out, struct bh_err *err) {
    struct conf_node *v = look_up(t, path);

    if (v == NULL)
        return 0;
    if (v->type != CONF_BOOL)
        return wrong(t, v, path, "true or false", err);
    *out = v->u.flag;
    return 1;
}

int bh_conf_get_bytes(struct bh_conf_table *t, const char *path, uint64_t *out, struct bh_err *err) {
    struct conf_node *v = look_up(t, path);
    uint64_t n;

    if (v == NULL)
        return 0;
    if (v->type == CONF_INT && v->u.num >= 0)
        n = (uint64_t)v->u.num;
    else if (v->type != CONF_STR || !bh_str_bytes(v->u.str, &n))
        return wrong(t, v, path, "a size as 4096 or \"64MiB\"", err);
    *out = n;
    return 1;
}

int bh_conf_get_strlist(struct bh_conf_table *t, const char *path, const char *const **out, size_t *out_n,
                        struct bh_err *err) {
    struct conf_node *v = look_up(t, path);
    const char **list;
    size_t n = 0;

    if (v == NULL)
        return 0;
    if (v->type != CONF_ARRAY)
        return wrong(t, v, path, "a list of strings", err);
    list = bh_arena_alloc(&t->conf->arena, (v->u.array.n + 1) * sizeof *list);
    if (list == NULL)
        return bh_err_set(err, BH_E_LIMIT, "read %s: out of memory", t->conf->name);
    for (const struct conf_node *e = v->u.array.first; e != NULL; e = e->next) {
        if (e->type != CONF_STR)
            return wrong(t, e, path, "a list of strings", err);
        list[n++] = e->u.str;
    }
    list[n] = NULL;
    *out = list;
    *out_n = n;
    return 1;
}

int bh_conf_get_table(struct bh_conf_table *t, const char *path, struct bh_conf_table **out, struct bh_err *err) {
    struct conf_node *v = look_up(t, path);

    if (v == NULL)
        return 0;
    if (v->type != CONF_TABLE)
        return wrong(t, v, path, "a table", err);
    *out = &v->u.table;
    return 1;
}

long bh_conf_tables(struct bh_conf_table *t, const char *path, struct bh_err *err) {
    struct conf_node *v = look_up(t, path);

    if (v == NULL)
        return 0;
    if (v->type != CONF_ARRAY)
        return wrong(t, v, path, "a list of [[tables]]", err);
    for (const struct conf_node *e = v->u.array.first; e != NULL; e = e->next) {
        if (e->type != CONF_TABLE)
            return wrong(t, e, path, "a list of [[tables]]", err);
    }
    return (long)v->u.array.n;
}

struct bh_conf_table *bh_conf_table_at(struct bh_conf_table *t, const char *path, size_t i) {
    struct conf_node *v = look_up(t, path), *e;

    if (v == NULL || v->type != CONF_ARRAY)
        return NULL;
    for (e = v->u.array.first; e != NULL && i > 0; i--)
        e = e->next;
    return e != NULL && e->type == CONF_TABLE ? &e->u.table : NULL;
}

const char *bh_conf_key_at(struct bh_conf_table *t, size_t i) {
    struct conf_node *v = t->first;

    for (; v != NULL && i > 0; i--)
        v = v->next;
    if (v == NULL)
        return NULL;
    v->known = true;
    return v->key;
}

void bh_conf_where(const struct bh_conf_table *t, const char *key, char *dst, size_t size) {
    const struct conf_node *v = key != NULL ? conf_find(t, key, strlen(key)) : NULL;

    snprintf(dst, size, "%s:%d", t->conf->name, v != NULL ? v->line : t->line);
}

int bh_conf_only_keys(struct bh_conf_table *t, const char *list, struct bh_err *err) {
    char word[64];

    for (struct conf_node *v = t->first; v != NULL; v = v->next) {
        snprintf(word, sizeof(word), " %s ", v->key);
        if (strstr(list, word) == NULL)
            return bh_err_set(err, BH_E_INVALID, "%s:%d: unknown key \"%s\", expected one of:%s", t->conf->name,
                              v->line, v->key, list);
        v->known = true;
    }
    return 0;
}

/* The first member that nobody asked for.  Depth is what the parser allowed. */
static const struct conf_node *unknown_in(const struct bh_conf_table *t) {
    for (const struct conf_node *v = t->first; v != NULL; v = v->next) {
        const struct conf_node *in = NULL;

        if (!v->known && (v->type != CONF_TABLE || v->u.table.first == NULL))
            return v;
        if (v->type == CONF_TABLE)
            in = unknown_in(&v->u.table);
        for (const struct conf_node *e = v->type == CONF_ARRAY ? v->u.array.first : NULL; e != NULL && in == NULL;
             e = e->next) {
            if (e->type == CONF_TABLE)
                in = unknown_in(&e->u.table);
        }
        if (in != NULL)
            return in;
    }
    return NULL;
}

int bh_conf_check_known(struct bh_conf *conf, struct bh_err *err) {
    const struct conf_node *v = unknown_in(&conf->root);

    if (v == NULL)
        return 0;
    bh_err_set(err, BH_E_INVALID, "%s:%d: unknown setting \"%.100s\"", conf->name, v->line, v->key);
    bh_err_hint(err, "see bulkhead.toml(5) for the settings that exist");
    return bh_err_reason(err, "invalid-config-file");
}
