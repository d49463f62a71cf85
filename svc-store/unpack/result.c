/*
 * result.c - the error form of a Result, and the table of jobs.
 *
 * Room: worker.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "unpack/job.h"
#include "unpack/result_pb.h"

int unp_result_pack(const Bulkhead__Worker__V1__Result *r, struct bh_buf *out, struct bh_err *err) {
    size_t n = bulkhead__worker__v1__result__get_packed_size(r);
    if (n > BH_JOB_RESULT_MAX)
        return bh_err_set(err, BH_E_LIMIT, "worker: its result would take %zu bytes", n);
    uint8_t *to = bh_buf_room(out, n);
    if (to == NULL)
        return bh_err_set(err, BH_E_LIMIT, "worker: out of memory for its result");
    bh_buf_grew(out, bulkhead__worker__v1__result__pack(r, to));
    return 0;
}

void unp_result_error(const struct bh_err *e, struct bh_buf *result) {
    Bulkhead__Worker__V1__WorkerError pb = BULKHEAD__WORKER__V1__WORKER_ERROR__INIT;
    Bulkhead__Worker__V1__Result r = BULKHEAD__WORKER__V1__RESULT__INIT;
    char message[sizeof e->msg];
    char hint[sizeof e->hint];
    struct bh_err ignored = BH_ERR_INIT;
    bh_str_escape(message, sizeof message, e->msg, strlen(e->msg), false);
    bh_str_escape(hint, sizeof hint, e->hint, strlen(e->hint), false);
    pb.code = (int32_t)bh_err_to_wire(e->code);
    pb.reason = (char *)e->reason;
    pb.message = message;
    pb.hint = hint;
    r.result_case = BULKHEAD__WORKER__V1__RESULT__RESULT_ERROR;
    r.error = &pb;
    bh_buf_reset(result);
    unp_result_pack(&r, result, &ignored);
}

unp_job_fn *unp_job_find(const char *name) {
    static const struct {
        const char *name;
        unp_job_fn *fn;
    } jobs[] = {
        {BH_JOB_LAYER, unp_job_layer},     {BH_JOB_ARCHIVE, unp_job_archive}, {BH_JOB_DOCUMENT, unp_job_document},
        {BH_JOB_CONFIG, unp_job_config},   {BH_JOB_ENTRIES, unp_job_entries}, {BH_JOB_COMPRESS, unp_job_compress},
        {BH_JOB_CONTEXT, unp_job_context}, {BH_JOB_COMPOSE, unp_job_compose}, {BH_JOB_FILE, unp_job_file},
        {BH_JOB_PROFILE, unp_job_profile},
    };
    for (size_t i = 0; i < BH_ARRAY_LEN(jobs); i++)
        if (strcmp(jobs[i].name, name) == 0)
            return jobs[i].fn;
    return NULL;
}
