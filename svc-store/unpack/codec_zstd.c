/*
 * codec_zstd.c - zstd frames, one after the other, skippable ones passed over.
 *
 * Room: worker.  A frame may ask for a window of any size; 128 MiB is the most it gets, which is what
 * `zstd --long` writes.
 */
#include <zstd.h>

#include "unpack/codec.h"

#define WINDOW_LOG_MAX 27

static int step(struct unp_stream *s, ZSTD_DCtx *z, size_t *hint, struct bh_err *err) {
    size_t room = 0;
    unsigned char *to = unp_stream_room(s, &room, err);
    if (to == NULL)
        return err->code;
    ZSTD_inBuffer in = {s->next, s->left, 0};
    ZSTD_outBuffer out = {to, room, 0};
    *hint = ZSTD_decompressStream(z, &out, &in);
    s->next += in.pos;
    s->left -= in.pos;
    if (ZSTD_isError(*hint))
        return unp_stream_bad(err, "zstd", ZSTD_getErrorName(*hint));
    return unp_stream_wrote(s, out.pos, err);
}

static int frames(struct unp_stream *s, ZSTD_DCtx *z, struct bh_err *err) {
    size_t hint = 0; /* 0: between frames */
    for (;;) {
        bool input = unp_stream_more(s);
        uint64_t before = s->total;
        if (!input && hint == 0)
            return 0;
        int rc = step(s, z, &hint, err);
        if (rc != 0)
            return rc;
        if (!input && s->total == before && hint != 0)
            return unp_stream_bad(err, "zstd", "it is cut off");
    }
}

int unp_zstd_run(struct unp_stream *s, struct bh_err *err) {
    ZSTD_DCtx *z = ZSTD_createDCtx();
    if (z == NULL)
        return bh_err_set(err, BH_E_LIMIT, "zstd: out of memory");
    ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    int rc = frames(s, z, err);
    ZSTD_freeDCtx(z);
    return rc;
}
