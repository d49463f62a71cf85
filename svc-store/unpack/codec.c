/*
 * codec.c - which codec it is, and the ends that all of them share.
 *
 * Room: worker.  Trusts nothing; a media type is never asked, the bytes decide.
 */
#include "unpack/codec.h"

#include <string.h>

#include "unpack/tar_header.h"
#include "unpack/limit.h"

enum unp_codec unp_codec_sniff(const unsigned char *d, size_t n) {
    if (n >= UNP_TAR_BLK && unp_tar_checksum_ok(d))
        return UNP_PLAIN; /* a file name may start with any letters */
    if (n >= 2 && d[0] == 0x1f && d[1] == 0x8b)
        return UNP_GZIP;
    if (n >= 4 && memcmp(d, "\x28\xb5\x2f\xfd", 4) == 0)
        return UNP_ZSTD;
    if (n >= 4 && (d[0] & 0xf0) == 0x50 && memcmp(d + 1, "\x2a\x4d\x18", 3) == 0)
        return UNP_ZSTD; /* a skippable frame */
    if (n >= 6 && memcmp(d, "\xfd\x37zXZ", 6) == 0)
        return UNP_XZ;
    if (n >= 4 && memcmp(d, "BZh", 3) == 0 && d[3] >= '1' && d[3] <= '9')
        return UNP_BZIP2;
    return UNP_PLAIN;
}

const char *unp_codec_name(enum unp_codec codec) {
    static const char *const names[] = {"?", "tar", "gzip", "zstd", "bzip2", "xz"};
    return names[codec];
}

int unp_stream_bad(struct bh_err *err, const char *what, const char *why) {
    bh_err_set(err, BH_E_INVALID, "%s data: %s", what, why);
    bh_err_hint(err, "the file is damaged or was cut off: fetch or make it again");
    return bh_err_reason(err, "invalid-compression");
}

bool unp_stream_more(struct unp_stream *s) {
    while (s->left == 0) {
        if (s->holds)
            unp_ring_release(s->in, 1);
        s->next = unp_ring_next(s->in, 1, &s->left);
        s->holds = s->next != NULL;
        if (s->next == NULL) {
            s->next = (const unsigned char *)""; /* decoders add 0 to it */
            return false;
        }
    }
    return true;
}

unsigned char *unp_stream_room(struct unp_stream *s, size_t *out_n, struct bh_err *err) {
    if (s->block == NULL) {
        s->block = unp_ring_reserve(s->out);
        s->used = 0;
    }
    if (s->block == NULL) {
        if (unp_ring_aborted(s->out))
            bh_err_set(err, BH_E_CANCELLED, "stopped");
        else
            bh_err_set(err, BH_E_LIMIT, "out of memory");
        return NULL;
    }
    *out_n = UNP_RING_BLOCK - s->used;
    return s->block + s->used;
}

int unp_stream_wrote(struct unp_stream *s, size_t n, struct bh_err *err) {
    s->used += n;
    s->total += n;
    if (s->total > s->max) {
        bh_err_set(err, BH_E_LIMIT, "the uncompressed data is too large, limits.unpacked is %llu",
                   (unsigned long long)s->max);
        return unp_limit(err, "limits.unpacked");
    }
    if (s->used == UNP_RING_BLOCK) {
        unp_ring_commit(s->out, s->used);
        s->block = NULL;
    }
    return 0;
}

int unp_stream_only_zeros(struct unp_stream *s, const char *what, struct bh_err *err) {
    while (unp_stream_more(s)) {
        for (size_t i = 0; i < s->left; i++)
            if (s->next[i] != 0)
                return unp_stream_bad(err, what, "there are other bytes behind its end");
        s->left = 0;
    }
    return 0;
}

int unp_codec_run(enum unp_codec codec, struct unp_ring *in, struct unp_ring *out, uint64_t max_out,
                  struct bh_err *err) {
    struct unp_stream s = {.in = in, .out = out, .max = max_out};
    int rc;
    if (codec == UNP_GZIP)
        rc = unp_gzip_run(&s, err);
    else if (codec == UNP_ZSTD)
        rc = unp_zstd_run(&s, err);
    else
        rc = codec == UNP_XZ ? unp_xz_run(&s, err) : unp_bzip2_run(&s, err);
    if (unp_ring_aborted(in) || unp_ring_aborted(out))
        return bh_err_set(err, BH_E_CANCELLED, "stopped"); /* whoever aborted has the reason */
    if (rc != 0)
        return rc;
    if (s.block != NULL && s.used > 0)
        unp_ring_commit(out, s.used);
    unp_ring_end(out);
    return 0;
}
