/*
 * encoder.c - see encoder.h: zlib, ISA-L where it is there (its levels are 1 to 3), zstd.
 *
 * Room: worker.  It compresses the engine's own layers; what is in them is foreign, but only copied.
 */
#include "unpack/encoder.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#ifdef BH_HAVE_ISAL
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#endif

#define GZIP_BLOCK   ((size_t)1 << 20)
#define ZSTD_BLOCK   ((size_t)4 << 20)
#define GZIP_DEFAULT 2
#define GZIP_MAX     9
#define ZSTD_DEFAULT 3
#define ZSTD_MAX     19
#define ISAL_MAX     3

struct unp_encoder {
    enum unp_codec codec;
    int level;
    ZSTD_CCtx *zstd;
    z_stream zlib;
    bool has_zlib;
#ifdef BH_HAVE_ISAL
    struct isal_zstream isal;
    uint8_t *level_buf;
    uint32_t level_size;
#endif
};

size_t unp_encoder_block_size(enum unp_codec codec) {
    return codec == UNP_ZSTD ? ZSTD_BLOCK : GZIP_BLOCK;
}

size_t unp_encoder_bound(enum unp_codec codec) {
    return codec == UNP_ZSTD ? ZSTD_compressBound(ZSTD_BLOCK) : GZIP_BLOCK + GZIP_BLOCK / 8 + 4096;
}

/* ---- zstd ---------------------------------------------------------------------------------- */

static int zstd_open(struct unp_encoder *e, struct bh_err *err) {
    e->zstd = ZSTD_createCCtx();
    if (e->zstd == NULL)
        return bh_err_set(err, BH_E_LIMIT, "zstd: out of memory");
    ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_compressionLevel, e->level);
    ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_checksumFlag, 1);
    return 0;
}

static int zstd_block(struct unp_encoder *e, const void *in, size_t n, void *out, size_t *out_n, struct bh_err *err) {
    size_t r = ZSTD_compress2(e->zstd, out, unp_encoder_bound(UNP_ZSTD), in, n);
    if (ZSTD_isError(r))
        return bh_err_set(err, BH_E_LIMIT, "zstd: %s", ZSTD_getErrorName(r));
    *out_n = r;
    return 0;
}

/* ---- gzip ---------------------------------------------------------------------------------- */

static int zlib_open(struct unp_encoder *e, struct bh_err *err) {
    if (deflateInit2(&e->zlib, e->level, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return bh_err_set(err, BH_E_LIMIT, "gzip: out of memory");
    e->has_zlib = true;
    return 0;
}

static int zlib_block(struct unp_encoder *e, const void *in, size_t n, void *out, size_t *out_n, struct bh_err *err) {
    deflateReset(&e->zlib);
    e->zlib.next_in = (Bytef *)in; /* not written to */
    e->zlib.avail_in = (uInt)n;
    e->zlib.next_out = out;
    e->zlib.avail_out = (uInt)unp_encoder_bound(UNP_GZIP);
    if (deflate(&e->zlib, Z_FULL_FLUSH) != Z_OK || e->zlib.avail_in != 0 || e->zlib.avail_out == 0)
        return bh_err_set(err, BH_E_INTERNAL, "gzip: a block became larger than it can");
    *out_n = unp_encoder_bound(UNP_GZIP) - e->zlib.avail_out;
    return 0;
}

#ifdef BH_HAVE_ISAL

static const uint32_t level_sizes[ISAL_MAX + 1] = {ISAL_DEF_LVL0_DEFAULT, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT,
                                                   ISAL_DEF_LVL3_DEFAULT};

static int gzip_open(struct unp_encoder *e, struct bh_err *err) {
    if (e->level > ISAL_MAX)
        return zlib_open(e, err);
    e->level_size = level_sizes[e->level];
    e->level_buf = malloc(e->level_size + 1);
    return e->level_buf != NULL ? 0 : bh_err_set(err, BH_E_LIMIT, "gzip: out of memory");
}

static int gzip_block(struct unp_encoder *e, const void *in, size_t n, void *out, size_t *out_n, struct bh_err *err) {
    struct isal_zstream *z = &e->isal;
    if (e->level > ISAL_MAX)
        return zlib_block(e, in, n, out, out_n, err);
    memset(e->level_buf, 0, e->level_size); /* what the block before has left must not show */
    isal_deflate_init(z);
    z->level = (uint32_t)e->level;
    z->level_buf = e->level_buf;
    z->level_buf_size = e->level_size;
    z->flush = FULL_FLUSH;
    z->gzip_flag = IGZIP_DEFLATE;
    z->next_in = (uint8_t *)in; /* not written to */
    z->avail_in = (uint32_t)n;
    z->next_out = out;
    z->avail_out = (uint32_t)unp_encoder_bound(UNP_GZIP);
    if (isal_deflate(z) != COMP_OK || z->avail_in != 0 || z->avail_out == 0)
        return bh_err_set(err, BH_E_INTERNAL, "gzip: a block became larger than it can");
    *out_n = unp_encoder_bound(UNP_GZIP) - z->avail_out;
    return 0;
}

static uint32_t crc_of(const void *in, size_t n) {
    return crc32_gzip_refl(0, in, n);
}

#else

static int gzip_open(struct unp_encoder *e, struct bh_err *err) {
    return zlib_open(e, err);
}
static int gzip_block(struct unp_encoder *e, const void *in, size_t n, void *out, size_t *out_n, struct bh_err *err) {
    return zlib_block(e, in, n, out, out_n, err);
}
static uint32_t crc_of(const void *in, size_t n) {
    return (uint32_t)crc32_z(0, in, n);
}

#endif

/* ---- both ---------------------------------------------------------------------------------- */

static int level_of(enum unp_codec codec, unsigned level) {
    int max = codec == UNP_ZSTD ? ZSTD_MAX : GZIP_MAX;
    if (level == 0)
        return codec == UNP_ZSTD ? ZSTD_DEFAULT : GZIP_DEFAULT;
    return level > (unsigned)max ? max : (int)level;
}

struct unp_encoder *unp_encoder_new(enum unp_codec codec, unsigned level, struct bh_err *err) {
    struct unp_encoder *e = calloc(1, sizeof *e);
    if (e == NULL) {
        bh_err_set(err, BH_E_LIMIT, "out of memory");
        return NULL;
    }
    e->codec = codec;
    e->level = level_of(codec, level);
    if ((codec == UNP_ZSTD ? zstd_open(e, err) : gzip_open(e, err)) != 0) {
        unp_encoder_free(e);
        return NULL;
    }
    return e;
}

void unp_encoder_free(struct unp_encoder *e) {
    if (e == NULL)
        return;
    ZSTD_freeCCtx(e->zstd);
    if (e->has_zlib)
        deflateEnd(&e->zlib);
#ifdef BH_HAVE_ISAL
    free(e->level_buf);
#endif
    free(e);
}

int unp_encoder_block(struct unp_encoder *e, const void *in, size_t n, void *out, size_t *out_n, uint32_t *out_crc,
                      struct bh_err *err) {
    *out_crc = 0;
    if (e->codec == UNP_ZSTD)
        return zstd_block(e, in, n, out, out_n, err);
    *out_crc = crc_of(in, n);
    return gzip_block(e, in, n, out, out_n, err);
}

static void put_le32(unsigned char *to, uint32_t v) {
    for (unsigned i = 0; i < 4; i++)
        to[i] = (unsigned char)(v >> (8 * i));
}

/* RFC 1952: no name, no time, no system. */
size_t unp_encoder_head(enum unp_codec codec, unsigned char out[UNP_ENCODER_FRAME]) {
    static const unsigned char head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    if (codec == UNP_ZSTD)
        return 0;
    memcpy(out, head, sizeof head);
    return sizeof head;
}

/* An empty last block, CRC, length. */
size_t unp_encoder_tail(enum unp_codec codec, uint32_t crc, uint64_t total, unsigned char out[UNP_ENCODER_FRAME]) {
    if (codec == UNP_ZSTD)
        return 0;
    out[0] = 0x03;
    out[1] = 0x00;
    put_le32(out + 2, crc);
    put_le32(out + 6, (uint32_t)total);
    return 10;
}

uint32_t unp_encoder_crc(uint32_t a, uint32_t b, size_t n) {
    return (uint32_t)crc32_combine(a, b, (z_off_t)n);
}
