/*
 * source.c - see source.h.
 *
 * Room: worker.  Never seeks a shared descriptor: a file is read by offset only.
 */
#include "unpack/source.h"

#include <errno.h>
#include <unistd.h>

#include "base/fdio.h"
#include "unpack/jobs.h"
#include "unpack/limit.h"

int unp_source_open(struct unp_source *s, int fd, uint64_t offset, uint64_t size, struct bh_err *err) {
    *s = (struct unp_source){.fd = fd, .at = offset, .left = size, .sized = size != BH_JOB_TO_END};
    if (lseek(fd, 0, SEEK_CUR) < 0) {
        if (errno != ESPIPE)
            return bh_err_errno(err, errno, "worker: its source");
        s->pipe = true;
    }
    return 0;
}

static int check_end(struct unp_source *s, size_t got, size_t want, struct bh_err *err) {
    char more;
    if (s->sized && got < want) {
        bh_err_set(err, BH_E_INVALID, "the data ends %llu bytes too early", (unsigned long long)s->left);
        return bh_err_reason(err, s->pipe ? "short" : "cut-off");
    }
    if (s->sized && s->exact && s->left == 0 && s->pipe && bh_read_full(s->fd, &more, 1) == 1) {
        bh_err_set(err, BH_E_INVALID, "there is more data than its descriptor says");
        return bh_err_reason(err, "size-mismatch");
    }
    return 0;
}

int unp_source_read(struct unp_source *s, void *to, size_t n, size_t *out_n, struct bh_err *err) {
    if (s->pull != NULL) {
        int rc = s->pull(s->arg, to, n, out_n, err);
        s->read += rc == 0 ? *out_n : 0;
        return rc;
    }
    size_t want = s->left < n ? (size_t)s->left : n;
    ssize_t got = s->pipe ? bh_read_full(s->fd, to, want) : bh_pread_full(s->fd, to, want, (off_t)s->at);
    if (got < 0)
        return bh_err_errno(err, errno, "read of the data");
    *out_n = (size_t)got;
    s->at += (uint64_t)got;
    s->read += (uint64_t)got;
    if (s->left != UINT64_MAX)
        s->left -= (uint64_t)got;
    return check_end(s, (size_t)got, want, err);
}

int unp_source_whole(struct unp_source *s, uint64_t max, const char *what, struct bh_buf *out, struct bh_err *err) {
    bh_buf_init(out, (size_t)max + 65537);
    for (;;) {
        size_t n = 0;
        char *to = bh_buf_room(out, 65536);
        if (to == NULL)
            return bh_err_set(err, BH_E_LIMIT, "%s: out of memory", what);
        int rc = unp_source_read(s, to, 65536, &n, err);
        if (rc != 0)
            return bh_err_prefix(err, "%s", what);
        bh_buf_grew(out, n);
        if (out->len > max) {
            bh_err_set(err, BH_E_LIMIT, "%s: too long, limits.document is %llu", what, (unsigned long long)max);
            return unp_limit(err, "limits.document");
        }
        if (n == 0)
            return 0;
    }
}
