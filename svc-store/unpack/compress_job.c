/*
 * compress_job.c - the tar of a layer file, compressed by several threads, always to the same bytes.
 *
 * Room: worker.  Each thread takes the next block, reads it by offset and compresses it; this thread
 * hashes and writes the blocks in order.  At most SLOTS blocks are under way.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdio.h"
#include "oci/digest.h"
#include "unpack/crew.h"
#include "unpack/encoder.h"
#include "unpack/job.h"
#include "unpack/result_pb.h"
#include "unpack/writeback.h"

#define SLOTS 8u
/* A thread of a high level of zstd takes some 80 MB. */
#define LEVEL_HIGH 13u

struct slot {
    unsigned char *in;
    unsigned char *out;
    size_t n;
    size_t n_out;
    uint32_t crc;
    bool done;
};

struct compress {
    const struct unp_fds *fds;
    const struct bh_job_params *params;
    enum unp_codec codec;
    size_t block;
    uint64_t blocks;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t next;    /* to be taken */
    uint64_t written; /* so many are done with */
    bool failed;
    struct bh_err err;
    struct slot slot[SLOTS];
};

/* ---- the threads --------------------------------------------------------------------------- */

static void fail(struct compress *c, const struct bh_err *err) {
    pthread_mutex_lock(&c->lock);
    if (!c->failed)
        c->err = *err;
    c->failed = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* False when there is nothing more to do. */
static bool take(struct compress *c, uint64_t *out) {
    bool got = false;
    pthread_mutex_lock(&c->lock);
    while (!c->failed && c->next < c->blocks && c->next >= c->written + SLOTS)
        pthread_cond_wait(&c->changed, &c->lock);
    if (!c->failed && c->next < c->blocks) {
        *out = c->next++;
        got = true;
    }
    pthread_mutex_unlock(&c->lock);
    return got;
}

static int read_block(struct compress *c, uint64_t i, struct slot *s, struct bh_err *err) {
    uint64_t at = i * c->block;
    uint64_t left = c->params->size - at;
    s->n = left < c->block ? (size_t)left : c->block;
    if (s->in == NULL)
        s->in = malloc(c->block);
    if (s->out == NULL)
        s->out = malloc(unp_encoder_bound(c->codec));
    if (s->in == NULL || s->out == NULL)
        return bh_err_set(err, BH_E_LIMIT, "out of memory");
    ssize_t got = bh_pread_full(c->fds->source, s->in, s->n, (off_t)(c->params->offset + at));
    if (got < 0)
        return bh_err_errno(err, errno, "read of the layer");
    if ((size_t)got < s->n)
        return bh_err_set(err, BH_E_DATA_LOSS, "the layer file is shorter than it should be");
    return 0;
}

static void work(void *arg) {
    struct compress *c = arg;
    struct bh_err err = BH_ERR_INIT;
    struct unp_encoder *e = unp_encoder_new(c->codec, c->params->level, &err);
    uint64_t i;
    while (err.code == 0 && take(c, &i)) {
        struct slot *s = &c->slot[i % SLOTS];
        if (read_block(c, i, s, &err) != 0 || unp_encoder_block(e, s->in, s->n, s->out, &s->n_out, &s->crc, &err) != 0)
            break;
        pthread_mutex_lock(&c->lock);
        s->done = true;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
    }
    if (err.code != 0)
        fail(c, &err);
    unp_encoder_free(e);
}

/* ---- writing ------------------------------------------------------------------------------- */

struct output {
    int fd;
    uint64_t at;
    struct bh_hash hash;
    uint32_t crc;
};

static int put(struct output *o, const void *data, size_t n, struct bh_err *err) {
    if (n == 0)
        return 0;
    bh_sha256_update(&o->hash, data, n);
    if (bh_pwrite_all(o->fd, data, n, (off_t)o->at) != 0)
        return bh_err_errno(err, errno, "write of the compressed layer");
    unp_writeback(o->fd, 0, o->at, n);
    o->at += n;
    return 0;
}

/* NULL when a thread has failed. */
static struct slot *wait_for(struct compress *c, uint64_t i) {
    struct slot *s = &c->slot[i % SLOTS];
    pthread_mutex_lock(&c->lock);
    while (!c->failed && !s->done)
        pthread_cond_wait(&c->changed, &c->lock);
    bool failed = c->failed;
    pthread_mutex_unlock(&c->lock);
    return failed ? NULL : s;
}

static void give_back(struct compress *c, struct slot *s) {
    pthread_mutex_lock(&c->lock);
    s->done = false;
    c->written++;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void tell_progress(const struct compress *c, uint64_t i) {
    uint64_t done = (i + 1) * c->block;
    if (done > c->params->size)
        done = c->params->size;
    (void)bh_pwrite_all(c->fds->blob, &done, sizeof done, 0); /* nothing depends on it */
}

static int put_blocks(struct compress *c, struct output *o, struct bh_err *err) {
    unsigned char frame[UNP_ENCODER_FRAME];
    int rc = put(o, frame, unp_encoder_head(c->codec, frame), err);
    for (uint64_t i = 0; rc == 0 && i < c->blocks; i++) {
        struct slot *s = wait_for(c, i);
        if (s == NULL)
            return 0; /* the thread has the reason */
        rc = put(o, s->out, s->n_out, err);
        o->crc = unp_encoder_crc(o->crc, s->crc, s->n);
        give_back(c, s);
        tell_progress(c, i);
    }
    if (rc == 0)
        rc = put(o, frame, unp_encoder_tail(c->codec, o->crc, c->params->size, frame), err);
    return rc;
}

/* ---- the job ------------------------------------------------------------------------------- */

static int run(struct compress *c, struct output *o, struct bh_err *err) {
    unsigned threads = c->codec == UNP_ZSTD && c->params->level >= LEVEL_HIGH ? 2 : UNP_CREW;
    for (unsigned i = 0; i < threads; i++)
        unp_crew_run(i, work, c);
    int rc = put_blocks(c, o, err);
    if (rc != 0)
        fail(c, err);
    for (unsigned i = 0; i < threads; i++)
        unp_crew_wait(i);
    if (c->failed)
        *err = c->err;
    return err->code;
}

static int pack(const struct output *o, const char *digest, struct bh_buf *result, struct bh_err *err) {
    Bulkhead__Worker__V1__CompressResult pb = BULKHEAD__WORKER__V1__COMPRESS_RESULT__INIT;
    Bulkhead__Worker__V1__Result r = BULKHEAD__WORKER__V1__RESULT__INIT;
    pb.digest = (char *)digest;
    pb.size = o->at;
    r.result_case = BULKHEAD__WORKER__V1__RESULT__RESULT_COMPRESS;
    r.compress = &pb;
    return unp_result_pack(&r, result, err);
}

static int check(const struct bh_job_params *p, struct bh_err *err) {
    if (p->size == BH_JOB_TO_END || (p->codec != UNP_GZIP && p->codec != UNP_ZSTD))
        return bh_err_set(err, BH_E_INVALID, "worker: a layer that cannot be compressed so");
    return 0;
}

int unp_job_compress(const struct unp_fds *fds, const struct bh_job_params *p, struct bh_buf *result,
                     struct bh_err *err) {
    struct compress c = {.fds = fds, .params = p, .codec = (enum unp_codec)p->codec};
    struct output o = {.fd = fds->out, .hash = BH_HASH_INIT};
    char digest[BH_DIGEST_TEXT_SIZE];
    struct bh_digest d;
    if (check(p, err) != 0)
        return err->code;
    c.block = unp_encoder_block_size(c.codec);
    c.blocks = p->size == 0 ? 1 : (p->size + c.block - 1) / c.block;
    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.changed, NULL);
    int rc = bh_sha256_init(&o.hash, err);
    if (rc == 0)
        rc = run(&c, &o, err);
    if (rc == 0)
        rc = bh_sha256_final(&o.hash, &d, err);
    if (rc == 0) {
        bh_digest_format(&d, digest);
        rc = pack(&o, digest, result, err);
    }
    bh_hash_fini(&o.hash);
    for (unsigned i = 0; i < SLOTS; i++) {
        free(c.slot[i].in);
        free(c.slot[i].out);
    }
    pthread_cond_destroy(&c.changed);
    pthread_mutex_destroy(&c.lock);
    return rc;
}
