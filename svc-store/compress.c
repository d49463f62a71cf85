/*
 * compress.c - see compress.h.
 */
#include "compress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "gc.h"
#include "image.h"
#include "layer.h"
#include "layer/layer_format.h"
#include "lease.h"
#include "result.h"
#include "unpack/jobs.h"
#include "worker.h"

const char *store_codec_name(enum store_codec codec) {
    return codec == STORE_CODEC_ZSTD ? "zstd" : "gzip";
}

struct compressing {
    struct store *s;
    const struct store_compress *c;
    struct store_temp out;
    int done_fd; /* where the worker tells how far it is */
    char what[100];
    char digest[STORE_DIGEST_SIZE];
    uint64_t size;
};

static void tell_progress(void *arg) {
    const struct compressing *x = arg;
    uint64_t done = 0;

    if (bh_pread_full(x->done_fd, &done, sizeof done, 0) == (ssize_t)sizeof done && done < x->c->tar_size)
        x->c->progress(x->c->arg, done);
}

static int run_worker(struct compressing *x, int layer, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT;
    const struct store_job job = {
        .name = BH_JOB_COMPRESS,
        .what = x->what,
        .source = layer,
        .out = x->out.fd,
        .blob = x->done_fd,
        .offset = BH_LAYER_TAR_OFFSET,
        .size = x->c->tar_size,
        .codec = x->c->codec,
        .level = x->c->level,
        .cancel_fd = x->c->cancel_fd,
        .end_fd = x->c->end_fd,
        .progress = x->c->progress != NULL ? tell_progress : NULL,
        .arg = x,
    };
    struct stat st;

    if (store_worker_run(x->s, &job, &packed, err) != 0)
        return err->code;
    if (store_result_compress(&packed, x->digest, &x->size, err) != 0)
        return store_worker_full(&x->s->place, x->what, UINT64_MAX, err);
    if (fstat(x->out.fd, &st) != 0 || (uint64_t)st.st_size != x->size) {
        bh_err_set(err, BH_E_INTERNAL, "%s: the worker's result and the file it wrote differ", x->what);
        return bh_err_reason(err, "worker-result");
    }
    return 0;
}

/* A blob of that digest is here already: this room looks itself before it believes that it is a form of this layer. */
static int check_known(struct compressing *x, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    char got[STORE_DIGEST_SIZE];
    bool known;
    int64_t k;

    if (store_read_begin(x->s->index, &db, err) != 0 || store_blob_find(db, x->digest, &k, &known, err) != 0)
        return err->code;
    store_read_end(db);
    db = NULL;
    if (!known)
        return 0;
    if (store_hash_range(x->out.fd, 0, x->size, x->what, got, err) != 0)
        return err->code;
    if (strcmp(got, x->digest) == 0)
        return store_shared_verify(x->s, STORE_BLOBS, x->digest, err);
    bh_err_set(err, BH_E_INTERNAL, "%s: the worker's result and the file it wrote differ", x->what);
    return bh_err_reason(err, "worker-result");
}

static int rows(struct compressing *x, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(x->s->index, STORE_LAZY, &db, err) != 0 ||
        store_blob_put(db, x->c->owner, x->digest, STORE_BLOB_LAYER, x->size, store_codec_name(x->c->codec), err) !=
            0 ||
        store_exec(db, NULL, err, "UPDATE blob SET diff_id=?, codec=? WHERE digest=?", "ttt", x->c->diff_id,
                   store_codec_name(x->c->codec), x->digest) != 0 ||
        store_lease_add(db, x->c->lease, STORE_LEASE_BLOB, x->digest, err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

static int name_it(struct compressing *x, struct bh_err *err) {
    struct store_flight_item item = {.key = "name"};

    if (fdatasync(x->out.fd) != 0)
        return store_write_error(&x->s->place, errno, x->what, 0, err);
    store_flight_enter(&x->s->flight, &item, NULL, NULL);
    if (check_known(x, err) == 0) {
        store_tidy_share(x->s);
        if (store_temp_publish(&x->s->place, &x->out, STORE_BLOBS, x->digest, err) == 0)
            rows(x, err);
        store_tidy_end(x->s);
    }
    store_flight_leave(&x->s->flight, &item);
    return err->code;
}

static int compress(struct compressing *x, struct bh_err *err) {
    BH_SCOPE_CLOSE int layer = -1;

    if (store_file_open(&x->s->place, STORE_LAYERS, x->c->diff_id, &layer, err) != 0 ||
        store_temp_open(&x->s->place, &x->out, err) != 0 || run_worker(x, layer, err) != 0)
        return err->code;
    return name_it(x, err);
}

int store_compress(struct store *s, const struct store_compress *c, char out_digest[STORE_DIGEST_SIZE],
                   uint64_t *out_size, struct bh_err *err) {
    struct compressing x = {.s = s, .c = c, .out = STORE_TEMP_INIT};

    snprintf(x.what, sizeof x.what, "compress layer %.19s", c->diff_id);
    x.done_fd = memfd_create("done", MFD_CLOEXEC);
    if (x.done_fd < 0)
        return bh_err_errno(err, errno, "%s", x.what);
    compress(&x, err);
    store_temp_drop(&s->place, &x.out);
    close(x.done_fd);
    if (err->code != 0)
        return err->code;
    memcpy(out_digest, x.digest, STORE_DIGEST_SIZE);
    *out_size = x.size;
    return 0;
}
