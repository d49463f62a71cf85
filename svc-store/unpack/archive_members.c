/*
 * archive_members.c - the table of an archive's members.
 *
 * Room: worker.  Trusts nothing.  Names are cleaned by the same code as names in layers; two members of
 * one name are refused, because readers differ in which of them they take.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdio.h"
#include "oci/types.h"
#include "unpack/archive.h"
#include "unpack/tree.h"
#include "unpack/limit.h"

#define READ_SIZE ((size_t)64 << 10)

static const struct unp_tree_limits name_limits = {.max_depth = 64, .max_path = 4096};

/* ---- listing ------------------------------------------------------------------------------- */

static const char *join(struct bh_arena *arena, const struct unp_path *path, struct bh_err *err) {
    size_t n = 1;
    for (size_t i = 0; i < path->n; i++)
        n += path->part[i].n + 1;
    char *name = bh_oci_alloc(arena, n, err);
    char *to = name;
    for (size_t i = 0; name != NULL && i < path->n; i++) {
        if (i > 0)
            *to++ = '/';
        memcpy(to, path->part[i].s, path->part[i].n);
        to += path->part[i].n;
    }
    return name;
}

static const char *clean(struct bh_arena *arena, struct unp_text raw, struct bh_err *err) {
    struct unp_path path;
    if (unp_path_clean(&name_limits, raw, &path, err) != 0)
        return NULL;
    return join(arena, &path, err);
}

static int keep_link(struct unp_archive *a, struct unp_member *m, const struct unp_entry *e, struct bh_err *err) {
    if (e->type == UNP_LINK)
        m->link = clean(a->arena, e->link, err);
    else if (e->type == UNP_SYMLINK)
        m->link = bh_oci_strdup(a->arena, e->link.s, e->link.n, err);
    else
        return 0;
    return m->link == NULL ? err->code : 0;
}

static int add_member(void *arg, const struct unp_entry *e, struct bh_err *err) {
    struct unp_archive *a = arg;
    if (a->n == a->cap) {
        size_t cap = a->cap == 0 ? 256 : a->cap * 2;
        struct unp_member *more = realloc(a->members, cap * sizeof *more);
        if (more == NULL)
            return bh_err_set(err, BH_E_LIMIT, "archive: out of memory for its members");
        a->members = more;
        a->cap = cap;
    }
    struct unp_member *m = &a->members[a->n];
    *m = (struct unp_member){
        .type = e->type, .sparse = e->sparse != NULL, .at = a->base + e->data_at, .size = e->data_size};
    m->name = clean(a->arena, e->name, err);
    int rc = m->name == NULL ? err->code : keep_link(a, m, e, err);
    if (rc == 0 && e->type != UNP_DIR)
        a->n++; /* directories say nothing */
    return rc;
}

static int member_cmp(const void *x, const void *y) {
    return strcmp(((const struct unp_member *)x)->name, ((const struct unp_member *)y)->name);
}

static int sort_members(struct unp_archive *a, struct bh_err *err) {
    if (a->n > 0)
        qsort(a->members, a->n, sizeof *a->members, member_cmp);
    for (size_t i = 1; i < a->n; i++) {
        if (member_cmp(&a->members[i - 1], &a->members[i]) == 0) {
            char shown[UNP_SHOWN];
            struct unp_text name = {a->members[i].name, strlen(a->members[i].name)};
            bh_err_set(err, BH_E_INVALID, "archive: '%s' is in it twice", unp_shown(name, shown));
            return bh_err_reason(err, "duplicate-member");
        }
    }
    return 0;
}

/* Headers are read in pieces of READ_SIZE; data that does not lie in one is not read at all. */
static int feed_all(struct unp_archive *a, struct unp_tar *t, struct bh_err *err) {
    unsigned char *buf = malloc(READ_SIZE);
    uint64_t at = 0;
    int rc = buf == NULL ? bh_err_set(err, BH_E_LIMIT, "out of memory") : 0;
    while (rc == 0 && at < a->size) {
        size_t want = a->size - at < READ_SIZE ? (size_t)(a->size - at) : READ_SIZE;
        ssize_t n = bh_pread_full(a->fd, buf, want, (off_t)(a->base + at));
        if (n <= 0) {
            rc = n < 0 ? bh_err_errno(err, errno, "read of the archive")
                       : bh_err_set(err, BH_E_INVALID, "archive: it became shorter while it was read");
            break;
        }
        rc = unp_tar_feed(t, buf, (size_t)n, err);
        at += (uint64_t)n;
        uint64_t skip = unp_tar_skippable(t);
        if (skip > a->size - at)
            skip = a->size - at;
        unp_tar_skip(t, skip);
        at += skip;
    }
    free(buf);
    return rc != 0 ? rc : unp_tar_end(t, err);
}

int unp_archive_list(struct unp_archive *a, struct bh_err *err) {
    const struct bh_job_params *p = a->params;
    static struct unp_tar reader;
    const struct unp_tar_limits limits = {.max_entries =
                                              p->max_entries < UNP_MEMBERS_MAX ? p->max_entries : UNP_MEMBERS_MAX,
                                          .max_path = p->max_path,
                                          .max_pax = p->max_pax};
    unp_tar_init(&reader, &limits, add_member, a);
    int rc = feed_all(a, &reader, err);
    unp_tar_fini(&reader);
    if (rc != 0)
        return bh_err_prefix(err, "archive");
    return sort_members(a, err);
}

void unp_archive_fini(struct unp_archive *a) {
    free(a->members);
    a->members = NULL;
    a->n = 0;
}

/* ---- finding ------------------------------------------------------------------------------- */

static const struct unp_member *lookup(const struct unp_archive *a, const char *name) {
    const struct unp_member key = {.name = name};
    return a->n == 0 ? NULL : bsearch(&key, a->members, a->n, sizeof *a->members, member_cmp);
}

/* A symlink's target as a name from the root. */
static const char *beside(const struct unp_archive *a, const struct unp_member *m) {
    struct bh_err ignored = BH_ERR_INIT;
    const char *slash = strrchr(m->name, '/');
    size_t dir = slash == NULL || m->link[0] == '/' ? 0 : (size_t)(slash - m->name) + 1;
    size_t len = strlen(m->link);
    char *full = bh_oci_alloc(a->arena, dir + len + 1, &ignored);
    if (full == NULL)
        return NULL;
    memcpy(full, m->name, dir);
    memcpy(full + dir, m->link, len + 1);
    return clean(a->arena, (struct unp_text){full, dir + len}, &ignored);
}

const struct unp_member *unp_archive_find(const struct unp_archive *a, const char *name) {
    const struct unp_member *m = lookup(a, name);
    if (m != NULL && m->link != NULL) {
        const char *target = m->type == UNP_LINK ? m->link : beside(a, m);
        m = target == NULL ? NULL : lookup(a, target);
    }
    return m == NULL || m->type != UNP_REG || m->sparse ? NULL : m;
}

/* ---- reading ------------------------------------------------------------------------------- */

int unp_archive_read(const struct unp_archive *a, const struct unp_member *m, const char *what,
                     const unsigned char **out, struct bh_err *err) {
    if (m->size > a->params->max_document) {
        bh_err_set(err, BH_E_LIMIT, "archive: %s has %llu bytes, limits.document is %llu", what,
                   (unsigned long long)m->size, (unsigned long long)a->params->max_document);
        return unp_limit(err, "limits.document");
    }
    unsigned char *data = bh_oci_alloc(a->arena, (size_t)m->size + 1, err);
    if (data == NULL)
        return err->code;
    ssize_t n = bh_pread_full(a->fd, data, (size_t)m->size, (off_t)m->at);
    if (n < 0)
        return bh_err_errno(err, errno, "archive: read of %s", what);
    if ((uint64_t)n != m->size)
        return bh_err_set(err, BH_E_INVALID, "archive: %s is cut off", what);
    *out = data;
    return 0;
}

int unp_archive_blob(const struct unp_archive *a, const struct bh_desc *d, const char *what,
                     const struct unp_member **out_m, const unsigned char **out, struct bh_err *err) {
    char path[BH_LAYOUT_PATH_SIZE];
    *out_m = NULL;
    *out = NULL;
    if (d->digest.alg == BH_DIGEST_NONE)
        return 0;
    bh_layout_blob_path(&d->digest, path);
    const struct unp_member *m = unp_archive_find(a, path);
    if (m == NULL)
        return 0;
    if (m->size != d->size) {
        bh_err_set(err, BH_E_INVALID, "archive: %s %s has %llu bytes, its descriptor says %llu", what, d->digest_text,
                   (unsigned long long)m->size, (unsigned long long)d->size);
        return bh_err_reason(err, "size-mismatch");
    }
    int rc = unp_archive_read(a, m, what, out, err);
    if (rc == 0)
        rc = bh_digest_verify(&d->digest, *out, (size_t)m->size, what, err);
    if (rc == 0)
        *out_m = m;
    return rc;
}
