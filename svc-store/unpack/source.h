/*
 * source.h - the bytes that a job reads: a range of a file, a pipe, or what the job makes itself.
 *
 * Room: worker.
 */
#ifndef UNP_SOURCE_H
#define UNP_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Bytes that are made as they are read; fewer than n only at the end. */
typedef int unp_pull_fn(void *arg, void *to, size_t n, size_t *out_n, struct bh_err *err);

struct unp_source {
    unp_pull_fn *pull; /* NULL: read from fd */
    void *arg;
    int fd;
    bool pipe;
    bool sized;    /* `left` was asked for: an earlier end is an error */
    bool exact;    /* a later one too; set by the caller */
    uint64_t at;   /* file: offset of the next byte */
    uint64_t left; /* UINT64_MAX: to the end */
    uint64_t read;
};

int unp_source_open(struct unp_source *s, int fd, uint64_t offset, uint64_t size, struct bh_err *err);
/* Up to n bytes, fewer only at the end.  *out_n = 0 at the end.  BH_E_INVALID for an early end (reasons "cut-off"
 * of a file, "short" of a pipe; *out_n tells what came) and, with exact, for a late one ("size-mismatch"). */
int unp_source_read(struct unp_source *s, void *to, size_t n, size_t *out_n, struct bh_err *err);
/* All of it; BH_E_LIMIT (naming limits.document) when it is longer than max. */
int unp_source_whole(struct unp_source *s, uint64_t max, const char *what, struct bh_buf *out, struct bh_err *err);

#endif
