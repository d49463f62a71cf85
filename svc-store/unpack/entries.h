/*
 * entries.h - the entries of a layer as a worker lists them for the store: what `image diff` compares.
 *
 * Room: worker (job "entries" writes them), store (reads them with every range checked).  Records follow
 * each other in the order of a walk: a directory, then what is in it, names by their bytes.
 */
#ifndef BH_UNPACK_ENTRIES_H
#define BH_UNPACK_ENTRIES_H

#include <assert.h>
#include <stdint.h>

#define BH_ENTRY_WHITEOUT 0x1u
#define BH_ENTRY_OPAQUE   0x2u
#define BH_ENTRY_PATH_MAX 8192u

struct bh_entry {
    uint32_t size; /* of the record, a multiple of 8 */
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint64_t length;
    int64_t mtime;
    uint32_t nsec;
    uint32_t flags;
    uint16_t path_len; /* relative to the root, no NUL behind it */
    uint16_t link_len;
    uint32_t zero;
    char text[]; /* path, target of a symlink, zeros */
};
static_assert(sizeof(struct bh_entry) == 48, "fixed layout");

#endif
