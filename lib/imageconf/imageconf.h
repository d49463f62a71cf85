/*
 * imageconf.h - the image config as struct of lib/oci and as message of image.proto, both ways.
 *
 * Room: worker, store, runtime, build.  Nobody but a worker reads a config as JSON; the others pass
 * it on as bulkhead.image.v1.ImageConfig.  A message comes from another room: lists are bounded by
 * the message's own size, digests and times are parsed again, and strings hold no NUL by nature of
 * the format.  Pure.
 */
#ifndef BH_IMAGECONF_H
#define BH_IMAGECONF_H

#include "base/arena.h"
#include "base/err.h"
#include "image.pb-c.h"
#include "oci/config.h"
#include "oci/manifest.h"

/* Everything new is in the arena; strings are shared with the source, which must live as long. */
int bh_imageconf_to_msg(const struct bh_image_config *c, struct bh_arena *arena, Bulkhead__Image__V1__ImageConfig **out,
                        struct bh_err *err);
/* BH_E_INVALID (reason "invalid-config") for a diff id that is no sha256 digest or a label without key. */
int bh_imageconf_from_msg(const Bulkhead__Image__V1__ImageConfig *m, struct bh_arena *arena,
                          struct bh_image_config *out, struct bh_err *err);

/* The parts, for callers that have only one of them. */
int bh_imageconf_run_to_msg(const struct bh_run_config *c, struct bh_arena *arena, Bulkhead__Image__V1__RunConfig **out,
                            struct bh_err *err);
int bh_imageconf_run_from_msg(const Bulkhead__Image__V1__RunConfig *m, struct bh_arena *arena,
                              struct bh_run_config *out, struct bh_err *err);
int bh_imageconf_desc_to_msg(const struct bh_desc *d, struct bh_arena *arena, Bulkhead__Image__V1__Descriptor **out,
                             struct bh_err *err);
int bh_imageconf_pairs_to_msg(const struct bh_pairs *p, struct bh_arena *arena, size_t *out_n,
                              Bulkhead__Common__V1__Pair ***out, struct bh_err *err);

#endif
