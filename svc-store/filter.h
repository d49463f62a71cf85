/*
 * filter.h - --filter of images and prune, and the positional pattern of `images`.
 *
 * Room: store.  Different keys AND; a repeated key ORs, but for label, which ANDs (docker's rules).
 */
#ifndef STORE_FILTER_H
#define STORE_FILTER_H

#include "image.h"

struct store_filter {
    const char *key;
    const char *value;
};
struct store_filters {
    const struct store_filter *v;
    size_t n;
};

/* Keys that a verb knows, NULL-ended. */
extern const char *const store_filter_images[];
extern const char *const store_filter_prune[];

/* BH_E_INVALID naming the key (reason "unknown-filter"). */
int store_filter_check(const struct store_filters *f, const char *const *known, struct bh_err *err);
/* What "until" takes: "24h" ago, a Unix time, a date or RFC 3339. */
bool store_filter_time(const char *text, int64_t *out);
/* Takes out what does not match, keeps the order.  Names that a reference filter (or match, "" for none)
 * does not mean are taken out of an image; one that has none left goes.  all: see ImageListRequest. */
int store_filter_apply(struct store_db *db, const struct store_who *who, const struct store_filters *f,
                       const char *match, bool all, struct bh_arena *arena, struct store_image *images, size_t *n,
                       struct bh_err *err);

#endif
