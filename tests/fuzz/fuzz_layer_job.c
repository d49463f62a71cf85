/*
 * fuzz_layer_job.c - any bytes as a layer in any compression, through all threads of the job.
 */
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
    bh_buf_fini(&result);
    return 0;
}
