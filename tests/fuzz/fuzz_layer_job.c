/*
 * fuzz_layer_job.c - any bytes as a layer in any compression, through all threads of the job; then once more as
 * a download that goes on somewhere in the middle, which must come to the same result.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "layer/layer_check.h"
#include "rightless/verify.h"
#include "unpack/crew.h"
#include "unpack/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const uint8_t *data, size_t size, struct bh_job_params params, const struct unp_fds *job, int whole,
                  const struct bh_buf *want) {
    struct bh_buf result = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    size_t cut =
        512 + data[size / 2] * (size - 512) / 260; /* the store keeps no less: the first block tells the codec */
    int ends[2];
    if (pipe(ends) != 0 || fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) < 0 || ftruncate(job->out, 0) != 0 ||
        ftruncate(job->blob, (off_t)cut) != 0 || bh_pwrite_all(job->blob, data, cut, 0) != 0 ||
        bh_write_all(ends[1], data + cut, size - cut) != 0)
        abort();
    close(ends[1]);
    const struct unp_fds fds = {.source = ends[0], .out = job->out, .blob = job->blob};
    params.flags |= BH_JOB_F_EXACT;
    params.resume = cut;
    params.size = size - cut;
    int rc = unp_job_layer(&fds, &params, &result, &err);
    if ((rc == 0) != (whole == 0) ||
        (rc == 0 && (result.len != want->len || memcmp(result.data, want->data, want->len) != 0)))
        abort();
    close(ends[0]);
    bh_buf_fini(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* A dictionary of 4 GiB is stopped by the worker's RLIMIT_DATA, which ASan does not live with. */
    if (size >= 6 && memcmp(data, "\xfd\x37zXZ", 6) == 0)
        return -1;
    static int fd[3] = {-1, -1, -1};
    struct bh_err err = BH_ERR_INIT;
    struct bh_buf result = BH_BUF_INIT;
    struct bh_layer_header header;
    struct bh_job_params params = {.magic = BH_JOB_PARAMS_MAGIC,
                                   .flags = BH_JOB_F_KEEP_BLOB,
                                   .size = BH_JOB_TO_END,
                                   .max_unpacked = 1 << 20,
                                   .max_sparse = 1 << 20,
                                   .max_entries = 2000};
    for (int i = 0; fd[2] < 0 && i < 3; i++)
        fd[i] = memfd_create("job", 0);
    if (unp_crew_start(&err) != 0 || ftruncate(fd[0], 0) != 0 || ftruncate(fd[1], 0) != 0 || ftruncate(fd[2], 0) != 0 ||
        bh_pwrite_all(fd[0], data, size, 0) != 0)
        abort();
    const struct unp_fds fds = {.source = fd[0], .out = fd[1], .blob = fd[2]};
    unp_params_settle(&params, &err);
    int rc = unp_job_layer(&fds, &params, &result, &err);
    if (rc != 0 && (err.code != rc || err.msg[0] == '\0'))
        abort();
    if (rc == 0 && (bh_layer_open(fd[1], &header, &err) != 0 || lnc_verify_layer(fd[1], header.diff_id, &err) != 0)) {
        write(2, err.msg, strlen(err.msg));
        abort();
    }
    if (size > 512 && size < (1 << 20))
        again(data, size, params, &fds, rc, &result);
    bh_buf_fini(&result);
    return 0;
}
