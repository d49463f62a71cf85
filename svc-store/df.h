/*
 * df.h - what the images take, and how much of it would come back.
 *
 * Room: store.
 */
#ifndef STORE_DF_H
#define STORE_DF_H

#include "image.h"

struct store_df {
    uint32_t images;
    uint32_t active; /* that a container uses */
    uint32_t names;
    uint32_t layers;
    uint64_t size;        /* layers once each, uncompressed */
    uint64_t reclaimable; /* of that, in images that no container uses */
    uint32_t partials;    /* unfinished downloads */
    uint64_t partials_size;
    uint64_t blobs; /* kept compressed layers */
    uint64_t disk;  /* blocks of all the store's files; 0 for who does not see all */
    uint64_t free;
};

int store_df(struct store *s, const struct store_who *who, struct store_df *out, struct bh_err *err);

#endif
