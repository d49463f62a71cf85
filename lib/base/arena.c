/*
 * arena.c - see arena.h.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)16 << 10)

struct bh_arena_block {
    struct bh_arena_block *next;
    size_t size;
    size_t used;
    size_t pad;
    unsigned char data[];
};

void bh_arena_init(struct bh_arena *a, size_t max) {
    *a = (struct bh_arena){.max = max};
}

void bh_arena_fini(struct bh_arena *a) {
    struct bh_arena_block *b = a->blocks;

    while (b != NULL) {
        struct bh_arena_block *next = b->next;

        free(b);
        b = next;
    }
    a->blocks = NULL;
    a->used = 0;
}

void bh_arena_wipe(struct bh_arena *a) {
    for (struct bh_arena_block *b = a->blocks; b != NULL; b = b->next)
        explicit_bzero(b->data, b->used);
}

void *bh_arena_alloc(struct bh_arena *a, size_t n) {
    struct bh_arena_block *b = a->blocks;
    void *out;

    if (n > a->max || n > SIZE_MAX - 15)
        return NULL;
    n = (n + 15) & ~(size_t)15;
    if (n > a->max - a->used)
        return NULL;
    if (b == NULL || b->size - b->used < n) {
        size_t size = n > BLOCK_SIZE ? n : BLOCK_SIZE;

        b = malloc(sizeof *b + size);
        if (b == NULL)
            return NULL;
        b->size = size;
        b->used = 0;
        b->next = a->blocks;
        a->blocks = b;
    }
    out = b->data + b->used;
    b->used += n;
    a->used += n;
    return out;
}

char *bh_arena_strdup(struct bh_arena *a, const char *s) {
    size_t n = strlen(s) + 1;
    char *out = bh_arena_alloc(a, n);

    if (out != NULL)
        memcpy(out, s, n);
    return out;
}
