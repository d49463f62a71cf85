/*
 * ring.c - see ring.h.  One lock: a block is a quarter of a megabyte, so it is taken rarely.
 *
 * Room: worker.
 */
#include "unpack/ring.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_AGAIN (UNP_RING_SLOTS / 2) /* a filler that waited goes on when so few blocks are left */
#define MORE_AGAIN 2u                   /* a reader that waited, when so many are there */

void unp_ring_init(struct unp_ring *r, unsigned first) {
    memset(r, 0, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->room, NULL);
    for (unsigned i = 0; i < UNP_RING_READERS; i++)
        pthread_cond_init(&r->more[i], NULL);
    r->first = first;
}

void unp_ring_fini(struct unp_ring *r) {
    for (unsigned i = 0; i < UNP_RING_SLOTS; i++)
        free(r->slot[i]);
    for (unsigned i = 0; i < UNP_RING_READERS; i++)
        pthread_cond_destroy(&r->more[i]);
    pthread_cond_destroy(&r->room);
    pthread_mutex_destroy(&r->lock);
}

/* Blocks that the slowest reader has still before it. */
static uint64_t held(const struct unp_ring *r) {
    uint64_t most = 0;

    for (unsigned i = r->first; i < UNP_RING_READERS; i++)
        if (r->filled - r->done[i] > most)
            most = r->filled - r->done[i];
    return most;
}

static void wake_all(struct unp_ring *r) {
    pthread_cond_signal(&r->room);
    for (unsigned i = r->first; i < UNP_RING_READERS; i++)
        pthread_cond_signal(&r->more[i]);
}

unsigned char *unp_ring_reserve(struct unp_ring *r) {
    pthread_mutex_lock(&r->lock);
    uint64_t enough = UNP_RING_SLOTS - 1;
    while (!r->aborted && held(r) > enough) {
        enough = ROOM_AGAIN;
        pthread_cond_wait(&r->room, &r->lock);
    }
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
    for (unsigned i = r->first; i < UNP_RING_READERS; i++)
        if (r->filled - r->done[i] >= MORE_AGAIN)
            pthread_cond_signal(&r->more[i]);
    pthread_mutex_unlock(&r->lock);
}

void unp_ring_end(struct unp_ring *r) {
    pthread_mutex_lock(&r->lock);
    r->ended = true;
    wake_all(r);
    pthread_mutex_unlock(&r->lock);
}

void unp_ring_abort(struct unp_ring *r) {
    pthread_mutex_lock(&r->lock);
    r->aborted = true;
    wake_all(r);
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
    uint64_t least = 1;
    while (!r->aborted && !r->ended && r->filled - r->done[reader] < least) {
        least = MORE_AGAIN;
        pthread_cond_wait(&r->more[reader], &r->lock);
    }
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
    if (held(r) <= ROOM_AGAIN)
        pthread_cond_signal(&r->room);
    pthread_mutex_unlock(&r->lock);
}
