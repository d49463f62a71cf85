/*
 * mem.h - scope ownership: memory and descriptors that end with the block that made them.
 *
 * Room: all.  Three owners exist (docs/architecture.md, "Memory"): the scope (here), the call
 * (arena.h) and the room (one named container).  An output is written only on success; then the
 * local is given away with bh_take_ptr or bh_take_fd.
 */
#ifndef BH_BASE_MEM_H
#define BH_BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static inline void bh_scope_free(void *p) {
    free(*(void **)p);
}
static inline void bh_scope_close(const int *fd) {
    if (*fd >= 0)
        close(*fd);
}

#define BH_SCOPE_FREE  __attribute__((cleanup(bh_scope_free)))
#define BH_SCOPE_CLOSE __attribute__((cleanup(bh_scope_close)))
#define BH_SCOPE(fn)   __attribute__((cleanup(fn)))

/* Give the value away and disarm the scope. */
#define bh_take_ptr(p)                                                                                                 \
    ({                                                                                                                 \
        __typeof__(p) bh_taken_ = (p);                                                                                 \
        (p) = NULL;                                                                                                    \
        bh_taken_;                                                                                                     \
    })
static inline int bh_take_fd(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Allocation of a size that we chose ourselves: never returns NULL, aborts when memory is gone.
 * Sizes that a peer chose go through bh_buf (capped) or bh_arena (capped) instead. */
void *bh_xmalloc(size_t n);
void *bh_xcalloc(size_t n, size_t size);
void *bh_xrealloc(void *p, size_t n);
char *bh_xstrdup(const char *s);
char *bh_xstrndup(const char *s, size_t n);
char *bh_xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define BH_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
