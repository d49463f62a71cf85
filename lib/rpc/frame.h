/*
 * frame.h - one message body: eight bytes, the envelope, the payload (docs/protocol.md, "Frame").
 *
 * Room: every room that serves or calls.  The bytes come from a peer; nothing is read past what the
 * header says and the header is checked first.  Numbers are little-endian; the payload may lie at
 * any alignment.
 */
#ifndef BH_RPC_FRAME_H
#define BH_RPC_FRAME_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "envelope.pb-c.h"
#include "rpc/transport.h"

#define BH_FRAME_VERSION      1
#define BH_FRAME_HEAD         8
#define BH_FRAME_RESERVE      64 /* header and envelope of every reply that carries a payload */
#define BH_FRAME_MAX_ENVELOPE 4096
#define BH_FRAME_MAX_CHUNK    ((size_t)1 << 20)
#define BH_FRAME_MAX_MESSAGE  (BH_FRAME_MAX_CHUNK + 4160) /* chunk, header, envelope, request id */

#define BH_PROTO_MAJOR 1
#define BH_PROTO_MINOR 0

typedef Bulkhead__Rpc__V1__Envelope bh_envelope;
#define BH_ENVELOPE_INIT BULKHEAD__RPC__V1__ENVELOPE__INIT
#define BH_KIND(k)       BULKHEAD__RPC__V1__KIND__##k

/* Memory that an envelope is unpacked into; a hostile one that needs more is refused. */
struct bh_frame_scratch {
    size_t used;
    alignas(16) uint8_t mem[12 << 10];
};

struct bh_frame {
    const bh_envelope *env; /* lives in the scratch */
    const uint8_t *payload; /* lives in the message */
    size_t payload_len;
};

int bh_frame_parse(const uint8_t *data, size_t n, struct bh_frame_scratch *scratch, struct bh_frame *out,
                   struct bh_err *err);
/* A whole frame; NULL when memory is gone or the envelope is over its limit. */
struct bh_msg *bh_frame_build(const bh_envelope *env, const void *payload, size_t n);
struct bh_msg *bh_frame_build_message(const bh_envelope *env, const ProtobufCMessage *payload);
/* A frame whose payload is written now and whose envelope comes later with bh_frame_fill. */
struct bh_msg *bh_frame_reserve(size_t n, uint8_t **out_payload);
void bh_frame_fill(struct bh_msg *m, const bh_envelope *env); /* env packs into at most 56 bytes */

#endif
