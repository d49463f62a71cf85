/*
 * archive_spool.h - a compressed archive written out plain, so that its members can be addressed.
 *
 * Room: worker.
 */
#ifndef UNP_ARCHIVE_SPOOL_H
#define UNP_ARCHIVE_SPOOL_H

#include "unpack/codec.h"
#include "unpack/job.h"

/* *out_codec: what the source is.  Unless it is plain, its content is in fds->out from offset `at` on and
 * *out_size bytes long. */
int unp_spool(const struct unp_fds *fds, const struct bh_job_params *p, uint64_t at, enum unp_codec *out_codec,
              uint64_t *out_size, struct bh_err *err);

#endif
