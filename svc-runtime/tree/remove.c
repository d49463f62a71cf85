/*
 * remove.c - empties the folder of a container that is gone.
 *
 * Room: tree, as a throw-away child of launch: chrooted and bound by Landlock to that folder, with
 * the rights to remove what any owner made.  Names are the container's; nothing is followed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tree.h"

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
/* Folders below this depth are lifted to the top before they are emptied: a container may nest them
 * deeper than there are descriptors. */
#define MAX_DEPTH 32

struct removal {
    int top;
    unsigned lifted;
};

static int empty(struct removal *x, int dir, unsigned depth);

static int remove_folder(struct removal *x, int dir, const char *name, unsigned depth) {
    BH_SCOPE_CLOSE int sub = -1;
    char lifted[32];

    if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
        return 0;
    if (depth >= MAX_DEPTH) {
        snprintf(lifted, sizeof(lifted), ".lifted-%u", ++x->lifted);
        return renameat(dir, name, x->top, lifted);
    }
    sub = openat(dir, name, OPEN_DIR);
    if (sub < 0 || empty(x, sub, depth + 1) != 0)
        return -1;
    return unlinkat(dir, name, AT_REMOVEDIR);
}

static bool kept(const char *name, unsigned depth) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (depth == 0 && strcmp(name, "info") == 0);
}

static int empty(struct removal *x, int dir, unsigned depth) {
    DIR *d = fdopendir(openat(dir, ".", OPEN_DIR));
    int r = d == NULL ? -1 : 0;

    for (struct dirent *e; r == 0 && (errno = 0, e = readdir(d)) != NULL;) {
        if (kept(e->d_name, depth))
            continue;
        if (unlinkat(dir, e->d_name, 0) == 0 || errno == ENOENT)
            continue;
        r = errno == EISDIR || errno == EPERM ? remove_folder(x, dir, e->d_name, depth) : -1;
    }
    if (d != NULL)
        closedir(d);
    return r;
}

int tree_remove(struct bh_err *err) {
    BH_SCOPE_CLOSE int top = open("/", OPEN_DIR);
    struct removal x = {.top = top};
    unsigned before;

    do { /* what was lifted while the top was being read may not have been seen */
        before = x.lifted;
        if (top < 0 || empty(&x, top, 0) != 0)
            return bh_err_errno(err, errno, "remove a container's files");
    } while (x.lifted != before);
    return 0;
}
