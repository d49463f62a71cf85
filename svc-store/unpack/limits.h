/*
 * limits.h - a job's parameters as the limits of lib/oci.
 *
 * Room: worker.
 */
#ifndef UNP_LIMITS_H
#define UNP_LIMITS_H

#include "oci/manifest.h"
#include "unpack/jobs.h"

#define UNP_DOCUMENT_ARENA ((size_t)96 << 20) /* what reading one document may take */

static inline struct bh_oci_limits unp_oci_limits(const struct bh_job_params *p) {
    return (struct bh_oci_limits){
        .max_bytes = (size_t)p->max_document, .max_layers = p->max_layers, .max_entries = p->max_images};
}

#endif
