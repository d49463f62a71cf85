/*
 * types.c - see types.h.  Lists and maps in an arena.
 * Room: every room that sees images.  Trusts its callers for well-formed text.  A list grows by a
 * fresh copy, so a struct that was copied by value is never changed behind its owner's back.
 */
#include "oci/types.h"

#include <string.h>

#include "base/str.h"

void *bh_oci_alloc(struct bh_arena *arena, size_t n, struct bh_err *err) {
    void *p = bh_arena_alloc(arena, n > 0 ? n : 1);

    if (p == NULL) {
        bh_err_set(err, BH_E_LIMIT, "the document needs more than the %zu bytes of memory it may take", arena->max);
        return NULL;
    }
    memset(p, 0, n);
    return p;
}

const char *bh_oci_strdup(struct bh_arena *arena, const char *s, size_t n, struct bh_err *err) {
    char *out;

    if (n == 0)
        return "";
    out = bh_oci_alloc(arena, n + 1, err);
    if (out != NULL)
        memcpy(out, s, n);
    return out;
}

/* Where key is, or should be. */
static size_t pairs_find(const struct bh_pairs *p, const char *key, bool *found) {
    size_t lo = 0, hi = p->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(p->v[mid].key, key);

        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *found = false;
    return lo;
}

const char *bh_pairs_get(const struct bh_pairs *p, const char *key) {
    bool found;
    size_t at = pairs_find(p, key, &found);

    return found ? p->v[at].value : NULL;
}

int bh_pairs_set(struct bh_pairs *p, struct bh_arena *arena, const char *key, const char *value, struct bh_err *err) {
    bool found;
    size_t at = pairs_find(p, key, &found);
    const char *k = bh_oci_strdup(arena, key, strlen(key), err);
    const char *v = bh_oci_strdup(arena, value, strlen(value), err);
    struct bh_pair *grown = bh_oci_alloc(arena, (p->n + 1) * sizeof *grown, err);

    if (k == NULL || v == NULL || grown == NULL)
        return err->code;
    if (at > 0)
        memcpy(grown, p->v, at * sizeof *grown);
    grown[at] = (struct bh_pair){.key = k, .value = v};
    if (at + found < p->n)
        memcpy(grown + at + 1, p->v + at + found, (p->n - at - found) * sizeof *grown);
    p->v = grown;
    p->n += !found;
    p->present = true;
    return 0;
}

static int insert(struct bh_strlist *l, struct bh_arena *arena, size_t at, const char *s, struct bh_err *err) {
    const char *copy = bh_oci_strdup(arena, s, strlen(s), err);
    const char **grown = bh_oci_alloc(arena, (l->n + 1) * sizeof *grown, err);

    if (copy == NULL || grown == NULL)
        return err->code;
    if (at > 0)
        memcpy(grown, l->v, at * sizeof *grown);
    grown[at] = copy;
    if (at < l->n)
        memcpy(grown + at + 1, l->v + at, (l->n - at) * sizeof *grown);
    l->v = grown;
    l->n++;
    l->present = true;
    return 0;
}

int bh_strlist_add(struct bh_strlist *l, struct bh_arena *arena, const char *s, struct bh_err *err) {
    return insert(l, arena, l->n, s, err);
}

int bh_strlist_add_sorted(struct bh_strlist *l, struct bh_arena *arena, const char *s, struct bh_err *err) {
    size_t at = 0;

    while (at < l->n && strcmp(l->v[at], s) < 0)
        at++;
    if (at < l->n && strcmp(l->v[at], s) == 0)
        return 0;
    return insert(l, arena, at, s, err);
}

bool bh_strlist_has(const struct bh_strlist *l, const char *s) {
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->v[i], s) == 0)
            return true;
    }
    return false;
}
