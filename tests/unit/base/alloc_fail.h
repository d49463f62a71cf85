/*
 * alloc_fail.h - the allocator, wrapped at link time: the n-th allocation from now on fails.
 */
#ifndef TEST_BASE_ALLOC_FAIL_H
#define TEST_BASE_ALLOC_FAIL_H

#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_calloc(size_t n, size_t size);

static long alloc_left = -1; /* allocations until the one that fails; negative: none does */

static bool alloc_fails(void) {
    return __atomic_load_n(&alloc_left, __ATOMIC_RELAXED) >= 0 &&
           __atomic_fetch_sub(&alloc_left, 1, __ATOMIC_RELAXED) == 0;
}
void *__wrap_malloc(size_t n) {
    return alloc_fails() ? NULL : __real_malloc(n);
}
void *__wrap_realloc(void *p, size_t n) {
    return alloc_fails() ? NULL : __real_realloc(p, n);
}
void *__wrap_calloc(size_t n, size_t size) {
    return alloc_fails() ? NULL : __real_calloc(n, size);
}

static inline void alloc_fail_at(long n) {
    __atomic_store_n(&alloc_left, n, __ATOMIC_RELAXED);
}
/* Back to normal; did it fail? */
static inline bool alloc_failed(void) {
    return __atomic_exchange_n(&alloc_left, -1, __ATOMIC_RELAXED) < 0;
}

#endif
