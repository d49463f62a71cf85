/*
 * compress.h - a compressed form of a layer that has none, made by a worker and kept.
 *
 * Room: store.  The bytes depend on the tar, the codec, the level and the worker's libraries, never on the
 * number of threads.
 */
#ifndef STORE_COMPRESS_H
#define STORE_COMPRESS_H

#include "place.h"

enum store_codec { STORE_CODEC_GZIP = 2, STORE_CODEC_ZSTD = 3 }; /* numbers of worker.proto */
const char *store_codec_name(enum store_codec codec);            /* as in blob.codec */

struct store_compress {
    uid_t owner;
    int64_t lease;
    const char *diff_id; /* under the lease */
    uint64_t tar_size;
    enum store_codec codec;
    unsigned level; /* 0: default */
    int cancel_fd;
    int end_fd;
    void (*progress)(void *arg, uint64_t done); /* NULL: none */
    void *arg;
};
/* The blob is under the lease then. */
int store_compress(struct store *s, const struct store_compress *c, char out_digest[STORE_DIGEST_SIZE],
                   uint64_t *out_size, struct bh_err *err);

#endif
