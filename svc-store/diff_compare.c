/*
 * diff_compare.c - see diff.h: stacking sorted lists of entries, and comparing two.
 *
 * Room: store.  Pure; the records' ranges were checked when they were read.
 */
#include <string.h>
#include <sys/stat.h>

#include "diff.h"
#include "unpack/entries.h"

/* The end is lowest, then '/', then all other bytes: so what is in a folder follows it at once. */
static int weight(const char *s, size_t n, size_t i) {
    if (i >= n)
        return -1;
    return s[i] == '/' ? 0 : (unsigned char)s[i] + 1;
}

int store_path_cmp(const char *a, size_t an, const char *b, size_t bn) {
    size_t i = 0;

    while (i < an && i < bn && a[i] == b[i])
        i++;
    return weight(a, an, i) - weight(b, bn, i);
}

static int entry_cmp(const struct bh_entry *a, const struct bh_entry *b) {
    return store_path_cmp(a->text, a->path_len, b->text, b->path_len);
}

static bool below(const struct bh_entry *e, const struct bh_entry *dir) {
    return dir != NULL && e->path_len > dir->path_len && e->text[dir->path_len] == '/' &&
           memcmp(e->text, dir->text, dir->path_len) == 0;
}

static bool hides(const struct bh_entry *e) {
    return (e->flags & (BH_ENTRY_WHITEOUT | BH_ENTRY_OPAQUE)) != 0 || !S_ISDIR(e->mode);
}

size_t store_stack(const struct bh_entry *const *lower, size_t n_lower, const struct bh_entry *const *upper,
                   size_t n_upper, const struct bh_entry **out) {
    const struct bh_entry *hidden = NULL; /* nothing of the lower list below this is seen */
    size_t i = 0;
    size_t j = 0;
    size_t n = 0;

    while (i < n_lower || j < n_upper) {
        int cmp = i == n_lower ? 1 : j == n_upper ? -1 : entry_cmp(lower[i], upper[j]);

        if (cmp < 0) {
            if (!below(lower[i], hidden))
                out[n++] = lower[i];
            i++;
            continue;
        }
        if ((upper[j]->flags & BH_ENTRY_WHITEOUT) == 0)
            out[n++] = upper[j];
        /* inside of a hidden folder everything is hidden already */
        if (hides(upper[j]) && !below(upper[j], hidden))
            hidden = upper[j];
        i += cmp == 0;
        j++;
    }
    return n;
}

/* ---- comparing ----------------------------------------------------------------------------- */

struct teller {
    store_diff_fn *fn;
    void *arg;
    const struct bh_entry *last; /* told last: all folders on the way to it have been told */
    const struct bh_entry *gone; /* a folder that was told as deleted: what was in it is not told */
};

static size_t common_folders(const struct bh_entry *last, const char *path, size_t n) {
    size_t same = 0;

    if (last == NULL)
        return 0;
    for (size_t i = 0; i <= n && i <= last->path_len; i++) {
        bool here = i == n || path[i] == '/';
        bool there = i == last->path_len || last->text[i] == '/';

        if (here && there)
            same = i;
        if (i == n || i == last->path_len || path[i] != last->text[i])
            break;
    }
    return same;
}

static int tell(struct teller *t, char kind, const struct bh_entry *e, struct bh_err *err) {
    size_t told = common_folders(t->last, e->text, e->path_len);

    for (size_t i = told + 1; i < e->path_len; i++)
        if (e->text[i] == '/' && t->fn(t->arg, 'C', e->text, i, err) != 0)
            return err->code;
    t->last = e;
    return t->fn(t->arg, kind, e->text, e->path_len, err);
}

static bool alike(const struct bh_entry *a, const struct bh_entry *b) {
    if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
        return false;
    if (S_ISDIR(a->mode))
        return true;
    return a->length == b->length && a->mtime == b->mtime && a->nsec == b->nsec && a->link_len == b->link_len &&
           memcmp(a->text + a->path_len, b->text + b->path_len, a->link_len) == 0;
}

static int tell_gone(struct teller *t, const struct bh_entry *e, struct bh_err *err) {
    if (below(e, t->gone))
        return 0;
    t->gone = e;
    return tell(t, 'D', e, err);
}

int store_compare(const struct bh_entry *const *a, size_t na, const struct bh_entry *const *b, size_t nb,
                  store_diff_fn *fn, void *arg, struct bh_err *err) {
    struct teller t = {.fn = fn, .arg = arg};
    size_t i = 0;
    size_t j = 0;
    int r = 0;

    while (r == 0 && (i < na || j < nb)) {
        int cmp = i == na ? 1 : j == nb ? -1 : entry_cmp(a[i], b[j]);

        if (cmp < 0)
            r = tell_gone(&t, a[i++], err);
        else if (cmp > 0)
            r = tell(&t, 'A', b[j++], err);
        else {
            if (!alike(a[i], b[j]))
                r = tell(&t, 'C', b[j], err);
            i++;
            j++;
        }
    }
    return r;
}
