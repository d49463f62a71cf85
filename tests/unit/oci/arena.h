/*
 * arena.h - memory of one test: there before it, given back after it.
 */
#ifndef TEST_OCI_ARENA_H
#define TEST_OCI_ARENA_H

#include "base/arena.h"

static struct bh_arena arena;

static int start(void **state) {
    (void)state;
    bh_arena_init(&arena, 64 << 20);
    return 0;
}

static int stop(void **state) {
    (void)state;
    bh_arena_fini(&arena);
    return 0;
}

#endif
