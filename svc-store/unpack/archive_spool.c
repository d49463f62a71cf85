/*
 * archive_spool.c - source -> inflate -> spool file, in three threads.
 *
 * Room: worker.  Trusts nothing; the size of the spool is limited by max_unpacked.
 */
#include "unpack/archive_spool.h"

#include <errno.h>
#include <string.h>

#include "base/fdio.h"
#include "unpack/crew.h"
#include "unpack/source.h"

struct spool {
    const struct unp_fds *fds;
    const struct bh_job_params *params;
    enum unp_codec codec;
    struct unp_ring in;
    struct unp_ring out;
    struct bh_err inflate_err;
    struct bh_err write_err;
    uint64_t at; /* where in the file it starts */
    uint64_t size;
};

static void fail(struct spool *s) {
    unp_ring_abort(&s->in);
    unp_ring_abort(&s->out);
}

static void inflate_all(void *arg) {
    struct spool *s = arg;
    if (unp_codec_run(s->codec, &s->in, &s->out, s->params->max_unpacked, &s->inflate_err) != 0)
        fail(s);
}

static void write_all(void *arg) {
    struct spool *s = arg;
    const unsigned char *p;
    size_t n;
    while ((p = unp_ring_next(&s->out, 1, &n)) != NULL) {
        if (bh_pwrite_all(s->fds->out, p, n, (off_t)(s->at + s->size)) != 0) {
            bh_err_errno(&s->write_err, errno, "write of the uncompressed archive");
            fail(s);
            return;
        }
        s->size += n;
        unp_ring_release(&s->out, 1);
    }
}

static int read_all(struct spool *s, struct unp_source *source, struct bh_err *err) {
    for (;;) {
        size_t n = 0;
        unsigned char *block = unp_ring_reserve(&s->in);
        if (block == NULL)
            return bh_err_set(err, BH_E_CANCELLED, "stopped");
        int rc = unp_source_read(source, block, UNP_RING_BLOCK, &n, err);
        if (rc != 0 || n == 0)
            return rc;
        unp_ring_commit(&s->in, n);
    }
}

static int inflate_source(struct spool *s, struct bh_err *err) {
    struct unp_source source;
    int rc = unp_source_open(&source, s->fds->source, s->params->offset, s->params->size, err);
    if (rc != 0)
        return rc;
    unp_crew_run(0, inflate_all, s);
    unp_crew_run(1, write_all, s);
    rc = read_all(s, &source, err);
    if (rc == 0)
        unp_ring_end(&s->in);
    else
        fail(s);
    unp_crew_wait(0);
    unp_crew_wait(1);
    if (rc != 0 && rc != BH_E_CANCELLED)
        return rc;
    const struct bh_err *first = s->write_err.code != 0 ? &s->write_err : &s->inflate_err;
    if (first->code != 0)
        *err = *first;
    return first->code != 0 ? first->code : rc;
}

int unp_spool(const struct unp_fds *fds, const struct bh_job_params *p, uint64_t at, enum unp_codec *out_codec,
              uint64_t *out_size, struct bh_err *err) {
    static struct spool spool;
    unsigned char first[512];
    struct spool *s = &spool;
    ssize_t n = bh_pread_full(fds->source, first, sizeof first, (off_t)p->offset);
    if (n < 0)
        return bh_err_errno(err, errno, "read of the archive");
    *out_codec = unp_codec_sniff(first, (size_t)n);
    if (*out_codec == UNP_PLAIN)
        return 0;
    memset(s, 0, sizeof *s);
    s->fds = fds;
    s->params = p;
    s->at = at;
    s->codec = *out_codec;
    unp_ring_init(&s->in, 1);
    unp_ring_init(&s->out, 1);
    int rc = inflate_source(s, err);
    *out_size = s->size;
    unp_ring_fini(&s->in);
    unp_ring_fini(&s->out);
    return rc;
}
