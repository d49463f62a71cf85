/*
 * image_rpc.h - messages about images that more than one *_rpc.c makes.
 *
 * Room: store.
 */
#ifndef STORE_IMAGE_RPC_H
#define STORE_IMAGE_RPC_H

#include "filter.h"
#include "image.h"
#include "store.pb-c.h"

/* In the arena; NULL with err set. */
Bulkhead__Store__V1__ImageSummary *store_summary_msg(const struct store_image *im, struct bh_arena *arena,
                                                     struct bh_err *err);
int store_summaries_msg(const struct store_image *images, size_t n, struct bh_arena *arena,
                        Bulkhead__Store__V1__ImageSummary ***out, struct bh_err *err);
int store_filters_of(size_t n, Bulkhead__Common__V1__Filter **v, struct bh_arena *arena, struct store_filters *out,
                     struct bh_err *err);

#endif
