/*
 * index_dir.c - order of names, and how many blocks they take.
 *
 * Room: worker.  Pure.  Names are compared as unsigned bytes; a shorter one that is the start of a
 * longer one comes first.  "." and ".." have their places among the others, as EROFS wants it.
 */
#include "unpack/index_dir.h"

#include <stdlib.h>
#include <string.h>

#include "layer/layer_format.h"

static uint64_t head_of(const struct unp_dent *d) {
    unsigned char b[8] = {0};
    memcpy(b, d->name, d->name_len < 8 ? d->name_len : 8);
    uint64_t v;
    memcpy(&v, b, sizeof v);
    return __builtin_bswap64(v);
}

bool unp_sorted_add(struct unp_sorted *s, const struct unp_tree *t, uint32_t dent) {
    if (s->n == s->cap) {
        size_t cap = s->cap == 0 ? 256 : s->cap * 2;
        struct unp_sort_key *v = realloc(s->v, cap * sizeof *v);
        if (v == NULL)
            return false;
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = (struct unp_sort_key){.head = head_of(unp_dent_at(t, dent)), .dent = dent};
    return true;
}

static int bytes_cmp(const char *a, size_t na, const char *b, size_t nb) {
    int c = memcmp(a, b, na < nb ? na : nb);
    return c != 0 ? c : (na > nb) - (na < nb);
}

/* Names have no NUL, so equal heads with a short name mean that one is the start of the other. */
static int key_cmp(const void *a, const void *b, void *tree) {
    const struct unp_sort_key *x = a;
    const struct unp_sort_key *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    const struct unp_dent *d = unp_dent_at(tree, x->dent);
    const struct unp_dent *e = unp_dent_at(tree, y->dent);
    return bytes_cmp(d->name, d->name_len, e->name, e->name_len);
}

void unp_sorted_sort(struct unp_sorted *s, const struct unp_tree *t) {
    /* Tars are mostly in order, and children were added at the front. */
    for (size_t i = 0, j = s->n; i + 1 < j; i++, j--) {
        struct unp_sort_key swap = s->v[i];
        s->v[i] = s->v[j - 1];
        s->v[j - 1] = swap;
    }
    bool sorted = true;
    for (size_t i = 1; i < s->n && sorted; i++)
        sorted = key_cmp(&s->v[i - 1], &s->v[i], (void *)t) < 0;
    if (!sorted)
        qsort_r(s->v, s->n, sizeof *s->v, key_cmp, (void *)t);
}

void unp_dir_begin(struct unp_dir_walk *w, const struct unp_tree *t, uint32_t dir) {
    *w = (struct unp_dir_walk){.t = t, .dir = dir, .child = unp_dent_at(t, dir)->child};
}

bool unp_dir_next(struct unp_dir_walk *w, struct unp_name *out) {
    const struct unp_dent *d = unp_dent_at(w->t, w->dir);
    const struct unp_dent *c = w->child == 0 ? NULL : unp_dent_at(w->t, w->child);
    size_t dots = w->dots + 1;
    if (w->dots < 2 && (c == NULL || bytes_cmp("..", dots, c->name, c->name_len) < 0)) {
        uint32_t inode = w->dots == 0 ? d->inode : unp_dent_at(w->t, d->parent)->inode;
        *out = (struct unp_name){"..", dots, inode};
        w->dots++;
        return true;
    }
    if (c == NULL)
        return false;
    *out = (struct unp_name){c->name, c->name_len, c->inode};
    w->child = c->next;
    return true;
}

uint64_t unp_dir_size(const struct unp_tree *t, uint32_t dir) {
    struct unp_dir_walk w;
    struct unp_name name;
    uint64_t blocks = 0; /* full ones */
    size_t used = 0;
    unp_dir_begin(&w, t, dir);
    while (unp_dir_next(&w, &name)) {
        size_t need = sizeof(struct bh_erofs_dirent) + name.n;
        if (used + need > BH_LAYER_BLK) {
            blocks++;
            used = 0;
        }
        used += need;
    }
    return blocks * BH_LAYER_BLK + used;
}
