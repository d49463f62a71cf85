/*
 * codec_bzip2.c - bzip2 by libbz2: streams one after the other, as parallel compressors write them.
 *
 * Room: worker.
 */
#include <bzlib.h>

#include "unpack/codec.h"

static const char *why(int ret) {
    return ret == BZ_MEM_ERROR ? "it asks for too much memory" : "it is not valid";
}

/* One stream to its end. */
static int stream(struct unp_stream *s, bz_stream *z, struct bh_err *err) {
    int ret = BZ_OK;
    while (ret != BZ_STREAM_END) {
        size_t room = 0;
        bool input = unp_stream_more(s);
        unsigned char *to = unp_stream_room(s, &room, err);
        if (to == NULL)
            return err->code;
        z->next_in = (char *)s->next;
        z->avail_in = input ? (unsigned)s->left : 0;
        z->next_out = (char *)to;
        z->avail_out = (unsigned)room;
        ret = BZ2_bzDecompress(z);
        if (ret != BZ_OK && ret != BZ_STREAM_END)
            return unp_stream_bad(err, "bzip2", why(ret));
        if (input) {
            s->next = (const unsigned char *)z->next_in;
            s->left = z->avail_in;
        }
        int rc = unp_stream_wrote(s, room - z->avail_out, err);
        if (rc != 0)
            return rc;
        if (!input && ret == BZ_OK && z->avail_out == room)
            return unp_stream_bad(err, "bzip2", "it is cut off");
    }
    return 0;
}

int unp_bzip2_run(struct unp_stream *s, struct bh_err *err) {
    int rc = 0;
    do {
        bz_stream z = {.next_in = NULL};
        if (BZ2_bzDecompressInit(&z, 0, 0) != BZ_OK)
            return bh_err_set(err, BH_E_LIMIT, "bzip2: out of memory");
        rc = stream(s, &z, err);
        BZ2_bzDecompressEnd(&z);
    } while (rc == 0 && unp_stream_more(s) && *s->next == 'B');
    return rc != 0 ? rc : unp_stream_only_zeros(s, "bzip2", err);
}
