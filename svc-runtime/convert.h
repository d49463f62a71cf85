/*
 * convert.h - packed bytes of a row <-> plain values.
 *
 * Room: runtime.  The rows keep requests and configs as packed messages; nobody but convert_rpc.c
 * sees the generated types.
 */
#ifndef RT_CONVERT_H
#define RT_CONVERT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "oci/config.h"
#include "svc-runtime/db.h"
#include "svc-runtime/request.h"

int rt_request_unpack(struct rt_blob packed, struct bh_arena *arena, struct rt_request *out, struct bh_err *err);
int rt_config_pack(const struct bh_image_config *config, struct bh_arena *arena, struct bh_buf *out,
                   struct bh_err *err);
int rt_config_unpack(struct rt_blob packed, struct bh_arena *arena, struct bh_image_config *out, struct bh_err *err);

#endif
