/*
 * codec.h - telling compressed bytes by their first block, and inflating them from ring to ring.
 *
 * Room: worker.  Streams of several members or frames are one stream.  What is cut off, or has bytes behind
 * its end that are not zero, is refused.  No helper program is ever run.
 */
#ifndef UNP_CODEC_H
#define UNP_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "unpack/ring.h"

enum unp_codec { /* numbers of worker.proto */
                 UNP_PLAIN = 1,
                 UNP_GZIP = 2,
                 UNP_ZSTD = 3,
                 UNP_BZIP2 = 4,
                 UNP_XZ = 5,
};

enum unp_codec unp_codec_sniff(const unsigned char *data, size_t n);
const char *unp_codec_name(enum unp_codec codec);

/* Reader 1 of `in` to the writing side of `out`; ends out when all is well.
 * max_out: bytes at most (BH_E_LIMIT, naming limits.unpacked).  BH_E_CANCELLED when a ring was aborted. */
int unp_codec_run(enum unp_codec codec, struct unp_ring *in, struct unp_ring *out, uint64_t max_out,
                  struct bh_err *err);

/* --- for codec_*.c ---------------------------------------------------------------------------- */

struct unp_stream {
    struct unp_ring *in;
    bool holds; /* a block of `in` is not given back yet */
    const unsigned char *next;
    size_t left;

    struct unp_ring *out;
    unsigned char *block;
    size_t used;
    uint64_t total;
    uint64_t max;
};
/* More input when left is 0; false at the end (or abort). */
bool unp_stream_more(struct unp_stream *s);
/* Room for output, at least one byte; NULL: aborted. */
unsigned char *unp_stream_room(struct unp_stream *s, size_t *out_n, struct bh_err *err);
int unp_stream_wrote(struct unp_stream *s, size_t n, struct bh_err *err);
/* Behind the last member only zeros may stand. */
int unp_stream_only_zeros(struct unp_stream *s, const char *what, struct bh_err *err);
int unp_stream_bad(struct bh_err *err, const char *what, const char *why);

int unp_gzip_run(struct unp_stream *s, struct bh_err *err);
int unp_zstd_run(struct unp_stream *s, struct bh_err *err);
int unp_bzip2_run(struct unp_stream *s, struct bh_err *err);
int unp_xz_run(struct unp_stream *s, struct bh_err *err);

#endif
