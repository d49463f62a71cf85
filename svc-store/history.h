/*
 * history.h - how an image came to be: a row for each step, newest first.
 *
 * Room: store.
 */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H

#include "image.h"

struct store_history_row {
    const char *id; /* "sha256:..", or "<missing>": steps that are no image here */
    int64_t created_ns;
    const char *created_by;
    const char *comment;
    uint64_t size;
    const char **tags; /* familiar; of the image itself on the first row, of its parents below */
    size_t n_tags;
};

int store_history(struct store *s, const struct store_who *who, const char *name, struct bh_arena *arena,
                  struct store_history_row **out, size_t *out_n, struct bh_err *err);

#endif
