/*
 * fuzz_reader.c - what comes through the pipe of a reader: the head that the store writes, media type, document.
 *
 * Byte 0: which document; the rest as it is, or, when it starts so, head and all.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "unpack/job.h"
#include "unpack/result_pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int rc, const struct bh_buf *result, const struct bh_err *err) {
    Bulkhead__Worker__V1__Result *r;
    if (rc != 0 && (err->code != rc || err->msg[0] == '\0'))
        abort();
    if (rc != 0)
        return;
    r = bulkhead__worker__v1__result__unpack(NULL, result->len, (const uint8_t *)result->data);
    if (r == NULL || (r->document == NULL && r->config == NULL))
        abort();
    bulkhead__worker__v1__result__free_unpacked(r, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bh_job_params params = {.magic = BH_JOB_PARAMS_MAGIC, .size = BH_JOB_TO_END, .max_document = 1 << 19};
    struct bh_buf result = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    int ends[2];
    if (size < 2 || size > (1 << 19))
        return 0;
    const struct bh_job_read head = {
        .magic = BH_JOB_PARAMS_MAGIC, .config = data[0] & 1, .n_media = size > 300 ? data[0] >> 1 : 0};
    if (pipe(ends) != 0 || fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) < 0 ||
        ((data[0] & 0x80) == 0 && bh_write_all(ends[1], &head, sizeof head) != 0) ||
        bh_write_all(ends[1], data + 1, size - 1) != 0)
        abort();
    close(ends[1]);
    const struct unp_fds fds = {.source = ends[0], .out = -1, .blob = -1};
    unp_params_settle(&params, &err);
    check(unp_job_reader(&fds, &params, &result, &err), &result, &err);
    close(ends[0]);
    bh_buf_fini(&result);
    return 0;
}
