/*
 * codec_gzip.c - gzip, all members of a file, with their checksums checked; ISA-L if there, else zlib.
 *
 * Room: worker.  Members are a loop, not a recursion (CVE-2022-30631).  ISA-L inflates about twice as fast as
 * zlib; both are held to the same results by tests/unit/unpack.
 */
#include <stdlib.h>
#include <string.h>

#include "unpack/codec.h"

/* Is there another member?  Zeros may pad the file. */
static bool next_member(struct unp_stream *s) {
    return unp_stream_more(s) && s->next[0] == 0x1f;
}

#ifdef BH_HAVE_ISAL

#include <isa-l/igzip_lib.h>

enum { FLAG_CRC = 2, FLAG_EXTRA = 4, FLAG_NAME = 8, FLAG_COMMENT = 16 };

/* -1 at the end. */
static int byte(struct unp_stream *s) {
    if (!unp_stream_more(s))
        return -1;
    s->left--;
    return *s->next++;
}

static bool skip_bytes(struct unp_stream *s, unsigned n) {
    while (n > 0 && byte(s) >= 0)
        n--;
    return n == 0;
}

static bool skip_text(struct unp_stream *s) {
    int c;
    do
        c = byte(s);
    while (c > 0);
    return c == 0;
}

static bool skip_extra(struct unp_stream *s) {
    int low = byte(s);
    int high = byte(s);
    return low >= 0 && high >= 0 && skip_bytes(s, (unsigned)(high << 8 | low));
}

/* RFC 1952.  Read here because ISA-L gives up on a header of more than 328 bytes that crosses a block. */
static int header(struct unp_stream *s, struct bh_err *err) {
    int first = byte(s);
    int second = byte(s);
    int method = byte(s);
    int flags = byte(s);
    if (flags < 0)
        return unp_stream_bad(err, "gzip", "it is cut off");
    if (first != 0x1f || second != 0x8b || method != 8 || (flags & 0xe0) != 0)
        return unp_stream_bad(err, "gzip", "it is not valid");
    if (!skip_bytes(s, 6) || ((flags & FLAG_EXTRA) != 0 && !skip_extra(s)) ||
        ((flags & FLAG_NAME) != 0 && !skip_text(s)) || ((flags & FLAG_COMMENT) != 0 && !skip_text(s)) ||
        ((flags & FLAG_CRC) != 0 && !skip_bytes(s, 2)))
        return unp_stream_bad(err, "gzip", "it is cut off");
    return 0;
}

static int step(struct unp_stream *s, struct inflate_state *z, struct bh_err *err) {
    size_t room = 0;
    unsigned char *to = unp_stream_room(s, &room, err);
    if (to == NULL)
        return err->code;
    z->next_in = (uint8_t *)s->next; /* not written to */
    z->avail_in = (uint32_t)s->left;
    z->next_out = to;
    z->avail_out = (uint32_t)room;
    int ret = isal_inflate(z);
    s->next = z->next_in;
    s->left = z->avail_in;
    if (ret == ISAL_INCORRECT_CHECKSUM)
        return unp_stream_bad(err, "gzip", "its checksum is wrong");
    if (ret != ISAL_DECOMP_OK)
        return unp_stream_bad(err, "gzip", "it is not valid");
    return unp_stream_wrote(s, room - z->avail_out, err);
}

static int member(struct unp_stream *s, struct inflate_state *z, struct bh_err *err) {
    int bad = header(s, err);
    if (bad != 0)
        return bad;
    isal_inflate_reset(z);
    z->crc_flag = ISAL_GZIP_NO_HDR_VER;
    while (z->block_state != ISAL_BLOCK_FINISH) {
        bool input = unp_stream_more(s);
        uint64_t before = s->total;
        int rc = step(s, z, err);
        if (rc != 0)
            return rc;
        if (!input && s->total == before && z->block_state != ISAL_BLOCK_FINISH)
            return unp_stream_bad(err, "gzip", "it is cut off");
    }
    return 0;
}

int unp_gzip_run(struct unp_stream *s, struct bh_err *err) {
    struct inflate_state *z = calloc(1, sizeof *z);
    if (z == NULL)
        return bh_err_set(err, BH_E_LIMIT, "gzip: out of memory");
    isal_inflate_init(z);
    int rc;
    do
        rc = member(s, z, err);
    while (rc == 0 && next_member(s));
    free(z);
    return rc != 0 ? rc : unp_stream_only_zeros(s, "gzip", err);
}

#else

#include <zlib.h>

static int step(struct unp_stream *s, z_stream *z, bool *done, struct bh_err *err) {
    size_t room = 0;
    unsigned char *to = unp_stream_room(s, &room, err);
    if (to == NULL)
        return err->code;
    z->next_in = (unsigned char *)s->next; /* not written to */
    z->avail_in = (uInt)s->left;
    z->next_out = to;
    z->avail_out = (uInt)room;
    int ret = inflate(z, Z_NO_FLUSH);
    s->next = z->next_in;
    s->left = z->avail_in;
    *done = ret == Z_STREAM_END;
    if (ret == Z_DATA_ERROR && z->msg != NULL && strstr(z->msg, "check") != NULL)
        return unp_stream_bad(err, "gzip", "its checksum is wrong");
    if (ret != Z_OK && ret != Z_STREAM_END && ret != Z_BUF_ERROR)
        return unp_stream_bad(err, "gzip", "it is not valid");
    return unp_stream_wrote(s, room - z->avail_out, err);
}

static int member(struct unp_stream *s, z_stream *z, struct bh_err *err) {
    bool done = false;
    inflateReset(z);
    while (!done) {
        bool input = unp_stream_more(s);
        uint64_t before = s->total;
        int rc = step(s, z, &done, err);
        if (rc != 0)
            return rc;
        if (!input && s->total == before && !done)
            return unp_stream_bad(err, "gzip", "it is cut off");
    }
    return 0;
}

int unp_gzip_run(struct unp_stream *s, struct bh_err *err) {
    z_stream z = {0};
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return bh_err_set(err, BH_E_LIMIT, "gzip: out of memory");
    int rc;
    do
        rc = member(s, &z, err);
    while (rc == 0 && next_member(s));
    inflateEnd(&z);
    return rc != 0 ? rc : unp_stream_only_zeros(s, "gzip", err);
}

#endif
