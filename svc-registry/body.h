/*
 * body.h - the bytes of a blob as they arrive: where they belong, and whether it is too many or too few.
 *
 * Room: registry.  Pure.  A blob's size is known from its descriptor before the first byte.  Whoever takes
 * the bytes has `start` of them already; the answer may be that rest (206, told by Content-Range), or the
 * whole again (200), whose beginning is dropped here.  What the answer claims is compared before a byte is
 * passed on: nothing past the size, nothing from another place, ever reaches the receiver.
 * Source: RFC 9110, 14.4 Content-Range, 15.3.7.
 */
#ifndef REG_BODY_H
#define REG_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct reg_body {
    uint64_t size;  /* of the whole blob */
    uint64_t start; /* the receiver continues here */
    uint64_t skip;  /* of the coming bytes, to be dropped */
    uint64_t at;    /* the receiver has this much */
};

/* Before the request; start <= size. */
void reg_body_init(struct reg_body *b, uint64_t size, uint64_t start);
/* The head of an answer: status 200 or 206; content_range "" if absent; length -1 if not told.
 * BH_E_DATA_LOSS: reason "wrong-size" when what it tells contradicts the descriptor, "bad-range" when a 206 does not
 * begin where it was asked to. */
int reg_body_head(struct reg_body *b, long status, const char *content_range, int64_t length, struct bh_err *err);
/* Bytes came: *data and *n become what goes on to the receiver (perhaps nothing).  BH_E_DATA_LOSS, reason "wrong-size",
 * when they are more than the descriptor said; then nothing of this piece may go on. */
int reg_body_take(struct reg_body *b, const void **data, size_t *n, struct bh_err *err);
/* The answer is over: all there?  BH_E_UNAVAILABLE, reason "connection-lost", when it was short. */
int reg_body_end(const struct reg_body *b, struct bh_err *err);

/* "bytes 5-9/10" -> 5, 9, 10; size UINT64_MAX for "*".  False for anything else. */
bool reg_content_range(const char *text, uint64_t *first, uint64_t *last, uint64_t *size);

#endif
