/*
 * params.c - the fixed parameters of a job.
 *
 * Room: worker.  They come from the store, which is trusted to choose limits; they are bounded all the
 * same, so that no sum in this program can wrap.
 */
#include <errno.h>

#include "base/fdio.h"
#include "unpack/job.h"

#define SIZE_CEILING ((uint64_t)2 << 40) /* a layer file has 2 TiB at most */

int unp_params_read(int fd, struct bh_job_params *out, struct bh_err *err) {
    ssize_t n = bh_pread_full(fd, out, sizeof *out, 0);
    if (n < 0)
        return bh_err_errno(err, errno, "worker: read its parameters");
    if ((size_t)n != sizeof *out || out->magic != BH_JOB_PARAMS_MAGIC)
        return bh_err_set(err, BH_E_INVALID, "worker: its parameters are not of this version");
    return unp_params_settle(out, err);
}

static void settle64(uint64_t *v, uint64_t normal, uint64_t ceiling) {
    if (*v == 0)
        *v = normal;
    if (*v > ceiling)
        *v = ceiling;
}

static void settle32(uint32_t *v, uint32_t normal, uint32_t ceiling) {
    if (*v == 0)
        *v = normal;
    if (*v > ceiling)
        *v = ceiling;
}

int unp_params_settle(struct bh_job_params *p, struct bh_err *err) {
    settle64(&p->max_entries, BH_JOB_DEF_ENTRIES, 4000000);
    settle64(&p->max_unpacked, BH_JOB_DEF_UNPACKED, SIZE_CEILING);
    settle64(&p->max_sparse, BH_JOB_DEF_SPARSE, SIZE_CEILING);
    settle64(&p->max_document, BH_JOB_DEF_DOCUMENT, (uint64_t)16 << 20);
    settle32(&p->max_path, BH_JOB_DEF_PATH, 65536);
    settle32(&p->max_depth, BH_JOB_DEF_DEPTH, 512);
    settle32(&p->max_xattrs, BH_JOB_DEF_XATTRS, 65536);
    settle32(&p->max_pax, BH_JOB_DEF_PAX, 8u << 20);
    settle32(&p->max_layers, BH_JOB_DEF_LAYERS, 10000);
    settle32(&p->max_images, BH_JOB_DEF_IMAGES, 10000);
    if (p->size != BH_JOB_TO_END && p->offset > INT64_MAX - p->size)
        return bh_err_set(err, BH_E_INVALID, "worker: a range that no file has");
    if (p->resume > SIZE_CEILING)
        return bh_err_set(err, BH_E_INVALID, "worker: a file that is larger than any");
    return 0;
}
