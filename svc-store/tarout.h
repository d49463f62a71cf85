/*
 * tarout.h - a tar going out: headers made here, contents copied from the store's files.
 *
 * Room: store.  Deterministic: owner 0:0, time 0, fixed modes.  Goes into a descriptor (file or pipe)
 * without passing through this process's memory where the kernel can do it, or in chunks to a sink.
 */
#ifndef STORE_TAROUT_H
#define STORE_TAROUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct store_tarout {
    int fd; /* or -1: */
    int (*sink)(void *arg, const void *data, size_t n, struct bh_err *err);
    void *arg;
    uint64_t written;
    int mode; /* how contents get into fd: found at the first copy */
};

int store_tarout_dir(struct store_tarout *t, const char *name, struct bh_err *err);
int store_tarout_bytes(struct store_tarout *t, const char *name, const void *data, size_t n, struct bh_err *err);
/* size bytes of from, starting at offset. */
int store_tarout_file(struct store_tarout *t, const char *name, int from, uint64_t offset, uint64_t size,
                      struct bh_err *err);
int store_tarout_end(struct store_tarout *t, struct bh_err *err);

#endif
