/*
 * ring.h - a ring of blocks between threads: one fills them, up to two read every block.
 *
 * Room: worker.  A fixed number of blocks, so memory stays the same for a layer of any size; the slowest
 * stage sets the pace.  Whoever fails calls unp_ring_abort, and all others come back at once.
 */
#ifndef UNP_RING_H
#define UNP_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNP_RING_SLOTS   8u
#define UNP_RING_BLOCK   ((size_t)256 << 10)
#define UNP_RING_READERS 2u

struct unp_ring {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    unsigned char *slot[UNP_RING_SLOTS]; /* allocated when first filled */
    size_t len[UNP_RING_SLOTS];
    uint64_t filled;                 /* blocks so far */
    uint64_t done[UNP_RING_READERS]; /* blocks that a reader has given back */
    unsigned first;                  /* readers before this one are not there */
    bool ended;
    bool aborted;
};

/* Readers first .. UNP_RING_READERS - 1 take part. */
void unp_ring_init(struct unp_ring *r, unsigned first);
void unp_ring_fini(struct unp_ring *r);
/* As at unp_ring_init, before the first block is committed. */
void unp_ring_readers(struct unp_ring *r, unsigned first);

/* The next block to fill, of UNP_RING_BLOCK bytes; NULL when aborted or out of memory. */
unsigned char *unp_ring_reserve(struct unp_ring *r);
void unp_ring_commit(struct unp_ring *r, size_t len);
void unp_ring_end(struct unp_ring *r);
void unp_ring_abort(struct unp_ring *r);

/* The oldest block that this reader has not given back; NULL at the end or when aborted. */
const unsigned char *unp_ring_next(struct unp_ring *r, unsigned reader, size_t *out_len);
void unp_ring_release(struct unp_ring *r, unsigned reader);
bool unp_ring_aborted(struct unp_ring *r);

#endif
