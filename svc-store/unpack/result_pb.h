/*
 * result_pb.h - packing a Result; the one header of this program that knows generated messages.
 *
 * Room: worker.
 */
#ifndef UNP_RESULT_PB_H
#define UNP_RESULT_PB_H

#include "base/buf.h"
#include "base/err.h"
#include "worker.pb-c.h"

int unp_result_pack(const Bulkhead__Worker__V1__Result *r, struct bh_buf *out, struct bh_err *err);

#endif
