/*
 * conf.c - the snapshot of what the administrator decided, see conf.h: its life, the table [registry], the files.
 *
 * Room: registry.  The supervisor copied the files; who may write them is its business, what they say is read here.
 */
#include "svc-registry/conf.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/conf_priv.h"

#define ARENA_MAX ((size_t)32 << 20)
#define MAX_FILES 1000
#define DEFAULTS  "/etc/bulkhead/"
#define NAME      "bulkhead.toml"
#define MAX_JOBS  32

const char *reg_conf_keep(struct reg_conf *c, const char *text, size_t n, struct bh_err *err) {
    char *kept = bh_arena_alloc(&c->arena, n + 1);

    if (!kept) {
        bh_err_set(err, BH_E_LIMIT, "registry configuration: more than %zu bytes", ARENA_MAX);
        return NULL;
    }
    memcpy(kept, text, n);
    kept[n] = '\0';
    return kept;
}

void *reg_conf_alloc(struct reg_conf *c, size_t n, size_t size, struct bh_err *err) {
    void *p = n < ARENA_MAX / size ? bh_arena_alloc(&c->arena, (n + 1) * size) : NULL;

    if (!p)
        bh_err_set(err, BH_E_LIMIT, "registry configuration: more than %zu bytes", ARENA_MAX);
    else
        memset(p, 0, (n + 1) * size);
    return p;
}

struct reg_conf *reg_conf_ref(struct reg_conf *conf) {
    atomic_fetch_add(&conf->refs, 1);
    return conf;
}

void reg_conf_unref(struct reg_conf *conf) {
    if (!conf || atomic_fetch_sub(&conf->refs, 1) != 1)
        return;
    reg_certs_free(conf->certs);
    bh_arena_wipe(&conf->arena); /* client keys, a proxy's password */
    bh_arena_fini(&conf->arena);
    free(conf);
}

void reg_scope_conf(struct reg_conf **conf) {
    reg_conf_unref(*conf);
}

const struct reg_settings *reg_conf_settings(const struct reg_conf *conf) {
    return &conf->settings;
}

const char *const *reg_conf_search(const struct reg_conf *conf, size_t *out_n) {
    *out_n = conf->n_search;
    return conf->search;
}

/* ---- [registry] ---------------------------------------------------------------------------------- */

static int number(struct bh_conf_table *t, const char *key, uint64_t min, uint64_t max, uint32_t *out, uint32_t scale,
                  struct bh_err *err) {
    uint64_t n;
    int rc = bh_conf_get_u64(t, key, min, max, &n, err);

    if (rc == 1)
        *out = (uint32_t)n * scale;
    return rc < 0 ? rc : 0;
}

static int text(struct reg_conf *c, struct bh_conf_table *t, const char *key, const char **out, struct bh_err *err) {
    const char *s;
    int rc = bh_conf_get_str(t, key, &s, err);

    if (rc == 1)
        *out = reg_conf_keep(c, s, strlen(s), err);
    return rc < 0 || !*out ? err->code : 0;
}

static int read_registry(struct reg_conf *c, struct bh_conf_table *t, struct bh_err *err) {
    struct reg_settings *s = &c->settings;

    if (bh_conf_only_keys(t,
                          " registries_conf certs_dir policy jobs push_jobs tries connect_timeout progress_timeout"
                          " insecure_by_user allow_foreign_layers search_index http_proxy https_proxy no_proxy ",
                          err) < 0 ||
        number(t, "jobs", 1, MAX_JOBS, &s->jobs, 1, err) < 0 ||
        number(t, "push_jobs", 1, MAX_JOBS, &s->push_jobs, 1, err) < 0 ||
        number(t, "tries", 1, 20, &s->tries, 1, err) < 0 ||
        number(t, "connect_timeout", 1, 600, &s->times.connect_ms, 1000, err) < 0 ||
        number(t, "progress_timeout", 1, 3600, &s->times.progress_ms, 1000, err) < 0 ||
        bh_conf_get_bool(t, "insecure_by_user", &s->insecure_by_user, err) < 0 ||
        bh_conf_get_bool(t, "allow_foreign_layers", &s->allow_foreign_layers, err) < 0 ||
        text(c, t, "search_index", &s->search_index, err) < 0 || text(c, t, "http_proxy", &c->http_proxy, err) < 0 ||
        text(c, t, "https_proxy", &c->https_proxy, err) < 0 || text(c, t, "no_proxy", &c->no_proxy, err) < 0)
        return err->code;
    return 0;
}

/* Where the supervisor found what it copied: the same words as in supervisor/rightless/settings.c. */
struct places {
    const char *registries, *policy, *certs;
};

static int read_places(struct reg_conf *c, struct bh_conf_table *t, struct places *p, struct bh_err *err) {
    if (text(c, t, "registries_conf", &p->registries, err) != 0 || text(c, t, "policy", &p->policy, err) != 0 ||
        text(c, t, "certs_dir", &p->certs, err) != 0)
        return err->code;
    return 0;
}

static int read_config(struct reg_conf *c, const char *config, size_t n, struct places *p, struct bh_err *err) {
    BH_SCOPE_CONF struct bh_conf *parsed = NULL;
    struct bh_conf_table *t;

    if (bh_conf_parse(config, n, NAME, &parsed, err) != 0)
        return err->code;
    int rc = bh_conf_get_table(bh_conf_root(parsed), "registry", &t, err);
    if (rc == 1 && (read_registry(c, t, err) != 0 || read_places(c, t, p, err) != 0))
        return err->code;
    return rc < 0 ? rc : 0;
}

/* ---- the files ----------------------------------------------------------------------------------- */

struct files {
    struct places places;
    bool registries, policy; /* seen */
    struct reg_cert_file certs[MAX_FILES];
    size_t n_certs;
};

/* FILE.d/NAME.conf beside FILE. */
static bool is_drop_in(const char *path, const char *file) {
    size_t n = strlen(file);

    return strncmp(path, file, n) == 0 && bh_str_starts(path + n, ".d/") && !strchr(path + n + 3, '/');
}

static int take_file(struct reg_conf *c, struct files *files, const char *path, const char *data, size_t n,
                     struct bh_err *err) {
    size_t dir = strlen(files->places.certs);
    char name[300];
    const char *slash;

    if (strcmp(path, files->places.registries) == 0) {
        files->registries = true;
        return reg_registries_read(c, "registries.conf", data, n, err);
    }
    if (is_drop_in(path, files->places.registries)) {
        snprintf(name, sizeof name, "registries.conf.d%s", strrchr(path, '/'));
        return reg_registries_read(c, name, data, n, err);
    }
    if (strcmp(path, files->places.policy) == 0) {
        files->policy = true;
        return reg_policy_read(c, data, n, err);
    }
    slash = strncmp(path, files->places.certs, dir) == 0 && path[dir] == '/' ? strchr(path + dir + 1, '/') : NULL;
    if (!slash)
        return bh_err_set(err, BH_E_INTERNAL, "registry configuration: %s was not asked for", path);
    if (files->n_certs == MAX_FILES)
        return bh_err_set(err, BH_E_LIMIT, "%s: more than %d files", files->places.certs, MAX_FILES);
    const char *host = reg_conf_keep(c, path + dir + 1, (size_t)(slash - path - dir) - 1, err);
    if (host)
        files->certs[files->n_certs++] = (struct reg_cert_file){host, slash + 1, data};
    return host ? 0 : err->code;
}

/* "PATH SIZE\n" and the bytes, as proc/control.h tells. */
static int read_bundle(struct reg_conf *c, struct files *files, const char *bundle, size_t size, struct bh_err *err) {
    const char *end = bundle + size;

    while (bundle < end) {
        const char *line = memchr(bundle, '\n', (size_t)(end - bundle));
        char *path = line ? (char *)reg_conf_keep(c, bundle, (size_t)(line - bundle), err) : NULL;
        char *blank = path ? strrchr(path, ' ') : NULL;
        uint64_t n;
        if (!blank || !bh_str_u64(blank + 1, &n) || n > (uint64_t)(end - line - 1))
            return err->code ? err->code : bh_err_set(err, BH_E_INVALID, "registry configuration: cut off");
        *blank = '\0';
        const char *data = reg_conf_keep(c, line + 1, (size_t)n, err);
        if (!data || take_file(c, files, path, data, (size_t)n, err) != 0)
            return err->code;
        bundle = line + 1 + n;
    }
    return 0;
}

/* A policy that was named and is missing must not pass for none. */
static int check_seen(const struct files *f, struct bh_err *err) {
    const struct {
        const char *path, *fallback;
        bool seen;
    } rows[] = {{f->places.registries, DEFAULTS "registries.conf", f->registries},
                {f->places.policy, DEFAULTS "policy.json", f->policy}};

    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        if (!rows[i].seen && strcmp(rows[i].path, rows[i].fallback) != 0)
            return bh_err_set(err, BH_E_NOT_FOUND, NAME ": [registry] names %s, which is not there", rows[i].path);
    }
    return 0;
}

int reg_conf_make(const char *config, size_t config_size, const void *bundle, size_t bundle_size, struct reg_conf **out,
                  struct bh_err *err) {
    BH_SCOPE_FREE struct files *files = bh_xcalloc(1, sizeof *files);
    struct reg_conf *c = bh_xcalloc(1, sizeof *c);

    atomic_init(&c->refs, 1);
    bh_arena_init(&c->arena, ARENA_MAX);
    c->settings = (struct reg_settings){.jobs = 3, .push_jobs = 5, .tries = REG_TRIES, .search_index = ""};
    c->http_proxy = c->https_proxy = c->no_proxy = "";
    files->places = (struct places){DEFAULTS "registries.conf", DEFAULTS "policy.json", DEFAULTS "certs.d"};
    if (read_config(c, config, config_size, &files->places, err) != 0 ||
        read_bundle(c, files, bundle, bundle_size, err) != 0 || check_seen(files, err) != 0 ||
        reg_certs_read(c, files->certs, files->n_certs, err) != 0) {
        reg_conf_unref(c);
        return err->code;
    }
    *out = c;
    return 0;
}
