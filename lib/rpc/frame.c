/*
 * frame.c - the parser and the builder of frames.
 *
 * Room: every room that serves or calls.  Trusts nothing in a frame that came in.  Makes no
 * decision about calls.  See frame.h and docs/protocol.md.
 */
#include "rpc/frame.h"

#include <assert.h>
#include <string.h>

#include "base/str.h"

#define MAX_METHOD     160
#define MAX_META       16
#define MAX_META_BYTES 2048

static void *scratch_alloc(void *data, size_t n) {
    struct bh_frame_scratch *s = data;
    void *out;

    if (n > sizeof s->mem)
        return NULL;
    n = (n + 15) & ~(size_t)15;
    if (n > sizeof s->mem - s->used)
        return NULL;
    out = s->mem + s->used;
    s->used += n;
    return out;
}

static void scratch_free(void *data, void *p) {
    (void)data;
    (void)p;
}

static unsigned get_u16(const uint8_t *p) {
    return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static void put_u16(uint8_t *p, size_t v) {
    p[0] = (uint8_t)(v & 0xff);
    p[1] = (uint8_t)(v >> 8 & 0xff);
}

static int check_envelope(const bh_envelope *env, struct bh_err *err) {
    size_t method = strlen(env->method), bytes = 0;

    if (method > MAX_METHOD || !bh_utf8_valid(env->method, method))
        return bh_err_set(err, BH_E_INVALID, "frame: bad method name");
    if (env->n_meta > MAX_META)
        return bh_err_set(err, BH_E_INVALID, "frame: %zu pairs of metadata, at most %d", env->n_meta, MAX_META);
    for (size_t i = 0; i < env->n_meta; i++)
        bytes += strlen(env->meta[i]->key) + strlen(env->meta[i]->value);
    if (bytes > MAX_META_BYTES)
        return bh_err_set(err, BH_E_INVALID, "frame: %zu bytes of metadata, at most %d", bytes, MAX_META_BYTES);
    return 0;
}

int bh_frame_parse(const uint8_t *data, size_t n, struct bh_frame_scratch *scratch, struct bh_frame *out,
                   struct bh_err *err) {
    ProtobufCAllocator alloc = {scratch_alloc, scratch_free, scratch};
    bh_envelope *env;
    size_t len, off;

    scratch->used = 0;
    if (n < BH_FRAME_HEAD || data[0] != 'B' || data[1] != 'H')
        return bh_err_set(err, BH_E_INVALID, "frame: not a Bulkhead frame");
    if (data[2] != BH_FRAME_VERSION || data[3] != 0)
        return bh_err_set(err, BH_E_INVALID, "frame: version %u flags %u, this side speaks version %d", data[2],
                          data[3], BH_FRAME_VERSION);
    len = get_u16(data + 4);
    off = get_u16(data + 6);
    if (len > BH_FRAME_MAX_ENVELOPE || off < BH_FRAME_HEAD + len || off > n || n - off > BH_FRAME_MAX_CHUNK)
        return bh_err_set(err, BH_E_INVALID, "frame: envelope of %zu bytes, payload at %zu of %zu", len, off, n);
    env = bulkhead__rpc__v1__envelope__unpack(&alloc, len, data + BH_FRAME_HEAD);
    if (env == NULL)
        return bh_err_set(err, BH_E_INVALID, "frame: the envelope does not parse");
    if (check_envelope(env, err) != 0)
        return err->code;
    *out = (struct bh_frame){.env = env, .payload = data + off, .payload_len = n - off};
    return 0;
}

static void write_head(uint8_t *p, const bh_envelope *env, size_t env_len, size_t off) {
    memcpy(p, "BH\1\0", 4);
    put_u16(p + 4, env_len);
    put_u16(p + 6, off);
    bulkhead__rpc__v1__envelope__pack(env, p + BH_FRAME_HEAD);
}

/* A frame with room for n bytes of payload; *out_payload is where they go. */
static struct bh_msg *build(const bh_envelope *env, size_t n, uint8_t **out_payload) {
    size_t env_len = bulkhead__rpc__v1__envelope__get_packed_size(env);
    size_t off = BH_FRAME_HEAD + env_len;
    struct bh_msg *m;

    if (env_len > BH_FRAME_MAX_ENVELOPE || n > BH_FRAME_MAX_CHUNK)
        return NULL;
    off = n == 0 ? off : (off + 7) & ~(size_t)7;
    m = bh_msg_new(off + n);
    if (m == NULL)
        return NULL;
    write_head(bh_msg_data(m), env, env_len, off);
    *out_payload = bh_msg_data(m) + off;
    return m;
}

struct bh_msg *bh_frame_build(const bh_envelope *env, const void *payload, size_t n) {
    uint8_t *at;
    struct bh_msg *m = build(env, n, &at);

    if (m != NULL && n > 0)
        memcpy(at, payload, n);
    return m;
}

struct bh_msg *bh_frame_build_message(const bh_envelope *env, const ProtobufCMessage *payload) {
    uint8_t *at;
    struct bh_msg *m = build(env, protobuf_c_message_get_packed_size(payload), &at);

    if (m != NULL)
        protobuf_c_message_pack(payload, at);
    return m;
}

struct bh_msg *bh_frame_reserve(size_t n, uint8_t **out_payload) {
    struct bh_msg *m = n > BH_FRAME_MAX_CHUNK ? NULL : bh_msg_new(BH_FRAME_RESERVE + n);

    if (m != NULL)
        *out_payload = bh_msg_data(m) + BH_FRAME_RESERVE;
    return m;
}

void bh_frame_fill(struct bh_msg *m, const bh_envelope *env) {
    size_t env_len = bulkhead__rpc__v1__envelope__get_packed_size(env);

    assert(env_len <= BH_FRAME_RESERVE - BH_FRAME_HEAD);
    write_head(bh_msg_data(m), env, env_len, BH_FRAME_RESERVE);
}
