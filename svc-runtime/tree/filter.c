/*
 * filter.c - which part of an upper goes into the archive, see tree.h.
 *
 * Room: tree.  The list comes from runtime in a sealed memfd, which is measured and read once, before
 * the walk.  A list that is malformed ends the walk: half a filter would put files into a layer
 * that were to be left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "tree.h"

#define MAX_TEXT ((size_t)256 << 10)

static int malformed(struct bh_err *err) {
    return bh_err_set(err, BH_E_INVALID, "the list of what to leave out is malformed");
}

static int one_record(struct tree_filter *f, char *text, struct bh_err *err) {
    switch (text[0]) {
    case '-':
        if (text[1] != '/' || text[2] == 0 || f->n == TREE_FILTER_MAX)
            return malformed(err);
        f->without[f->n++] = text + 2;
        return 0;
    case '+':
        if (text[1] != '/' || f->below != NULL)
            return malformed(err);
        f->below = text + 2;
        return 0;
    case 'T':
        f->clamp = bh_str_i64(text + 1, &f->clamp_ns);
        return f->clamp ? 0 : malformed(err);
    default:
        return malformed(err);
    }
}

int tree_filter_read(int fd, struct tree_filter *out, struct bh_err *err) {
    char *text;
    ssize_t n;

    *out = (struct tree_filter){0};
    if (fcntl(fd, F_GETFD) < 0)
        return 0; /* none was given */
    text = out->text = bh_xmalloc(MAX_TEXT + 1);
    n = bh_pread_full(fd, text, MAX_TEXT + 1, 0);
    if (n < 0)
        return bh_err_errno(err, errno, "read what to leave out");
    if ((size_t)n > MAX_TEXT || (n > 0 && text[n - 1] != 0))
        return malformed(err);
    for (char *p = text; p < text + n; p += strlen(p) + 1)
        if (one_record(out, p, err) != 0)
            return err->code;
    return 0;
}

void tree_filter_fini(struct tree_filter *f) {
    free(f->text);
    f->text = NULL;
}

/* Is `path` the folder, or in it? */
static bool is_within(const char *path, const char *folder) {
    size_t n = strlen(folder);

    return n == 0 || (strncmp(path, folder, n) == 0 && (path[n] == 0 || path[n] == '/'));
}

enum tree_part tree_filter_part(const struct tree_filter *f, const char *path) {
    enum tree_part part = TREE_IN;

    if (f->below != NULL && !is_within(path, f->below))
        return path[0] == 0 || is_within(f->below, path) ? TREE_ABOVE : TREE_OUT;
    for (unsigned i = 0; i < f->n; i++) {
        if (is_within(path, f->without[i]))
            return TREE_OUT;
        if (path[0] != 0 && is_within(f->without[i], path))
            part = TREE_HOLDS_OUT;
    }
    return part;
}
