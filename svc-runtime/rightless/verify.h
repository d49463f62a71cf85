/*
 * verify.h - is the index of a layer file the one canonical form of docs/store-format.md, section 3?
 *
 * Room: a child of launch without rights.  BH_E_DATA_LOSS with what deviates, BH_E_LIMIT when memory
 * does not suffice.  What passes may be mounted by the kernel.
 */
#ifndef RLS_VERIFY_H
#define RLS_VERIFY_H

#include "base/err.h"
#include "layer/layer_format.h"

/* The whole file: header, superblock, index; and that it is the layer that was asked for. */
int lnc_verify_layer(int fd, const unsigned char diff_id[32], struct bh_err *err);
/* The same of descriptor RLS_FD, once nothing else can be reached; arg: the 32 bytes.  Reason "bad-layer". */
int lnc_verify_work(const void *arg, void *out, struct bh_err *err);
/* The index alone, h->index_size bytes; h must have passed bh_layer_header_check. */
int lnc_verify_index(const struct bh_layer_header *h, const unsigned char *index, struct bh_err *err);

#endif
