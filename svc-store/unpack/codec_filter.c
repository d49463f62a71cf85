/*
 * codec_filter.c - bzip2 and xz through libarchive's filters, with its "raw" format and nothing else.
 *
 * Room: worker.  Only the one filter that the magic names is switched on, so no other parser of
 * libarchive is reached (CVE-2025-5914 and its like).
 */
#include <archive.h>
#include <archive_entry.h>

#include "unpack/codec.h"

static ssize_t pull(struct archive *a, void *arg, const void **out) {
    struct unp_stream *s = arg;
    (void)a;
    s->left = 0;
    if (!unp_stream_more(s))
        return 0;
    *out = s->next;
    return (ssize_t)s->left;
}

static int copy(struct unp_stream *s, struct archive *a, const char *name, struct bh_err *err) {
    for (;;) {
        size_t room = 0;
        unsigned char *to = unp_stream_room(s, &room, err);
        if (to == NULL)
            return err->code;
        la_ssize_t n = archive_read_data(a, to, room);
        if (n < 0)
            return unp_stream_bad(err, name, "it is not valid or cut off");
        if (n == 0)
            return 0;
        int rc = unp_stream_wrote(s, (size_t)n, err);
        if (rc != 0)
            return rc;
    }
}

int unp_archive_filter_run(struct unp_stream *s, enum unp_codec codec, struct bh_err *err) {
    struct archive *a = archive_read_new();
    struct archive_entry *entry = NULL;
    const char *name = unp_codec_name(codec);
    int rc = 0;
    if (a == NULL)
        return bh_err_set(err, BH_E_LIMIT, "%s: out of memory", name);
    if (codec == UNP_XZ)
        archive_read_support_filter_xz(a);
    else
        archive_read_support_filter_bzip2(a);
    archive_read_support_format_raw(a);
    archive_read_support_format_empty(a);
    if (archive_read_open(a, s, NULL, pull, NULL) != ARCHIVE_OK)
        rc = unp_stream_bad(err, name, "it is not valid");
    int ret = rc != 0 ? ARCHIVE_EOF : archive_read_next_header(a, &entry);
    int want = codec == UNP_XZ ? ARCHIVE_FILTER_XZ : ARCHIVE_FILTER_BZIP2;
    /* A filter that does not know the data lets it through as it is. */
    if (rc == 0 && archive_filter_code(a, 0) != want)
        rc = unp_stream_bad(err, name, "it is not valid");
    else if (ret != ARCHIVE_OK && ret != ARCHIVE_EOF)
        rc = unp_stream_bad(err, name, "it is not valid or cut off");
    else if (ret == ARCHIVE_OK)
        rc = copy(s, a, name, err);
    archive_read_free(a);
    return rc;
}
