/*
 * context_cache.c - see context_cache.h.
 *
 * Room: client.  The file is an array of fixed records in inode order behind a header; it is of this
 * machine only.
 */
#include "cli/context_cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"

#define MAGIC    "BHCTX01\n"
#define FILE_MAX ((size_t)256 << 20)
#define TICK_NS  (20 * (BH_NSEC / 1000)) /* a change within one tick of the file system's clock leaves no trace */

struct record {
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns, noted_ns;
    unsigned char sha256[CLI_SHA256_SIZE];
};

struct records {
    struct record *v;
    size_t n, max;
};

struct context_cache {
    char *path;
    struct bh_buf text;       /* the file: old.v points into it */
    const struct record *old; /* sorted by (dev, ino) */
    size_t n_old;
    struct records used; /* of this walk */
    bool changed;
};

static int64_t ns_of(struct timespec t) {
    return (int64_t)t.tv_sec * BH_NSEC + t.tv_nsec;
}

static uint64_t hash_text(const char *s) {
    uint64_t h = 14695981039346656037u;

    for (; *s != '\0'; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

static char *path_for(const char *root) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    unsigned long long h = hash_text(root);

    if (cache != NULL && cache[0] == '/')
        return bh_xasprintf("%s/bulkhead/context-%016llx", cache, h);
    if (home != NULL && home[0] == '/')
        return bh_xasprintf("%s/.cache/bulkhead/context-%016llx", home, h);
    return NULL;
}

/* Somebody else's file is not believed: a false hash would put old content into an image. */
static bool is_ours(const char *path) {
    struct stat st;

    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

static void read_old(struct context_cache *c) {
    struct bh_err ignored = BH_ERR_INIT;
    size_t head = sizeof(struct record); /* the magic has a record's room: alignment */

    c->text.max = FILE_MAX;
    if (!is_ours(c->path) || bh_file_read(AT_FDCWD, c->path, FILE_MAX, &c->text, &ignored) != 0 || c->text.len < head ||
        memcmp(c->text.data, MAGIC, strlen(MAGIC)) != 0 || c->text.len % sizeof(struct record) != 0)
        return;
    c->old = (const struct record *)(const void *)(c->text.data + head);
    c->n_old = c->text.len / sizeof(struct record) - 1;
}

struct context_cache *context_cache_open(const char *root) {
    struct context_cache *c = bh_xcalloc(1, sizeof *c);

    c->path = path_for(root);
    if (c->path != NULL)
        read_old(c);
    return c;
}

static int compare(const void *a, const void *b) {
    const struct record *x = a, *y = b;

    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static void keep(struct context_cache *c, const struct record *r) {
    if (c->used.n == c->used.max) {
        c->used.max = c->used.max == 0 ? 256 : 2 * c->used.max;
        c->used.v = bh_xrealloc(c->used.v, c->used.max * sizeof *c->used.v);
    }
    c->used.v[c->used.n++] = *r;
}

bool context_cache_find(const struct context_cache *c, const struct stat *st, unsigned char out[CLI_SHA256_SIZE]) {
    const struct record key = {.dev = st->st_dev, .ino = st->st_ino};
    const struct record *r = c->n_old > 0 ? bsearch(&key, c->old, c->n_old, sizeof key, compare) : NULL;

    if (r == NULL || r->size != (uint64_t)st->st_size || r->mtime_ns != ns_of(st->st_mtim) ||
        r->ctime_ns != ns_of(st->st_ctim) || r->noted_ns - r->ctime_ns < TICK_NS)
        return false;
    memcpy(out, r->sha256, sizeof r->sha256);
    keep((struct context_cache *)c, r);
    return true;
}

void context_cache_note(struct context_cache *c, const struct stat *st, const unsigned char sha256[CLI_SHA256_SIZE]) {
    struct record r = {
        .dev = st->st_dev,
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = ns_of(st->st_mtim),
        .ctime_ns = ns_of(st->st_ctim),
        .noted_ns = bh_now_ns(),
    };

    memcpy(r.sha256, sha256, sizeof r.sha256);
    keep(c, &r);
    c->changed = true;
}

static void write_used(struct context_cache *c) {
    struct bh_buf out BH_SCOPE_BUF = BH_BUF_INIT_MAX(FILE_MAX);
    struct bh_err ignored = BH_ERR_INIT;
    char head[sizeof(struct record)] = MAGIC;

    if (c->used.n > 0)
        qsort(c->used.v, c->used.n, sizeof *c->used.v, compare);
    bh_buf_add(&out, head, sizeof head);
    for (size_t i = 0; i < c->used.n; i++)
        if (i == 0 || compare(&c->used.v[i - 1], &c->used.v[i]) != 0) /* hard links come twice */
            bh_buf_add(&out, &c->used.v[i], sizeof c->used.v[i]);
    /* A cache that cannot be kept costs time in the next build, and nothing else. */
    if (!bh_buf_failed(&out) && bh_make_parents(c->path, 0700) == 0)
        (void)bh_file_replace(AT_FDCWD, c->path, out.data, out.len, 0600, false, &ignored);
}

void context_cache_close(struct context_cache *c) {
    if (c->path != NULL && (c->changed || c->used.n < c->n_old))
        write_used(c);
    free(c->used.v);
    bh_buf_fini(&c->text);
    free(c->path);
    free(c);
}
