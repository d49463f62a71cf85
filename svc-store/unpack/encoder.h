/*
 * encoder.h - compressing one block of a stream, so that several threads can work on one stream.
 *
 * Room: worker.  A stream is head, blocks, tail.  Blocks have a fixed size and know nothing of each other,
 * so the bytes depend on content, codec and level alone, never on how many threads there were.
 *   gzip: one member; each block is deflated by itself and ends at a byte (as a full flush does)
 *   zstd: a frame for each block
 */
#ifndef UNP_ENCODER_H
#define UNP_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "unpack/codec.h"

#define UNP_ENCODER_FRAME 32 /* bytes of head or tail at most */

/* Level 0: the default; over the codec's highest: that. */
size_t unp_encoder_block_size(enum unp_codec codec);
size_t unp_encoder_bound(enum unp_codec codec);

struct unp_encoder; /* of one thread */
struct unp_encoder *unp_encoder_new(enum unp_codec codec, unsigned level, struct bh_err *err);
void unp_encoder_free(struct unp_encoder *e);
/* out has unp_encoder_bound bytes; *out_crc is the CRC-32 of in (gzip). */
int unp_encoder_block(struct unp_encoder *e, const void *in, size_t n, void *out, size_t *out_n, uint32_t *out_crc,
                      struct bh_err *err);

size_t unp_encoder_head(enum unp_codec codec, unsigned char out[UNP_ENCODER_FRAME]);
size_t unp_encoder_tail(enum unp_codec codec, uint32_t crc, uint64_t total, unsigned char out[UNP_ENCODER_FRAME]);
/* CRC of a followed by n bytes with CRC b. */
uint32_t unp_encoder_crc(uint32_t a, uint32_t b, size_t n);

#endif
