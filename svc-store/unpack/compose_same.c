/*
 * compose_same.c - which names have been seen of a file with several.
 *
 * Room: worker.  Numbers come from the indexes of layers: the table is probed, and as large as twice what is in it.
 */
#include <stdlib.h>

#include "unpack/compose.h"

static uint32_t slot_of(const void *view, uint64_t same, uint32_t mask) {
    uint64_t h = ((uint64_t)(uintptr_t)view ^ same * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;

    return (uint32_t)(h >> 32) & mask;
}

static struct unp_same_slot *find(const struct unp_same *s, const void *view, uint64_t same) {
    uint32_t i = slot_of(view, same, s->mask);

    while (s->v[i].view != NULL && (s->v[i].view != view || s->v[i].same != same))
        i = (i + 1) & s->mask;
    return &s->v[i];
}

static bool grow(struct unp_same *s) {
    struct unp_same bigger = {.n = s->n, .mask = s->v == NULL ? 255 : s->mask * 2 + 1};

    bigger.v = calloc((size_t)bigger.mask + 1, sizeof *bigger.v);
    if (bigger.v == NULL)
        return false;
    for (uint32_t i = 0; s->v != NULL && i <= s->mask; i++)
        if (s->v[i].view != NULL)
            *find(&bigger, s->v[i].view, s->v[i].same) = s->v[i];
    free(s->v);
    *s = bigger;
    return true;
}

bool unp_same_note(struct unp_same *s, const void *view, uint64_t same, uint32_t value, uint32_t *out_value) {
    if ((s->v == NULL || s->n * 2 >= s->mask) && !grow(s))
        return false;
    struct unp_same_slot *slot = find(s, view, same);

    if (slot->view == NULL) {
        *slot = (struct unp_same_slot){view, same, value};
        s->n++;
    }
    *out_value = slot->value;
    return true;
}

void unp_same_fini(struct unp_same *s) {
    free(s->v);
    *s = (struct unp_same){0};
}
