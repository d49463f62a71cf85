/*
 * fuzz_document.c - a manifest, an index or a config, and the media type that a carrier told.
 *
 * Byte 0: whether it is a config, and how long the media type is that the rest begins with.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
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

static int file_of(const uint8_t *data, size_t n) {
    int fd = memfd_create("fuzz", 0);
    if (fd < 0 || bh_write_all(fd, data, n) != 0)
        abort();
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bh_job_params params = {.magic = BH_JOB_PARAMS_MAGIC, .size = BH_JOB_TO_END, .max_document = 1 << 19};
    struct bh_buf result = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    if (size < 2 || size > (1 << 19))
        return 0;
    size_t n_media = size > 300 ? data[0] >> 1 : 0;
    const struct unp_fds fds = {.source = file_of(data + 1 + n_media, size - 1 - n_media),
                                .out = -1,
                                .blob = -1,
                                .more = file_of(data + 1, n_media),
                                .n_more = n_media > 0};
    unp_params_settle(&params, &err);
    check((data[0] & 1 ? unp_job_config : unp_job_document)(&fds, &params, &result, &err), &result, &err);
    close(fds.source);
    close(fds.more);
    bh_buf_fini(&result);
    return 0;
}
