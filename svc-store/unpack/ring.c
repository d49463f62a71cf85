/*
 * ring.c - see ring.h.  One lock: a block is a quarter of a megabyte, so it is taken rarely.
 *
 * Room: worker.
 */
#include "unpack/ring.h"

#include <stdlib.h>
#include <string.h>

void unp_ring_init(struct unp_ring *r, unsigned first) {
    memset(r, 0, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->moved, NULL);
    r->first = first;
}

void unp_ring_readers(struct unp_ring *r, unsigned first) {
    pthread_mutex_lock(&r->lock);
    r->first = first;
    pthread_mutex_unlock(&r->lock);
}

void unp_ring_fini(struct unp_ring *r) {
    for (unsigned i = 0; i < UNP_RING_SLOTS; i++)
        free(r->slot[i]);
    pthread_cond_destroy(&r->moved);
    pthread_mutex_destroy(&r->lock);
}

static bool full(const struct unp_ring *r) {
    for (unsigned i = r->first; i < UNP_RING_READERS; i++)
        if (r->filled - r->done[i] >= UNP_RING_SLOTS)
            return true;
    return false;
}

unsigned char *unp_ring_reserve(struct unp_ring *r) {
    pthread_mutex_lock(&r->lock);
    while (!r->aborted && full(r))
        pthread_cond_wait(&r->moved, &r->lock);
    unsigned char **slot = &r->slot[r->filled % UNP_RING_SLOTS];
    bool aborted = r->aborted;
    pthread_mutex_unlock(&r->lock);
    if (aborted)
        return NULL;
    if (*slot == NULL)
        *slot = malloc(UNP_RING_BLOCK);
    return *slot;
}

void unp_ring_commit(struct unp_ring *r, size_t len) {
    pthread_mutex_lock(&r->lock);
    r->len[r->filled % UNP_RING_SLOTS] = len;
    r->filled++;
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
}

void unp_ring_end(struct unp_ring *r) {
    pthread_mutex_lock(&r->lock);
    r->ended = true;
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
}

void unp_ring_abort(struct unp_ring *r) {
    pthread_mutex_lock(&r->lock);
    r->aborted = true;
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
}

bool unp_ring_aborted(struct unp_ring *r) {
    pthread_mutex_lock(&r->lock);
    bool aborted = r->aborted;
    pthread_mutex_unlock(&r->lock);
    return aborted;
}

const unsigned char *unp_ring_next(struct unp_ring *r, unsigned reader, size_t *out_len) {
    const unsigned char *block = NULL;
    pthread_mutex_lock(&r->lock);
    while (!r->aborted && !r->ended && r->done[reader] == r->filled)
        pthread_cond_wait(&r->moved, &r->lock);
    if (!r->aborted && r->done[reader] < r->filled) {
        block = r->slot[r->done[reader] % UNP_RING_SLOTS];
        *out_len = r->len[r->done[reader] % UNP_RING_SLOTS];
    }
    pthread_mutex_unlock(&r->lock);
    return block;
}

void unp_ring_release(struct unp_ring *r, unsigned reader) {
    pthread_mutex_lock(&r->lock);
    r->done[reader]++;
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
}
