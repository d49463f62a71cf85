/*
 * context.c - see context.h.
 *
 * Room: client.
 */
#include "cli/context.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/context_cache.h"
#include "cli/engine.h"

#define MAX_ENTRIES 1000000
#define MAX_DEPTH   200
#define PATH_SIZE   4096
#define SEND_STEP   ((size_t)256 << 10)

/* A file that has more than one name. */
struct twin {
    dev_t dev;
    ino_t ino;
    size_t number;
};

struct walk {
    const struct cli_context_options *o;
    struct context_cache *cache;
    struct bulkhead_context_entry *v;
    size_t n, max;
    void *twins; /* a tree of struct twin (search.h) */
    int root_fd;
    bool all;             /* every path is needed */
    char path[PATH_SIZE]; /* of the folder that is being walked */
};

static void walk_fini(struct walk *w) {
    for (size_t i = 0; i < w->n; i++) {
        free((char *)w->v[i].path);
        free((char *)w->v[i].link);
    }
    free(w->v);
    tdestroy(w->twins, free);
    if (w->cache != NULL)
        context_cache_close(w->cache);
    if (w->root_fd >= 0)
        close(w->root_fd);
}

/* ---- what is needed ------------------------------------------------------------------------ */

/* The part of a source before its first wildcard, at a slash: everything that it can match is below. */
static size_t fixed_part(const char *source) {
    size_t wild = strcspn(source, "*?[\\");

    if (source[wild] == '\0')
        return wild;
    while (wild > 0 && source[wild - 1] != '/')
        wild--;
    return wild;
}

/* Is path the prefix[0..n), above it, or below it? */
static bool related(const char *path, const char *prefix, size_t n) {
    size_t k = strlen(path);

    if (k <= n)
        return strncmp(path, prefix, k) == 0 && (k == n || prefix[k] == '/' || prefix[k] == '\0');
    return strncmp(path, prefix, n) == 0 && (n == 0 || prefix[n - 1] == '/' || path[n] == '/');
}

static bool is_needed(const struct walk *w, const char *path) {
    if (w->all)
        return true;
    for (size_t i = 0; i < w->o->n_needed; i++) {
        const char *source = w->o->needed[i] + (w->o->needed[i][0] == '/');

        if (related(path, source, fixed_part(source)))
            return true;
    }
    return false;
}

/* A link on the way to a source leads elsewhere in the context: then all of it is sent. */
static bool leads_through_link(int root_fd, const char *source) {
    char part[PATH_SIZE];
    size_t end = 0;

    for (;;) {
        struct stat st;

        end += strcspn(source + end, "/");
        if (!bh_str_copy_n(part, sizeof part, source, end))
            return true;
        if (end > 0 && fstatat(root_fd, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
            return true;
        if (source[end] == '\0')
            return false;
        end++;
    }
}

static bool needs_all(const struct walk *w) {
    for (size_t i = 0; i < w->o->n_needed; i++) {
        const char *source = w->o->needed[i] + (w->o->needed[i][0] == '/');

        if (fixed_part(source) == 0 || strcmp(source, ".") == 0 || leads_through_link(w->root_fd, source))
            return true;
    }
    return false;
}

/* ---- one entry ----------------------------------------------------------------------------- */

static struct bulkhead_context_entry *new_entry(struct walk *w, const char *path, const struct stat *st) {
    struct bulkhead_context_entry *e;

    if (w->n == w->max) {
        w->max = w->max == 0 ? 256 : 2 * w->max;
        w->v = bh_xrealloc(w->v, w->max * sizeof *w->v);
    }
    e = &w->v[w->n++];
    *e = (struct bulkhead_context_entry){
        .path = bh_xstrdup(path),
        .type = st->st_mode & S_IFMT,
        .mode = st->st_mode & 07777,
        .mtime_ns = (int64_t)st->st_mtim.tv_sec * BH_NSEC + st->st_mtim.tv_nsec,
    };
    return e;
}

static int compare_twins(const void *a, const void *b) {
    const struct twin *x = a, *y = b;

    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* The number + 1 of the entry that is the same file, or 0 and it is remembered. */
static uint64_t find_twin(struct walk *w, const struct stat *st) {
    struct twin *t = bh_xmalloc(sizeof *t);
    struct twin *const *found;

    *t = (struct twin){st->st_dev, st->st_ino, w->n - 1};
    found = tsearch(t, &w->twins, compare_twins);
    if (found == NULL || *found == t)
        return 0;
    free(t);
    return (*found)->number + 1;
}

static int hash_file(struct walk *w, int dir, const char *name, struct bulkhead_context_entry *e, const struct stat *st,
                     struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;
    struct stat now;

    e->size = (uint64_t)st->st_size;
    if (context_cache_find(w->cache, st, e->sha256))
        return 0;
    fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &now) != 0)
        return bh_err_errno(err, errno, "open %s of the context", e->path);
    if (!S_ISREG(now.st_mode))
        return bh_err_set(err, BH_E_CONFLICT, "%s of the context changed while it was read", e->path);
    if (cli_sha256_fd(fd, e->path, e->sha256, &e->size, err) != 0)
        return err->code;
    context_cache_note(w->cache, &now, e->sha256);
    return 0;
}

static int add_file(struct walk *w, int dir, const char *name, const char *path, const struct stat *st,
                    struct bh_err *err) {
    struct bulkhead_context_entry *e = new_entry(w, path, st);

    if (st->st_nlink > 1 && (e->hard_link = find_twin(w, st)) != 0) {
        const struct bulkhead_context_entry *first = &w->v[e->hard_link - 1];

        memcpy(e->sha256, first->sha256, sizeof e->sha256);
        e->size = first->size;
        return 0;
    }
    return hash_file(w, dir, name, e, st, err);
}

static int add_link(struct walk *w, int dir, const char *name, const char *path, const struct stat *st,
                    struct bh_err *err) {
    char target[PATH_SIZE];
    ssize_t n = readlinkat(dir, name, target, sizeof target - 1);

    if (n < 0)
        return bh_err_errno(err, errno, "read the link %s of the context", path);
    target[n] = '\0';
    new_entry(w, path, st)->link = bh_xstrdup(target);
    return 0;
}

/* ---- the walk ------------------------------------------------------------------------------ */

static int walk_folder(struct walk *w, int fd, size_t length, unsigned depth, const unsigned char *above,
                       struct bh_err *err);

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names_of(int fd, const char *path, char ***out, size_t *out_n, struct bh_err *err) {
    BH_SCOPE_DIR DIR *d = bh_dir_open(fd, ".");
    char **v = NULL;
    size_t n = 0, max = 0;
    struct dirent *e;

    if (d == NULL)
        return bh_err_errno(err, errno, "read folder %s of the context", path[0] != '\0' ? path : ".");
    while ((e = bh_dir_next(d)) != NULL) {
        if (n == max) {
            max = max == 0 ? 64 : 2 * max;
            v = bh_xrealloc(v, max * sizeof *v);
        }
        v[n++] = bh_xstrdup(e->d_name);
    }
    if (n > 0)
        qsort(v, n, sizeof *v, by_name);
    *out = v;
    *out_n = n;
    return 0;
}

/* A folder that is left out is still walked while a later line may take something below it back. */
static int add_folder(struct walk *w, int dir, const char *name, const struct stat *st, bool hidden, unsigned depth,
                      const unsigned char *here, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    size_t before = w->n;
    int r;

    if (fd < 0)
        return bh_err_errno(err, errno, "open folder %s of the context", w->path);
    if (depth >= MAX_DEPTH)
        return bh_err_set(err, BH_E_LIMIT, "the context is over %d folders deep at %s", MAX_DEPTH, w->path);
    new_entry(w, w->path, st);
    r = walk_folder(w, fd, strlen(w->path), depth + 1, here, err);
    if (r == 0 && hidden && w->n == before + 1) { /* nothing came back */
        w->n = before;
        free((char *)w->v[before].path);
    }
    return r;
}

static int add(struct walk *w, int dir, const char *name, unsigned depth, const unsigned char *above,
               struct bh_err *err) {
    const struct bh_ignore *ig = w->o->ignore;
    unsigned char *here BH_SCOPE_FREE = ig != NULL ? bh_xmalloc(bh_ignore_count(ig) + 1) : NULL;
    bool hidden = ig != NULL && bh_ignore_walk(ig, w->path, above, here);
    struct stat st;

    if (!is_needed(w, w->path))
        return 0;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : bh_err_errno(err, errno, "look at %s of the context", w->path);
    if (hidden && (!S_ISDIR(st.st_mode) || bh_ignore_prunes(ig, w->path)))
        return 0;
    if (w->n >= MAX_ENTRIES)
        return bh_err_set(err, BH_E_LIMIT, "the context has over %d files", MAX_ENTRIES);
    if (S_ISDIR(st.st_mode))
        return add_folder(w, dir, name, &st, hidden, depth, here, err);
    if (S_ISREG(st.st_mode))
        return add_file(w, dir, name, w->path, &st, err);
    if (S_ISLNK(st.st_mode))
        return add_link(w, dir, name, w->path, &st, err);
    return 0; /* FIFOs, sockets and devices are no files of a build */
}

static int walk_folder(struct walk *w, int fd, size_t length, unsigned depth, const unsigned char *above,
                       struct bh_err *err) {
    char **names = NULL;
    size_t n = 0;
    int r = names_of(fd, w->path, &names, &n, err);

    for (size_t i = 0; i < n; i++) {
        size_t k = strlen(names[i]);

        if (r == 0 && length + k + 2 > sizeof w->path)
            r = bh_err_set(err, BH_E_LIMIT, "a path of the context is too long at %s", w->path);
        if (r == 0) {
            snprintf(w->path + length, sizeof w->path - length, "%s%s", length > 0 ? "/" : "", names[i]);
            r = add(w, fd, names[i], depth, above, err);
            w->path[length] = '\0';
        }
        free(names[i]);
    }
    free(names);
    return r;
}

static int walk_all(struct walk *w, struct bh_err *err) {
    w->root_fd = open(w->o->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->root_fd < 0)
        return bh_err_errno(err, errno, "open context %s", w->o->root);
    if (w->o->n_needed == 0)
        return 0;
    w->all = needs_all(w);
    return walk_folder(w, w->root_fd, 0, 0, NULL, err);
}

/* ---- sending ------------------------------------------------------------------------------- */

static int changed(const struct bulkhead_context_entry *e, struct bulkhead_error *error) {
    error->code = BULKHEAD_CONFLICT;
    snprintf(error->message, sizeof error->message, "%s of the context changed while it was sent", e->path);
    return error->code;
}

static int send_file(void *arg, size_t number, bulkhead_stream *s, struct bulkhead_error *error) {
    static char *block; /* kept: a context has many files */
    const struct walk *w = arg;
    const struct bulkhead_context_entry *e = &w->v[number < w->n ? number : 0];
    BH_SCOPE_CLOSE int fd = openat(w->root_fd, e->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
    uint64_t left = e->size;

    if (block == NULL)
        block = bh_xmalloc(SEND_STEP);
    if (fd < 0 || number >= w->n)
        return changed(e, error);
    while (left > 0) {
        ssize_t n = read(fd, block, left < SEND_STEP ? (size_t)left : SEND_STEP);

        if (n <= 0)
            return changed(e, error);
        if (bulkhead_stream_send(s, block, (size_t)n, error) != 0)
            return error->code;
        left -= (uint64_t)n;
    }
    return 0;
}

static int id_of(const void *packed, size_t n, char id[80], struct bh_err *err) {
    unsigned char sha256[CLI_SHA256_SIZE];

    if (cli_sha256(packed, n, sha256, err) != 0)
        return err->code;
    memcpy(id, "ctx:", 4);
    bh_hex(sha256, sizeof sha256, id + 4);
    return 0;
}

static int put(struct cli_ctx *ctx, struct walk *w, const char *key, char **out_id, uint64_t *out_sent) {
    struct bulkhead_error error = {0};
    struct bh_err err = BH_ERR_INIT;
    bulkhead *b = cli_engine(ctx);
    void *packed = NULL;
    char id[80];
    size_t n = 0;
    int r;

    if (b == NULL)
        return CLI_EXIT_FAILED;
    if (bulkhead_context_pack(w->v, w->n, &packed, &n, &error) != 0)
        return cli_fail_engine(ctx, &error);
    if (id_of(packed, n, id, &err) != 0) {
        free(packed);
        return cli_fail(ctx->out, &err);
    }
    r = bulkhead_context_put(b, key, id, packed, n, send_file, w, out_id, out_sent, &error);
    free(packed);
    return r == 0 ? 0 : cli_fail_engine(ctx, &error);
}

int cli_context_send(struct cli_ctx *ctx, const struct cli_context_options *o, char **out_id, uint64_t *out_sent) {
    struct walk w = {.o = o, .root_fd = -1};
    struct bh_err err = BH_ERR_INIT;
    char real[PATH_MAX];
    int status;

    if (realpath(o->root, real) == NULL) {
        bh_err_errno(&err, errno, "open context %s", o->root);
        return cli_fail(ctx->out, &err);
    }
    w.cache = context_cache_open(real);
    if (walk_all(&w, &err) != 0)
        status = cli_fail(ctx->out, &err);
    else
        status = put(ctx, &w, real, out_id, out_sent);
    walk_fini(&w);
    return status;
}
