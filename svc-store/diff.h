/*
 * diff.h - what differs between the root file systems of two images.
 *
 * Room: store.  Workers list the layers' entries; here the lists are stacked and compared, by type, mode,
 * owner, size, time and link target, as docker compares a container with its image.
 */
#ifndef STORE_DIFF_H
#define STORE_DIFF_H

#include <stddef.h>

#include "base/err.h"
#include "store.h"

/* kind: 'A' only in b, 'D' only in a, 'C' in both and not alike, or a folder on the way to such a one. */
typedef int store_diff_fn(void *arg, char kind, const char *path, size_t n, struct bh_err *err);

int store_diff(struct store *s, const struct store_who *who, const char *a, const char *b, int cancel_fd,
               store_diff_fn *fn, void *arg, struct bh_err *err);

struct bh_entry;
/* A worker's list: count records in size bytes, in order, each within its bounds; pointers into data go to
 * out, which has room for count. */
int store_entries_read(const void *data, size_t size, uint64_t count, const struct bh_entry **out, struct bh_err *err);
/* For the tests.  Order of two paths: as a walk meets them (a folder, then what is in it). */
int store_path_cmp(const char *a, size_t an, const char *b, size_t bn);
/* upper over lower, both sorted; out has room for the sum.  Returns how many. */
size_t store_stack(const struct bh_entry *const *lower, size_t n_lower, const struct bh_entry *const *upper,
                   size_t n_upper, const struct bh_entry **out);
int store_compare(const struct bh_entry *const *a, size_t na, const struct bh_entry *const *b, size_t nb,
                  store_diff_fn *fn, void *arg, struct bh_err *err);

#endif
