/*
 * diff.c - what a container has changed, as `docker diff` tells it; and how much it has written.
 *
 * Room: tree.  A: not in the layers; D: a whiteout, or below an opaque folder; C: differs, or
 * something below it does.  A folder's size and time do not count, as with docker.  Lines are sorted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "tree.h"

struct change {
    char *path;
    char kind;
};

struct diff {
    struct change *change;
    size_t n, room;
    size_t mark[TREE_MAX_DEPTH + 2]; /* number of changes when a folder was entered */
    unsigned depth;
};

static void add(struct diff *d, char kind, const char *folder, const char *name) {
    if (d->n == d->room) {
        d->room = d->room == 0 ? 256 : 2 * d->room;
        d->change = bh_xrealloc(d->change, d->room * sizeof(*d->change));
    }
    d->change[d->n++] = (struct change){
        .kind = kind, .path = name != NULL ? bh_xasprintf("/%s/%s", folder, name) : bh_xasprintf("/%s", folder)};
}

static bool differs(const struct stat *a, const struct stat *b) {
    if (a->st_mode != b->st_mode || a->st_uid != b->st_uid || a->st_gid != b->st_gid)
        return true;
    if (S_ISDIR(a->st_mode))
        return false;
    return a->st_rdev != b->st_rdev || a->st_size != b->st_size || a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
           a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

/* An opaque folder over one of the layers: whatever it does not have itself is gone. */
static int hidden_by(struct diff *d, const struct tree_item *it, struct bh_err *err) {
    BH_SCOPE_CLOSE int old = openat(it->other, it->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    BH_SCOPE_CLOSE int now = open(it->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct tree_names names;
    struct stat st;
    int r;

    if (old < 0 || now < 0)
        return 0;
    r = tree_names_read(old, &names, err);
    for (size_t i = 0; r == 0 && i < names.n; i++)
        if (fstatat(now, names.item[i], &st, AT_SYMLINK_NOFOLLOW) != 0)
            add(d, 'D', it->path, names.item[i]);
    tree_names_free(&names);
    return r;
}

static int item(void *arg, const struct tree_item *it, struct bh_err *err) {
    struct diff *d = arg;
    struct stat old;
    bool there = it->other >= 0 && fstatat(it->other, it->name, &old, AT_SYMLINK_NOFOLLOW) == 0;
    bool folder = S_ISDIR(it->st.st_mode);

    if (folder)
        d->mark[d->depth++] = d->n;
    if (it->path[0] == 0)
        return 0;
    if (it->whiteout) {
        if (there)
            add(d, 'D', it->path, NULL);
        return 0;
    }
    if (!there)
        add(d, 'A', it->path, NULL);
    else if (differs(&it->st, &old))
        add(d, 'C', it->path, NULL);
    return folder && there && it->opaque ? hidden_by(d, it, err) : 0;
}

/* Something below was noted: the folder counts as changed, unless it is noted already. */
static int leave(void *arg, const struct tree_item *it, struct bh_err *err) {
    struct diff *d = arg;
    size_t mark = d->mark[--d->depth];

    (void)err;
    if (it->path[0] == 0 || d->n == mark)
        return 0;
    if (strcmp(d->change[mark].path + 1, it->path) != 0)
        add(d, 'C', it->path, NULL);
    return 0;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct change *)a)->path, ((const struct change *)b)->path);
}

int tree_diff(struct bh_err *err) {
    static struct diff d;
    const struct tree_visitor v = {.item = item, .leave = leave, .arg = &d, .overlay = true};
    BH_SCOPE_CLOSE int other = openat(TREE_FD_OTHER, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT_MAX((size_t)1 << 30);
    int r = other < 0 ? bh_err_errno(err, errno, "open the layers") : tree_walk(&v, other, err);

    if (r != 0)
        return r;
    if (d.n > 0)
        qsort(d.change, d.n, sizeof(*d.change), by_path);
    for (size_t i = 0; i < d.n; i++) {
        bh_buf_addf(&out, "%c ", d.change[i].kind);
        bh_buf_add(&out, d.change[i].path, strlen(d.change[i].path) + 1);
    }
    if (bh_buf_failed(&out) || (out.len > 0 && bh_write_all(TREE_FD_OUTPUT, out.data, out.len) != 0))
        return bh_err_errno(err, bh_buf_failed(&out) ? ENOSPC : errno, "write the list of changes");
    return 0;
}

/* ---- size ------------------------------------------------------------------------------------------ */

struct size {
    uint64_t bytes;
};

/* A file with two names in the upper counts for each by its share, so that both make one. */
static int weigh(void *arg, const struct tree_item *it, struct bh_err *err) {
    struct size *s = arg;

    (void)err;
    if (!S_ISDIR(it->st.st_mode) && it->st.st_nlink > 0)
        s->bytes += (uint64_t)it->st.st_size / it->st.st_nlink;
    return 0;
}

int tree_size(struct bh_err *err) {
    struct size s = {0};
    const struct tree_visitor v = {.item = weigh, .arg = &s, .overlay = true};
    int r = tree_walk(&v, -1, err);

    if (r == 0 && bh_write_all(TREE_FD_OUTPUT, &s.bytes, sizeof(s.bytes)) != 0)
        r = bh_err_errno(err, errno, "write the size");
    return r;
}
