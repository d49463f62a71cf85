/*
 * layer_job.c - one layer, from the bytes as received to the finished layer file, in one pass.
 *
 * Room: worker.  Trusts nothing it reads.  Stages, each a thread, joined by rings of fixed size:
 *
 *   source, hash, keep blob --> [received ring] --> inflate --> [inflated ring] --> hash (diffID), write, read headers
 *
 *   of a bare tar: source, keep blob --> [received ring] --> hash
 *                                                        --> write, read headers
 *
 * As few threads as keep all processors busy: a block is hashed and written by one while it is in its cache.  Headers
 * make the tree, the index is written when all stages are done.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "oci/digest.h"
#include "unpack/codec.h"
#include "unpack/crew.h"
#include "unpack/index.h"
#include "unpack/job.h"
#include "unpack/layer_make.h"
#include "unpack/limit.h"
#include "unpack/result_pb.h"
#include "unpack/ring.h"
#include "unpack/source.h"
#include "unpack/tree.h"
#include "unpack/writeback.h"

enum stage { INFLATE, HASH_TAR, STORE_TAR, STAGES };
static_assert(STAGES <= UNP_CREW, "a thread for each stage");

struct layer {
    const struct unp_fds *fds;
    const struct bh_job_params *params;
    struct unp_source source;
    enum unp_codec codec;
    bool keep_blob;
    uint64_t again; /* bytes of an earlier try that were read from BLOB so far */
    uint64_t taken; /* bytes of the source that went into the received ring, or BLOB at least */
    struct bh_hash hash;
    struct unp_ring received;
    struct unp_ring inflated;
    struct bh_err err[STAGES];
    struct bh_digest digest;
    struct bh_digest diff_id;
    uint64_t tar_size;
    struct unp_tar reader;
    struct unp_tree tree;
};

static void fail(struct layer *l) {
    unp_ring_abort(&l->inflated);
    unp_ring_abort(&l->received);
}

/* ---- stages -------------------------------------------------------------------------------- */

static void inflate_received(void *arg) {
    struct layer *l = arg;
    if (unp_codec_run(l->codec, &l->received, &l->inflated, l->params->max_unpacked, &l->err[INFLATE]) != 0)
        fail(l);
}

static int hash_blocks(struct unp_ring *r, struct bh_digest *out, struct bh_err *err) {
    BH_SCOPE_HASH struct bh_hash h = BH_HASH_INIT;
    const unsigned char *p;
    size_t n;
    int rc = bh_sha256_init(&h, err);
    if (rc != 0)
        return rc;
    while ((p = unp_ring_next(r, 0, &n)) != NULL) {
        bh_sha256_update(&h, p, n);
        unp_ring_release(r, 0);
    }
    return bh_sha256_final(&h, out, err);
}

static void hash_tar(void *arg) {
    struct layer *l = arg;
    if (hash_blocks(&l->received, &l->diff_id, &l->err[HASH_TAR]) != 0)
        fail(l);
}

static int write_error(int e, struct bh_err *err) {
    if (e == EFBIG) {
        bh_err_set(err, BH_E_LIMIT, "the layer file is larger than its limit");
        return unp_limit(err, NULL);
    }
    return bh_err_errno(err, e, "write of the layer");
}

static int store_block(struct layer *l, const unsigned char *p, size_t n, struct bh_err *err) {
    int rc = unp_tar_feed(&l->reader, p, n, err);
    if (rc != 0)
        return rc;
    if (bh_pwrite_all(l->fds->out, p, n, (off_t)(BH_LAYER_TAR_OFFSET + l->tar_size)) != 0)
        return write_error(errno, err);
    unp_writeback(l->fds->out, BH_LAYER_TAR_OFFSET, l->tar_size, n);
    l->tar_size += n;
    return 0;
}

/* With `h` the blocks are hashed on the way, else by a thread of its own. */
static int store_blocks(struct layer *l, struct unp_ring *tar, struct bh_hash *h, struct bh_err *err) {
    const unsigned char *p;
    size_t n;
    while ((p = unp_ring_next(tar, 1, &n)) != NULL) {
        if (h != NULL)
            bh_sha256_update(h, p, n);
        int rc = store_block(l, p, n, err);
        if (rc != 0)
            return rc;
        unp_ring_release(tar, 1);
    }
    if (unp_ring_aborted(tar))
        return bh_err_set(err, BH_E_CANCELLED, "stopped");
    return unp_tar_end(&l->reader, err);
}

static void store_received(void *arg) {
    struct layer *l = arg;
    if (store_blocks(l, &l->received, NULL, &l->err[STORE_TAR]) != 0)
        fail(l);
}

static void store_inflated(void *arg) {
    struct layer *l = arg;
    struct bh_err *err = &l->err[STORE_TAR];
    BH_SCOPE_HASH struct bh_hash h = BH_HASH_INIT;
    if (bh_sha256_init(&h, err) != 0 || store_blocks(l, &l->inflated, &h, err) != 0 ||
        bh_sha256_final(&h, &l->diff_id, err) != 0)
        fail(l);
}

/* ---- the source ---------------------------------------------------------------------------- */

/* What an earlier try has left, first. */
static int read_again(struct layer *l, unsigned char *block, size_t *out_n, struct bh_err *err) {
    uint64_t left = l->params->resume - l->again;
    size_t want = left < UNP_RING_BLOCK ? (size_t)left : UNP_RING_BLOCK;
    ssize_t got = bh_pread_full(l->fds->blob, block, want, (off_t)l->again);
    if (got < 0)
        return bh_err_errno(err, errno, "read of the data that was received before");
    if ((size_t)got < want)
        return bh_err_set(err, BH_E_INTERNAL, "the data that was received before is shorter than it was");
    l->again += want;
    *out_n = want;
    return 0;
}

static int read_block(struct layer *l, unsigned char **out_block, size_t *out_n, struct bh_err *err) {
    *out_block = unp_ring_reserve(&l->received);
    if (*out_block == NULL && unp_ring_aborted(&l->received))
        return bh_err_set(err, BH_E_CANCELLED, "stopped");
    if (*out_block == NULL)
        return bh_err_set(err, BH_E_LIMIT, "out of memory");
    if (l->again < l->params->resume)
        return read_again(l, *out_block, out_n, err);
    return unp_source_read(&l->source, *out_block, UNP_RING_BLOCK, out_n, err);
}

static int check_plain_size(const struct layer *l, struct bh_err *err) {
    if (l->codec != UNP_PLAIN || l->source.read <= l->params->max_unpacked)
        return 0;
    bh_err_set(err, BH_E_LIMIT, "the layer is too large, limits.unpacked is %llu",
               (unsigned long long)l->params->max_unpacked);
    return unp_limit(err, "limits.unpacked");
}

/* Its bytes are kept as they come, so that it can be continued; those of a plain tar no longer than that. */
static bool is_download(const struct layer *l) {
    return l->source.pipe && l->source.exact;
}

static void start_stages(struct layer *l) {
    bool plain = l->codec == UNP_PLAIN;
    l->keep_blob = (!plain || is_download(l)) && (l->params->flags & BH_JOB_F_KEEP_BLOB) != 0;
    unp_ring_readers(&l->received, plain ? 0 : 1);
    unp_crew_run(plain ? HASH_TAR : INFLATE, plain ? hash_tar : inflate_received, l);
    unp_crew_run(STORE_TAR, plain ? store_received : store_inflated, l);
}

static int refuse_codec(const struct layer *l, struct bh_err *err) {
    if (l->codec == UNP_PLAIN || (l->params->flags & BH_JOB_F_PLAIN_ONLY) == 0)
        return 0;
    return bh_err_set(err, BH_E_INVALID, "the layer is %s data, a tar was expected", unp_codec_name(l->codec));
}

static bool is_cut(const struct bh_err *err) {
    return strcmp(err->reason, "short") == 0;
}

/* What an earlier try left is in BLOB already; no block crosses that border. */
static int keep_block(struct layer *l, const unsigned char *p, size_t n, struct bh_err *err) {
    if (l->keep_blob && l->taken >= l->params->resume && bh_pwrite_all(l->fds->blob, p, n, (off_t)l->taken) != 0)
        return bh_err_errno(err, errno, "write of the compressed layer");
    if (l->keep_blob && (l->params->flags & BH_JOB_F_PASSING_BLOB) == 0)
        unp_writeback(l->fds->blob, 0, l->taken, n);
    l->taken += n;
    return 0;
}

static int take_block(struct layer *l, const unsigned char *p, size_t n, struct bh_err *err) {
    if (l->codec != UNP_PLAIN)
        bh_sha256_update(&l->hash, p, n);
    if (keep_block(l, p, n, err) != 0)
        return err->code;
    unp_ring_commit(&l->received, n);
    return check_plain_size(l, err);
}

/* Returns the error of what is done here; what the stages found is in l->err. */
static int run(struct layer *l, struct bh_err *err) {
    struct bh_err ignored = BH_ERR_INIT;
    unsigned char *block;
    size_t n = 0;
    int rc = read_block(l, &block, &n, err);
    if (rc != 0 && !is_cut(err))
        return rc;
    l->codec = unp_codec_sniff(block, n);
    if (rc == 0 && (rc = refuse_codec(l, err)) != 0)
        return rc;
    start_stages(l);
    while (rc == 0 && n > 0 && (rc = take_block(l, block, n, err)) == 0)
        rc = read_block(l, &block, &n, err);
    if (rc == 0) {
        unp_ring_end(&l->received);
    } else {
        if (is_cut(err)) /* of a download all that came is worth keeping */
            (void)keep_block(l, block, n, &ignored);
        fail(l);
    }
    for (unsigned i = 0; i < STAGES; i++)
        unp_crew_wait(i);
    return rc == 0 && l->codec != UNP_PLAIN ? bh_sha256_final(&l->hash, &l->digest, err) : rc;
}

/* ---- the job ------------------------------------------------------------------------------- */

/* The stage that failed by itself has the reason; the others were only stopped. */
static int first_error(struct layer *l, int rc, struct bh_err *err) {
    if (rc != 0 && rc != BH_E_CANCELLED)
        return rc;
    for (unsigned i = 0; i < STAGES; i++) {
        if (l->err[i].code != 0 && l->err[i].code != BH_E_CANCELLED) {
            *err = l->err[i];
            return err->code;
        }
    }
    return rc;
}

static int open_layer(struct layer *l, struct bh_err *err) {
    const struct bh_job_params *p = l->params;
    const struct unp_tar_limits tar = {.max_entries = p->max_entries,
                                       .max_path = p->max_path,
                                       .max_pax = p->max_pax,
                                       .strict_end = (p->flags & BH_JOB_F_STRICT_END) != 0};
    const struct unp_tree_limits tree = {.max_entries = p->max_entries,
                                         .max_sparse = p->max_sparse,
                                         .max_depth = p->max_depth,
                                         .max_xattrs = p->max_xattrs,
                                         .max_path = p->max_path};
    unp_ring_init(&l->received, 0);
    unp_ring_init(&l->inflated, 1);
    unp_tar_init(&l->reader, &tar, unp_tree_apply, &l->tree);
    l->hash = (struct bh_hash)BH_HASH_INIT;
    int rc = unp_tree_init(&l->tree, &tree, err);
    return rc != 0 ? rc : bh_sha256_init(&l->hash, err);
}

static void close_layer(struct layer *l) {
    bh_hash_fini(&l->hash);
    unp_tree_fini(&l->tree);
    unp_tar_fini(&l->reader);
    unp_ring_fini(&l->received);
    unp_ring_fini(&l->inflated);
}

static void describe(const struct layer *l, const struct bh_layer_header *h, struct unp_made *out) {
    Bulkhead__Worker__V1__LayerResult *pb = &out->pb;
    *pb = (Bulkhead__Worker__V1__LayerResult)BULKHEAD__WORKER__V1__LAYER_RESULT__INIT;
    bh_digest_format(l->codec == UNP_PLAIN ? &l->diff_id : &l->digest, out->digest);
    bh_digest_format(&l->diff_id, out->diff_id);
    memcpy(out->index_sha256, h->index_sha256, sizeof out->index_sha256);
    pb->digest = out->digest;
    pb->size = l->source.read + l->again;
    pb->codec = (Bulkhead__Worker__V1__Codec)l->codec;
    pb->diff_id = out->diff_id;
    pb->tar_size = l->tar_size;
    pb->file_size = h->index_offset + h->index_size;
    pb->index_offset = h->index_offset;
    pb->index_size = h->index_size;
    pb->index_sha256.data = out->index_sha256;
    pb->index_sha256.len = sizeof out->index_sha256;
    pb->entries = h->entries;
    pb->inodes = h->inodes;
    pb->left_out = l->tree.left_out;
    pb->whiteouts = l->tree.whiteouts;
    pb->content = l->tree.content;
    pb->blob_written = l->keep_blob && l->codec != UNP_PLAIN;
}

int unp_layer_make(const struct unp_fds *fds, const struct bh_job_params *p, const struct unp_source *source,
                   struct unp_made *out, struct bh_err *err) {
    static struct layer layer; /* some tens of KiB; one job a process */
    struct layer *l = &layer;
    struct unp_index index = {0};
    struct bh_layer_header header;
    memset(l, 0, sizeof *l);
    l->fds = fds;
    l->params = p;
    l->source = *source;
    int rc = open_layer(l, err);
    if (rc == 0)
        rc = first_error(l, run(l, err), err);
    if (rc == 0)
        rc = unp_index_layout(&index, &l->tree, err);
    if (rc == 0)
        rc = unp_index_write(&index, fds->out, l->tar_size, l->diff_id.bytes, l->reader.entries, &header, err);
    if (rc == 0)
        describe(l, &header, out);
    unp_index_fini(&index);
    close_layer(l);
    return rc;
}

int unp_job_layer(const struct unp_fds *fds, const struct bh_job_params *p, struct bh_buf *result, struct bh_err *err) {
    Bulkhead__Worker__V1__Result r = BULKHEAD__WORKER__V1__RESULT__INIT;
    struct unp_source source;
    struct unp_made made;
    int rc = unp_source_open(&source, fds->source, p->offset, p->size, err);
    source.exact = (p->flags & BH_JOB_F_EXACT) != 0;
    if (rc == 0)
        rc = unp_layer_make(fds, p, &source, &made, err);
    if (rc != 0)
        return rc;
    r.result_case = BULKHEAD__WORKER__V1__RESULT__RESULT_LAYER;
    r.layer = &made.pb;
    return unp_result_pack(&r, result, err);
}
