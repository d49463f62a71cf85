/*
 * context_list.h - the files of a build's context as a worker lists them: names, attributes, digests, and where
 * the contents lie.
 *
 * Room: worker (job "context" writes it; "context", "compose" and "file" read it and check every range).  The
 * store keeps the file and looks at nothing in it.  One head, then the records in the order of a walk: a folder,
 * then what is in it, names by their bytes.  Contents lie in packs: files of bytes, numbered from 0.
 */
#ifndef BH_UNPACK_CONTEXT_LIST_H
#define BH_UNPACK_CONTEXT_LIST_H

#include <assert.h>
#include <stdint.h>

#define BH_CONTEXT_MAGIC "BHCTXT01"
#define BH_CONTEXT_PACKS 48u /* at most; then all contents are asked for once more */

struct bh_context_head {
    char magic[8];
    uint64_t entries;
    uint64_t size; /* of the whole list */
    uint32_t packs;
    uint32_t zero;
};
static_assert(sizeof(struct bh_context_head) == 32, "fixed layout");

struct bh_context_record {
    uint32_t size; /* of the record, a multiple of 8 */
    uint32_t mode;
    uint64_t length; /* of files */
    int64_t mtime;
    uint32_t nsec;
    uint32_t pack; /* of the content; of an empty file any */
    uint64_t at;   /* in the pack */
    uint64_t same; /* not 0: names with the same number are one file */
    uint8_t sha256[32];
    uint16_t path_len; /* relative to the root, no NUL behind it */
    uint16_t link_len;
    uint32_t xattr_len; /* encoded as in a layer's index, a multiple of 4 */
    char text[];        /* xattrs, path, target of a symlink, zeros */
};
static_assert(sizeof(struct bh_context_record) == 88, "fixed layout");

#endif
