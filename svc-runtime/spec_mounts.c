/*
 * spec_mounts.c - -v, --mount and --tmpfs of a container.
 *
 * Room: runtime.  Foreign: all of it.  Paths are only cleaned as text here; launch opens them, in
 * its own mount namespace, one piece at a time.  Whether the caller may name host paths at all was
 * settled by policy.c.
 */
#include "svc-runtime/spec_make.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define MAX_MOUNTS 256

int rt_path_clean(const char *path, const char *what, struct bh_arena *arena, char **out, struct bh_err *err) {
    size_t n = 0, len = strlen(path);
    char *clean;

    if (*path != '/')
        return bh_err_set(err, BH_E_INVALID, "the %s '%s' is invalid, it needs to be an absolute path", what, path);
    if (len >= 4096)
        return bh_err_set(err, BH_E_INVALID, "the %s has %zu bytes, at most 4095 are allowed", what, len);
    clean = bh_oci_alloc(arena, len + 2, err);
    if (clean == NULL)
        return err->code;
    for (const char *p = path; *p != 0;) {
        size_t piece = strcspn(p, "/");

        if (piece == 2 && memcmp(p, "..", 2) == 0) {
            while (n > 0 && clean[--n] != '/')
                ;
        } else if (piece > 0 && !(piece == 1 && *p == '.')) {
            clean[n++] = '/';
            memcpy(clean + n, p, piece);
            n += piece;
        }
        p += piece + (p[piece] == '/');
    }
    if (n == 0)
        clean[n++] = '/';
    clean[n] = 0;
    *out = clean;
    return 0;
}

static int bad_mount(struct bh_err *err, const struct rt_req_mount *m, const char *why) {
    bh_err_set(err, BH_E_INVALID, "invalid mount config for type \"%s\": %s", m->type, why);
    return bh_err_reason(err, "invalid-mount");
}

static int propagation_of(const struct rt_req_mount *m, uint32_t *out, struct bh_err *err) {
    static const struct {
        const char *name;
        enum rt_propagation value;
    } rows[] = {{"", RT_PROP_RPRIVATE},     {"rprivate", RT_PROP_RPRIVATE}, {"private", RT_PROP_PRIVATE},
                {"shared", RT_PROP_SHARED}, {"rshared", RT_PROP_RSHARED},   {"slave", RT_PROP_SLAVE},
                {"rslave", RT_PROP_RSLAVE}};

    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        if (strcmp(m->propagation, rows[i].name) == 0) {
            *out = rows[i].value;
            return 0;
        }
    return bad_mount(err, m, "unknown bind propagation");
}

static int make_bind(const struct rt_req_mount *m, struct bh_arena *arena, struct rt_mount *out, struct bh_err *err) {
    if (*m->source == 0)
        return bad_mount(err, m, "field Source must not be empty");
    if (*m->source != '/') {
        bad_mount(err, m, "the source is a name, and named volumes come with a later version");
        return bh_err_hint(err, "give an absolute path of the host");
    }
    out->kind = RT_MOUNT_BIND;
    out->flags = (m->read_only ? (uint32_t)RT_MOUNT_RO : 0) | (m->make_source ? (uint32_t)RT_MOUNT_MAKE_SOURCE : 0) |
                 (m->non_recursive ? 0 : (uint32_t)RT_MOUNT_RECURSIVE);
    if (propagation_of(m, &out->propagation, err) != 0)
        return err->code;
    return rt_path_clean(m->source, "source of a mount", arena, &out->source, err);
}

static int bad_option(struct bh_err *err, const char *option) {
    bh_err_set(err, BH_E_INVALID, "invalid tmpfs option [\"%s\"]", option);
    return bh_err_hint(err, "known: ro rw exec noexec suid nosuid dev nodev size=BYTES mode=OCTAL");
}

static bool octal(const char *text, uint32_t *out) {
    uint32_t v = 0;

    if (*text == 0 || strlen(text) > 5 || text[strspn(text, "01234567")] != 0)
        return false;
    for (; *text; text++)
        v = v * 8 + (uint32_t)(*text - '0');
    *out = v;
    return v <= 07777;
}

static int tmpfs_option(const char *option, struct rt_mount *out, struct bh_err *err) {
    static const struct {
        const char *name;
        uint32_t set, clear;
    } rows[] = {
        {"ro", RT_MOUNT_RO, 0},
        {"rw", 0, RT_MOUNT_RO},
        {"exec", RT_MOUNT_EXEC, 0},
        {"noexec", 0, RT_MOUNT_EXEC},
        {"suid", RT_MOUNT_SUID, 0},
        {"nosuid", 0, RT_MOUNT_SUID},
        {"dev", RT_MOUNT_DEV, 0},
        {"nodev", 0, RT_MOUNT_DEV},
        {"async", 0, 0},
        {"sync", 0, 0},
        {"relatime", 0, 0},
        {"noatime", 0, 0},
        {"defaults", 0, 0},
    };

    if (*option == 0)
        return 0;
    if (bh_str_starts(option, "size="))
        return bh_str_bytes(option + 5, &out->size) && out->size > 0 ? 0 : bad_option(err, option);
    if (bh_str_starts(option, "mode="))
        return octal(option + 5, &out->mode) ? 0 : bad_option(err, option);
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        if (strcmp(option, rows[i].name) == 0) {
            out->flags = (out->flags | rows[i].set) & ~rows[i].clear;
            return 0;
        }
    return bad_option(err, option);
}

/* An option as given may still hold several: "size=1m,exec". */
static int tmpfs_options(const char *text, struct bh_arena *arena, struct rt_mount *out, struct bh_err *err) {
    while (*text != 0) {
        size_t n = strcspn(text, ",");
        const char *one = bh_oci_strdup(arena, text, n, err);

        if (one == NULL || tmpfs_option(one, out, err) != 0)
            return err->code;
        text += n + (text[n] == ',');
    }
    return 0;
}

static int make_tmpfs(const struct rt_req_mount *m, struct bh_arena *arena, struct rt_mount *out, struct bh_err *err) {
    if (*m->source != 0)
        return bad_mount(err, m, "field Source must not be specified");
    out->kind = RT_MOUNT_TMPFS;
    out->flags = m->read_only ? (uint32_t)RT_MOUNT_RO : 0;
    out->size = m->tmpfs_size;
    out->mode = m->tmpfs_mode;
    out->source = (char *)"";
    if (out->mode > 07777)
        return bad_mount(err, m, "the mode has more than the twelve bits of a mode");
    for (size_t i = 0; i < m->options.n; i++)
        if (tmpfs_options(m->options.v[i], arena, out, err) != 0)
            return err->code;
    return 0;
}

static int make_self(const struct rt_req_mount *m, struct bh_arena *arena, struct rt_mount *out, struct bh_err *err) {
    out->kind = RT_MOUNT_SELF;
    out->flags = m->read_only ? (uint32_t)RT_MOUNT_RO : 0;
    out->source = out->target;
    return *m->source == 0 ? 0 : rt_path_clean(m->source, "source of a mount", arena, &out->source, err);
}

static int make_mount(const struct rt_req_mount *m, struct bh_arena *arena, struct rt_mount *out, struct bh_err *err) {
    if (*m->target == 0)
        return bad_mount(err, m, "field Target must not be empty");
    if (*m->target != '/')
        return bad_mount(err, m, "invalid mount path: the target must be absolute");
    if (rt_path_clean(m->target, "target of a mount", arena, &out->target, err) != 0)
        return err->code;
    if (strcmp(out->target, "/") == 0)
        return bad_mount(err, m, "invalid specification: destination can't be '/'");
    if (m->self)
        return make_self(m, arena, out, err);
    if (strcmp(m->type, "bind") == 0)
        return make_bind(m, arena, out, err);
    if (strcmp(m->type, "tmpfs") == 0)
        return make_tmpfs(m, arena, out, err);
    bad_mount(err, m, "this type comes with a later version");
    return bh_err_hint(err, "bind and tmpfs are known");
}

static unsigned depth_of(const char *path) {
    unsigned n = 0;

    for (; *path != 0; path++)
        n += *path == '/';
    return n;
}

/* Shallow targets first, so that a mount on /a does not hide one on /a/b; else in the order of the request. */
static void sort_by_depth(struct rt_mount *list, size_t n) {
    for (size_t i = 1; i < n; i++) {
        struct rt_mount m = list[i];
        size_t at = i;

        for (; at > 0 && depth_of(list[at - 1].target) > depth_of(m.target); at--)
            list[at] = list[at - 1];
        list[at] = m;
    }
}

int rt_spec_mounts(const struct rt_request *req, struct bh_arena *arena, struct rt_spec *spec, struct bh_err *err) {
    struct rt_mount *list;

    if (req->n_mounts == 0)
        return 0;
    if (req->n_mounts > MAX_MOUNTS)
        return bh_err_set(err, BH_E_LIMIT, "%zu mounts: at most %d are allowed", req->n_mounts, MAX_MOUNTS);
    list = bh_oci_alloc(arena, req->n_mounts * sizeof *list, err);
    if (list == NULL)
        return err->code;
    for (size_t i = 0; i < req->n_mounts; i++) {
        if (make_mount(&req->mounts[i], arena, &list[i], err) != 0)
            return err->code;
        for (size_t k = 0; k < i; k++)
            if (strcmp(list[k].target, list[i].target) == 0)
                return bh_err_set(err, BH_E_INVALID, "Duplicate mount point: %s", list[i].target);
    }
    sort_by_depth(list, req->n_mounts);
    spec->mounts = list;
    spec->n_mounts = (uint32_t)req->n_mounts;
    return 0;
}
