/*
 * codec_xz.c - xz by liblzma: streams one after the other, with the padding that the format allows between them.
 *
 * Room: worker.  A stream may ask for any dictionary; what `xz -9` writes fits into the memory it gets.
 */
#include <lzma.h>

#include "unpack/codec.h"

#define MEMORY_MAX ((uint64_t)128 << 20)

static const char *why(lzma_ret ret) {
    switch (ret) {
    case LZMA_MEM_ERROR:
    case LZMA_MEMLIMIT_ERROR:
        return "it asks for too much memory";
    case LZMA_BUF_ERROR:
        return "it is cut off";
    default:
        return "it is not valid";
    }
}

static int streams(struct unp_stream *s, lzma_stream *z, struct bh_err *err) {
    lzma_ret ret = LZMA_OK;
    while (ret != LZMA_STREAM_END) {
        size_t room = 0;
        bool input = unp_stream_more(s);
        unsigned char *to = unp_stream_room(s, &room, err);
        if (to == NULL)
            return err->code;
        z->next_in = s->next;
        z->avail_in = input ? s->left : 0;
        z->next_out = to;
        z->avail_out = room;
        ret = lzma_code(z, input ? LZMA_RUN : LZMA_FINISH);
        if (input) {
            s->next = z->next_in;
            s->left = z->avail_in;
        }
        if (ret != LZMA_OK && ret != LZMA_STREAM_END)
            return unp_stream_bad(err, "xz", why(ret));
        int rc = unp_stream_wrote(s, room - z->avail_out, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int unp_xz_run(struct unp_stream *s, struct bh_err *err) {
    lzma_stream z = LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&z, MEMORY_MAX, LZMA_CONCATENATED) != LZMA_OK)
        return bh_err_set(err, BH_E_LIMIT, "xz: out of memory");
    int rc = streams(s, &z, err);
    lzma_end(&z);
    return rc;
}
