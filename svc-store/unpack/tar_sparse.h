/*
 * tar_sparse.h - the map of a sparse file: which bytes of it the archive holds.
 *
 * Room: worker.  Pure.  A map that is not in order, overlaps, leaves the file or does not add up to the
 * data in the archive is refused (CVE-2025-58183 and its like trusted the counts).
 * Source: GNU tar manual, "Storing Sparse Files".
 */
#ifndef UNP_TAR_SPARSE_H
#define UNP_TAR_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct unp_extent {
    uint64_t at; /* in the file */
    uint64_t len;
};

#define UNP_SPARSE_MAX 262144u /* extents of one file */

struct unp_sparse {
    struct unp_extent *v;
    size_t n;
    size_t cap;
};

void unp_sparse_fini(struct unp_sparse *s);
/* BH_E_LIMIT past UNP_SPARSE_MAX. */
int unp_sparse_add(struct unp_sparse *s, uint64_t at, uint64_t len, struct bh_err *err);
/* n_slots times offset[12], length[12] of an old GNU header or its extension; an empty slot ends the list. */
int unp_sparse_add_old(struct unp_sparse *s, const unsigned char *slots, size_t n_slots, struct bh_err *err);
/* "offset,length,offset,length" (0.1). */
int unp_sparse_add_text(struct unp_sparse *s, const char *text, size_t n, struct bh_err *err);
/* In order, inside real_size, adding up to stored bytes.  at: offset in the tar, for the message. */
int unp_sparse_check(const struct unp_sparse *s, uint64_t real_size, uint64_t stored, uint64_t at, struct bh_err *err);

/* The 1.0 map: decimal lines at the start of the data, in whole blocks.  Feed block by block. */
struct unp_sparse_lines {
    uint64_t want; /* numbers still to come; 0 before the count is known */
    bool have_count;
    uint64_t number;
    unsigned digits;
    uint64_t offset;
    bool have_offset;
};
/* *done is set when the map ended inside this block. */
int unp_sparse_block(struct unp_sparse_lines *l, struct unp_sparse *s, const unsigned char *block, bool *done,
                     struct bh_err *err);

#endif
