/*
 * layer_make.h - the pipeline of a layer for a source that is open already: what comes of it, as a message.
 *
 * Room: worker.
 */
#ifndef UNP_LAYER_MAKE_H
#define UNP_LAYER_MAKE_H

#include "oci/digest.h"
#include "unpack/job.h"
#include "unpack/source.h"
#include "worker.pb-c.h"

struct unp_made {
    Bulkhead__Worker__V1__LayerResult pb; /* points into this struct */
    char digest[BH_DIGEST_TEXT_SIZE];
    char diff_id[BH_DIGEST_TEXT_SIZE];
    uint8_t index_sha256[32];
};

int unp_layer_make(const struct unp_fds *fds, const struct bh_job_params *p, const struct unp_source *source,
                   struct unp_made *out, struct bh_err *err);

#endif
