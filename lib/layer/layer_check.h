/*
 * layer_check.h - is this header one of ours, and does it fit the file?
 *
 * Room: worker, store, launch.  Only sums and ranges of the 4 KiB header are looked at; the index
 * itself is the verifier's matter.  Source: docs/store-format.md, section 2.
 */
#ifndef BH_LAYER_CHECK_H
#define BH_LAYER_CHECK_H

#include <stdint.h>

#include "base/err.h"
#include "layer/layer_format.h"

/* Every sum of the header holds for a file of file_size bytes.  BH_E_DATA_LOSS, reason
 * "bad-layer", with the field that is wrong. */
int bh_layer_header_check(const struct bh_layer_header *h, uint64_t file_size, struct bh_err *err);
/* The superblock says the same as the header and nothing else. */
int bh_layer_super_check(const struct bh_layer_header *h, const struct bh_erofs_super *sb, struct bh_err *err);
/* Read both from the start of fd and check them against its size. */
int bh_layer_open(int fd, struct bh_layer_header *out, struct bh_err *err);

#endif
