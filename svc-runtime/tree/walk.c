/*
 * walk.c - goes through a tree in a fixed order, by descriptors, following nothing.
 *
 * Room: tree.  The same tree always gives the same sequence.  It may change while it is walked (a
 * running container): what vanishes is left out, what turns into a link is not followed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "tree.h"

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct walk {
    const struct tree_visitor *v;
    struct bh_buf path;
    unsigned depth;
    struct bh_err *err;
};

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int tree_names_read(int fd, struct tree_names *out, struct bh_err *err) {
    int own = openat(fd, ".", OPEN_DIR);
    DIR *d = own >= 0 ? fdopendir(own) : NULL;
    size_t room = 0;

    *out = (struct tree_names){0};
    if (d == NULL)
        return bh_err_errno(err, errno, "read a folder");
    for (struct dirent *e; (errno = 0, e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (out->n == room) {
            room = room == 0 ? 64 : 2 * room;
            out->item = bh_xrealloc(out->item, room * sizeof(*out->item));
        }
        out->item[out->n++] = bh_xstrdup(e->d_name);
    }
    closedir(d);
    if (out->n > 0)
        qsort(out->item, out->n, sizeof(*out->item), by_name);
    return 0;
}

void tree_names_free(struct tree_names *names) {
    for (size_t i = 0; i < names->n; i++)
        free(names->item[i]);
    free(names->item);
    *names = (struct tree_names){0};
}

static bool is_opaque(int fd) {
    char v;

    return fgetxattr(fd, "user.overlay.opaque", &v, 1) == 1 && v == 'y';
}

static int walk_folder(struct walk *w, int fd, int other);

static int enter(struct walk *w, struct tree_item *it, int parent, int fd) {
    int below = it->other >= 0 ? openat(it->other, it->name, OPEN_DIR) : -1;
    int r;

    w->depth++;
    if (w->depth > TREE_MAX_DEPTH)
        r = bh_err_set(w->err, BH_E_LIMIT, "folders are nested more than %d deep", TREE_MAX_DEPTH);
    else
        r = walk_folder(w, fd, below);
    w->depth--;
    if (below >= 0)
        close(below);
    if (r == 0 && fchdir(parent) != 0)
        r = bh_err_errno(w->err, errno, "go back to a folder");
    it->path = bh_buf_str(&w->path); /* the buffer may have moved */
    if (r == 0 && w->v->leave != NULL)
        r = w->v->leave(w->v->arg, it, w->err);
    return r;
}

static int visit(struct walk *w, int parent, const char *name, int other, bool whiteouts) {
    size_t before = w->path.len;
    struct tree_item it = {.name = name, .other = other};
    int fd = -1;
    int r = 0;

    if (fstatat(parent, name, &it.st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : bh_err_errno(w->err, errno, "look at a file");
    it.whiteout = w->v->overlay && S_ISCHR(it.st.st_mode) && it.st.st_rdev == 0;
    if (it.whiteout != whiteouts || S_ISSOCK(it.st.st_mode))
        return 0;
    if (S_ISDIR(it.st.st_mode)) {
        fd = openat(parent, name, OPEN_DIR);
        if (fd < 0)
            return errno == ENOENT ? 0 : bh_err_errno(w->err, errno, "open a folder");
        it.opaque = w->v->overlay && is_opaque(fd);
    }
    if (before > 0)
        bh_buf_addc(&w->path, '/');
    bh_buf_adds(&w->path, name);
    it.path = bh_buf_str(&w->path);
    r = w->v->item(w->v->arg, &it, w->err);
    if (r == 0 && fd >= 0)
        r = enter(w, &it, parent, fd);
    if (r == TREE_SKIP)
        r = 0;
    if (fd >= 0)
        close(fd);
    w->path.len = before;
    if (w->path.data != NULL)
        w->path.data[before] = 0;
    return r;
}

/* Whiteouts go first: a reader may then remove before it adds. */
static int walk_folder(struct walk *w, int fd, int other) {
    struct tree_names names;
    int r = tree_names_read(fd, &names, w->err);

    if (r == 0 && fchdir(fd) != 0)
        r = bh_err_errno(w->err, errno, "enter a folder");
    for (int pass = w->v->overlay ? 0 : 1; pass < 2 && r == 0; pass++)
        for (size_t i = 0; i < names.n && r == 0; i++)
            r = visit(w, fd, names.item[i], other, pass == 0);
    tree_names_free(&names);
    return r;
}

int tree_walk(const struct tree_visitor *v, int other, struct bh_err *err) {
    struct walk w = {.v = v, .err = err};
    struct tree_item root = {.path = "", .name = ".", .other = -1};
    BH_SCOPE_CLOSE int fd = open("/", OPEN_DIR);
    int r;

    if (fd < 0 || fstat(fd, &root.st) != 0 || fchdir(fd) != 0)
        return bh_err_errno(err, errno, "open the root of the walk");
    r = v->item(v->arg, &root, err);
    if (r == 0)
        r = walk_folder(&w, fd, other);
    if (r == TREE_SKIP)
        return 0;
    if (r == 0 && v->leave != NULL)
        r = v->leave(v->arg, &root, err);
    if (r != 0 && w.path.len > 0)
        bh_err_prefix(err, "/%s", bh_buf_str(&w.path));
    bh_buf_fini(&w.path);
    return r;
}
