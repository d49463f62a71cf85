/*
 * arena.h - memory of one call: taken in small pieces, freed at once, with a ceiling.
 *
 * Room: all but supervisor and launch.  The unpacking of a protobuf message can multiply its
 * input by eighty (docs/protocol.md, "Limits"), so every call has an arena whose ceiling is
 * proportional to the size of its request.
 */
#ifndef BH_BASE_ARENA_H
#define BH_BASE_ARENA_H

#include <stddef.h>

struct bh_arena_block;

struct bh_arena {
    struct bh_arena_block *blocks;
    size_t used;
    size_t max;
};

void bh_arena_init(struct bh_arena *a, size_t max);
void bh_arena_fini(struct bh_arena *a);
/* 16-byte aligned, not zeroed; NULL at the ceiling or when memory is gone. */
void *bh_arena_alloc(struct bh_arena *a, size_t n);
/* Overwrite everything that was handed out; for calls that carried a secret. */
void bh_arena_wipe(struct bh_arena *a);
char *bh_arena_strdup(struct bh_arena *a, const char *s);

#endif
