/*
 * receive.h - a layer or another blob as it comes from a registry, through a pipe, resumable.
 *
 * Room: store.  The bytes go from the pipe through a worker: hashed, inflated, hashed, written as layer
 * file and, as they came, into the owner's partial file, which becomes the kept blob.  Nothing is copied
 * afterwards.  What is no layer is hashed here: nothing of it is parsed.
 */
#ifndef STORE_RECEIVE_H
#define STORE_RECEIVE_H

#include "hold.h"

struct store_receive_event {
    bool waiting;      /* another call of this owner brings the same bytes */
    bool have;         /* they are here */
    bool done;         /* they are durable */
    uint64_t unpacked; /* progress of the tar */
};

struct store_receive {
    const char *digest;
    uint64_t size;
    const char *media;
    const char *diff_id; /* "": no layer, only kept */
    bool restart;
    const char *source; /* repository that has them, "": not told */
    bool alone;         /* no image of the owner is to come that has it */
    int cancel_fd;
    bool (*cancelled)(void *arg);
    /* Tell the caller that bytes from offset on are wanted; the read end of the pipe that he got. */
    int (*pipe)(void *arg, uint64_t offset, int *out_fd, struct bh_err *err);
    void (*event)(void *arg, const struct store_receive_event *e);
    void *arg;
};

/* Are the bytes here, as far as this owner is concerned?  Then they are under the hold.  Of r only the four that name
 * them and `source` count. */
int store_receive_have(struct store *s, struct store_hold *h, const struct store_receive *r, bool *out_have,
                       struct bh_err *err);

/* BH_E_DATA_LOSS (reasons "digest-mismatch", "size-mismatch"): what came is dropped.  BH_E_INVALID (reason
 * "short") and BH_E_CANCELLED: what came is kept.  BH_E_ABORTED (reason "again"): the call that this one
 * waited for failed. */
int store_receive(struct store *s, struct store_hold *h, const struct store_receive *r, struct bh_err *err);

#endif
