/*
 * test_codec.c - ISA-L and zlib held to the same results: whole, cut at every byte, damaged, many members.  bzip2 and
 * xz: the same inputs, one reader each.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>

#include "base/buf.h"
#include "unpack/codec.h"

int unp_gzip_run_zlib(struct unp_stream *s, struct bh_err *err); /* codec_gzip.c, compiled without ISA-L */

static uint32_t seed = 12345;
static uint32_t next_random(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

/* Text with repeats, so that there is something to compress. */
static void sample(unsigned char *to, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)(i > 300 && next_random() % 4 != 0 ? to[i - 1 - next_random() % 299] : next_random());
}

static void pack(struct bh_buf *out, const unsigned char *data, size_t n, int level, int strategy) {
    static unsigned char to[1 << 20];
    z_stream z = {.next_in = (unsigned char *)data, .avail_in = (uInt)n, .next_out = to, .avail_out = sizeof to};
    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 31, 8, strategy), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    bh_buf_add(out, to, sizeof to - z.avail_out);
    deflateEnd(&z);
}

typedef int run_fn(struct unp_stream *s, struct bh_err *err);

/* Blocks of `piece` bytes in; everything out.  All fits into the rings, so one thread does. */
static int run(run_fn *fn, const char *in, size_t n, size_t piece, struct bh_buf *out, struct bh_err *err) {
    struct unp_ring rings[2];
    struct unp_stream s = {.in = &rings[0], .out = &rings[1], .max = (uint64_t)1 << 20};
    size_t len;
    const unsigned char *p;
    unp_ring_init(&rings[0], 1);
    unp_ring_init(&rings[1], 1);
    if (n > piece * (UNP_RING_SLOTS - 1))
        piece = n / (UNP_RING_SLOTS - 1) + 1;
    for (size_t at = 0; at < n; at += piece) {
        size_t k = n - at < piece ? n - at : piece;
        memcpy(unp_ring_reserve(&rings[0]), in + at, k);
        unp_ring_commit(&rings[0], k);
    }
    unp_ring_end(&rings[0]);
    *err = (struct bh_err)BH_ERR_INIT;
    int rc = fn(&s, err);
    if (s.block != NULL && s.used > 0)
        unp_ring_commit(&rings[1], s.used);
    unp_ring_end(&rings[1]);
    bh_buf_reset(out);
    while ((p = unp_ring_next(&rings[1], 1, &len)) != NULL) {
        bh_buf_add(out, p, len);
        unp_ring_release(&rings[1], 1);
    }
    unp_ring_fini(&rings[0]);
    unp_ring_fini(&rings[1]);
    return rc;
}

static void both(const struct bh_buf *in, size_t n, size_t piece, bool same_output) {
    BH_SCOPE_BUF struct bh_buf a = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT;
    struct bh_err ea;
    struct bh_err eb;
    int ra = run(unp_gzip_run, in->data, n, piece, &a, &ea);
    int rb = run(unp_gzip_run_zlib, in->data, n, piece, &b, &eb);
    assert_int_equal(ra, rb);
    if (ra == 0 || same_output)
        assert_int_equal(a.len, b.len);
    if (ra == 0 && a.len > 0)
        assert_memory_equal(a.data, b.data, a.len);
}

static void whole(void **state) {
    static unsigned char data[600000];
    (void)state;
    sample(data, sizeof data);
    for (int level = 0; level <= 9; level += 3) {
        for (int strategy = Z_DEFAULT_STRATEGY; strategy <= Z_FIXED; strategy += 2) {
            BH_SCOPE_BUF struct bh_buf in = BH_BUF_INIT;
            pack(&in, data, sizeof data, level, strategy);
            both(&in, in.len, 60000, true);
            both(&in, in.len, 65536, true);
        }
    }
}

static void members(void **state) {
    static unsigned char data[5000];
    BH_SCOPE_BUF struct bh_buf in = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;
    struct bh_err err;
    size_t total = 0;
    (void)state;
    sample(data, sizeof data);
    for (int i = 0; i < 200; i++) {
        size_t n = next_random() % 300;
        pack(&in, data, n, i % 10, Z_DEFAULT_STRATEGY);
        total += n;
    }
    for (size_t piece = 1; piece < 100; piece += 3)
        both(&in, in.len, in.len / 15 + piece, true);
    assert_int_equal(run(unp_gzip_run, in.data, in.len, 5000, &out, &err), 0);
    assert_int_equal(out.len, total);
    bh_buf_add(&in, "\0\0\0\0\0", 5);
    both(&in, in.len, 5000, true);
    bh_buf_add(&in, "x", 1);
    both(&in, in.len, 5000, true);
    assert_int_equal(run(unp_gzip_run, in.data, in.len, 5000, &out, &err), BH_E_INVALID);
}

static void cut(void **state) {
    static unsigned char data[900];
    BH_SCOPE_BUF struct bh_buf in = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;
    struct bh_err err;
    (void)state;
    sample(data, sizeof data);
    pack(&in, data, sizeof data, 6, Z_DEFAULT_STRATEGY);
    for (size_t n = 2; n < in.len; n++) {
        both(&in, n, 50 + n % 50, false);
        assert_int_equal(run(unp_gzip_run, in.data, n, 70, &out, &err), BH_E_INVALID);
        assert_non_null(strstr(err.msg, "cut off"));
    }
}

static void damaged(void **state) {
    static unsigned char data[3000];
    BH_SCOPE_BUF struct bh_buf in = BH_BUF_INIT;
    int refused = 0;
    (void)state;
    sample(data, sizeof data);
    pack(&in, data, sizeof data, 6, Z_DEFAULT_STRATEGY);
    for (size_t at = 10; at < in.len; at++) {
        BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;
        struct bh_err err;
        in.data[at] ^= (char)(1 << at % 8);
        both(&in, in.len, 500, false);
        refused += run(unp_gzip_run, in.data, in.len, 500, &out, &err) != 0;
        in.data[at] ^= (char)(1 << at % 8);
    }
    assert_int_equal(refused, in.len - 10);
}

static void bomb(void **state) {
    static unsigned char zeros[4 << 20];
    BH_SCOPE_BUF struct bh_buf in = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;
    struct bh_err err;
    (void)state;
    pack(&in, zeros, sizeof zeros, 9, Z_DEFAULT_STRATEGY);
    assert_int_equal(run(unp_gzip_run, in.data, in.len, 4096, &out, &err), BH_E_LIMIT);
    assert_non_null(strstr(err.msg, "limits.unpacked"));
}

/* ---- bzip2 and xz -------------------------------------------------------------------------- */

static void pack_bzip2(struct bh_buf *out, const unsigned char *data, size_t n) {
    static char to[1 << 20];
    unsigned len = sizeof to;
    assert_int_equal(BZ2_bzBuffToBuffCompress(to, &len, (char *)data, (unsigned)n, 9, 0, 0), BZ_OK);
    bh_buf_add(out, to, len);
}

static void pack_xz(struct bh_buf *out, const unsigned char *data, size_t n) {
    static unsigned char to[1 << 20];
    size_t len = 0;
    assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, data, n, to, &len, sizeof to), LZMA_OK);
    bh_buf_add(out, to, len);
}

static void stream_of(run_fn *fn, void (*packer)(struct bh_buf *, const unsigned char *, size_t)) {
    static unsigned char data[300000];
    BH_SCOPE_BUF struct bh_buf in = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf two = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;
    struct bh_err err;
    sample(data, sizeof data);
    packer(&in, data, sizeof data);
    for (size_t piece = 40000; piece <= 65536; piece += 25536) {
        assert_int_equal(run(fn, in.data, in.len, piece, &out, &err), 0);
        assert_int_equal(out.len, sizeof data);
        assert_memory_equal(out.data, data, sizeof data);
    }
    packer(&two, data, 1000);
    packer(&two, data, 0);
    packer(&two, data + 1000, 2000);
    assert_int_equal(run(fn, two.data, two.len, 7, &out, &err), 0);
    assert_int_equal(out.len, 3000);
    assert_memory_equal(out.data, data, 3000);
    bh_buf_add(&two, "\0\0\0\0", 4);
    assert_int_equal(run(fn, two.data, two.len, 4000, &out, &err), 0);
    bh_buf_add(&two, "more", 4);
    assert_int_equal(run(fn, two.data, two.len, 4000, &out, &err), BH_E_INVALID);
    bh_buf_reset(&in);
    packer(&in, data, 1000);
    for (size_t n = 1; n < in.len; n++) {
        assert_int_equal(run(fn, in.data, n, 4000, &out, &err), BH_E_INVALID);
        assert_true(err.msg[0] != '\0');
    }
    in.data[in.len / 2] ^= 0x55;
    assert_int_equal(run(fn, in.data, in.len, 4000, &out, &err), BH_E_INVALID);
}

static void bzip2_streams(void **state) {
    (void)state;
    stream_of(unp_bzip2_run, pack_bzip2);
}

static void xz_streams(void **state) {
    (void)state;
    stream_of(unp_xz_run, pack_xz);
}

static void sniffing(void **state) {
    (void)state;
    assert_int_equal(unp_codec_sniff((const unsigned char *)"\x1f\x8b\x08", 3), UNP_GZIP);
    assert_int_equal(unp_codec_sniff((const unsigned char *)"\x28\xb5\x2f\xfd", 4), UNP_ZSTD);
    assert_int_equal(unp_codec_sniff((const unsigned char *)"\x5f\x2a\x4d\x18", 4), UNP_ZSTD);
    assert_int_equal(unp_codec_sniff((const unsigned char *)"\xfd\x37zXZ\0", 6), UNP_XZ);
    assert_int_equal(unp_codec_sniff((const unsigned char *)"BZh9", 4), UNP_BZIP2);
    assert_int_equal(unp_codec_sniff((const unsigned char *)"BZh0", 4), UNP_PLAIN);
    assert_int_equal(unp_codec_sniff((const unsigned char *)"", 0), UNP_PLAIN);
    assert_int_equal(unp_codec_sniff((const unsigned char *)"\x1f", 1), UNP_PLAIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),         cmocka_unit_test(members),    cmocka_unit_test(cut),
        cmocka_unit_test(damaged),       cmocka_unit_test(bomb),       cmocka_unit_test(sniffing),
        cmocka_unit_test(bzip2_streams), cmocka_unit_test(xz_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
