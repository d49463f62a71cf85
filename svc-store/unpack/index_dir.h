/*
 * index_dir.h - names of one directory: their order, and their packing into blocks of 512 bytes.
 *
 * Room: worker.  docs/store-format.md 3.3.  Children of a directory are sorted before these are called.
 */
#ifndef UNP_INDEX_DIR_H
#define UNP_INDEX_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "unpack/tree.h"

struct unp_sort_key {
    uint64_t head; /* first eight bytes of the name, as a number that sorts like them */
    uint32_t dent;
};
struct unp_sorted {
    struct unp_sort_key *v;
    size_t n;
    size_t cap;
};
bool unp_sorted_add(struct unp_sorted *s, const struct unp_tree *t, uint32_t dent);
void unp_sorted_sort(struct unp_sorted *s, const struct unp_tree *t);

/* One name to be written; walks ".", ".." and the children in one order. */
struct unp_name {
    const char *s;
    size_t n;
    uint32_t inode;
};
struct unp_dir_walk {
    const struct unp_tree *t;
    uint32_t dir; /* dent */
    uint32_t child;
    unsigned dots; /* 0: "." comes, 1: ".." comes, 2: both done */
};
void unp_dir_begin(struct unp_dir_walk *w, const struct unp_tree *t, uint32_t dir);
bool unp_dir_next(struct unp_dir_walk *w, struct unp_name *out);

/* i_size of the directory. */
uint64_t unp_dir_size(const struct unp_tree *t, uint32_t dir);

#endif
