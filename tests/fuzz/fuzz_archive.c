/*
 * fuzz_archive.c - any bytes as an image archive: members, manifests, configs, the plan.
 *
 * Held to: no crash, an error with a message or a Result that unpacks, and every offset of the plan
 * inside the archive.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "unpack/crew.h"
#include "unpack/job.h"
#include "unpack/result_pb.h"

static void check_plan(const struct bh_buf *result, uint64_t size) {
    Bulkhead__Worker__V1__Result *r =
        bulkhead__worker__v1__result__unpack(NULL, result->len, (const uint8_t *)bh_buf_str(result));
    if (r == NULL || r->result_case != BULKHEAD__WORKER__V1__RESULT__RESULT_PLAN)
        abort();
    uint64_t end = r->plan->archive_size;
    if (!r->plan->spooled && end != size)
        abort();
    for (size_t i = 0; i < r->plan->n_images; i++) {
        const Bulkhead__Worker__V1__PlanImage *image = r->plan->images[i];
        for (size_t k = 0; k < image->n_layers && image->missing[0] == '\0'; k++)
            if (image->layers[k]->offset > end || image->layers[k]->size > end - image->layers[k]->offset)
                abort();
    }
    bulkhead__worker__v1__result__free_unpacked(r, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* A dictionary of 4 GiB is stopped by the worker's RLIMIT_DATA, which ASan does not live with. */
    if (size >= 6 && memcmp(data, "\xfd\x37zXZ", 6) == 0)
        return -1;
    static int source = -1;
    static int spool = -1;
    struct bh_err err = BH_ERR_INIT;
    struct bh_buf result = BH_BUF_INIT;
    struct bh_job_params params = {.magic = BH_JOB_PARAMS_MAGIC, .size = BH_JOB_TO_END, .max_unpacked = 1 << 20};
    if (source < 0) {
        source = memfd_create("source", 0);
        spool = memfd_create("spool", 0);
        if (unp_crew_start(&err) != 0)
            abort();
    }
    if (ftruncate(source, 0) != 0 || ftruncate(spool, 0) != 0 || bh_pwrite_all(source, data, size, 0) != 0)
        abort();
    const struct unp_fds fds = {.source = source, .out = spool, .blob = spool};
    unp_params_settle(&params, &err);
    int rc = unp_job_archive(&fds, &params, &result, &err);
    if (rc != 0 && (err.code != rc || err.msg[0] == '\0'))
        abort();
    if (rc == 0)
        check_plan(&result, size);
    bh_buf_fini(&result);
    return 0;
}
