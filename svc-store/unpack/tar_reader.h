/*
 * tar_reader.h - a tar, fed in pieces of any size, told as a sequence of whole entries.
 *
 * Room: worker.  One reader decides for layers and archives, so digest, listing and mount cannot
 * disagree about what is in a tar.  It reads headers and passes over data; whoever can seek asks how
 * much may be left out (unp_tar_skippable).  Rules: docs/store-format.md, section 4.
 */
#ifndef UNP_TAR_READER_H
#define UNP_TAR_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "unpack/tar_header.h"
#include "unpack/tar_pax.h"
#include "unpack/tar_sparse.h"

enum unp_type {
    UNP_REG,
    UNP_LINK, /* hard link */
    UNP_SYMLINK,
    UNP_CHR,
    UNP_BLK,
    UNP_DIR,
    UNP_FIFO,
};

/* Everything pointed at is gone when the callback returns. */
struct unp_entry {
    enum unp_type type;
    struct unp_text name; /* raw; never empty; no NUL */
    struct unp_text link; /* raw target; not empty for links */
    uint32_t mode;        /* twelve bits */
    uint32_t uid;
    uint32_t gid;
    int64_t mtime;
    uint32_t mtime_nsec;
    uint64_t size;                   /* of the file; 0 for all but UNP_REG */
    uint64_t data_at;                /* offset in the tar, a multiple of 512 */
    uint64_t data_size;              /* bytes there; differs from size for sparse files only */
    const struct unp_sparse *sparse; /* NULL: not sparse */
    const struct unp_xattr *xattrs;
    unsigned n_xattrs;
};

struct unp_tar_limits {
    uint64_t max_entries;
    uint32_t max_path;
    uint32_t max_pax;
    bool strict_end; /* demand the two zero blocks and nothing but zeros behind them */
};

typedef int unp_tar_fn(void *arg, const struct unp_entry *e, struct bh_err *err);

enum unp_tar_state {
    UNP_TAR_HEADER,     /* wants a header block */
    UNP_TAR_EXTENSION,  /* wants the data of an x, g, L or K header */
    UNP_TAR_OLD_SPARSE, /* wants a block of an old GNU sparse map */
    UNP_TAR_MAP,        /* wants a block of a 1.0 sparse map */
    UNP_TAR_DATA,       /* passes over data and padding */
    UNP_TAR_DONE,       /* the end was seen; the rest is not read */
};

struct unp_tar {
    struct unp_tar_limits limits;
    unp_tar_fn *fn;
    void *arg;
    enum unp_tar_state state;
    uint64_t at;      /* offset of the next byte */
    uint64_t skip;    /* UNP_TAR_DATA: bytes to pass over */
    uint64_t entries; /* told so far */
    unsigned zero_blocks;

    unsigned char block[UNP_TAR_BLK]; /* the piece of a block at the end of a feed */
    size_t have;

    /* what the headers before an entry said */
    struct bh_buf ext; /* data of the extended header that is being read */
    uint64_t ext_size;
    uint64_t ext_at;
    char ext_type;
    struct bh_buf pax_bytes;
    struct bh_buf long_name;
    struct bh_buf long_link;
    bool has_pax, has_long_name, has_long_link;
    struct unp_pax pax;
    struct unp_pax global;

    /* the entry whose map is being read */
    unsigned char entry_block[UNP_TAR_BLK];
    struct unp_tar_header header;
    uint64_t entry_at;
    uint64_t stored; /* bytes of data of the entry still in the archive, map blocks not counted */
    uint64_t real_size;
    struct unp_sparse sparse;
    struct unp_sparse_lines lines;
    bool is_sparse;
    struct bh_buf name; /* put together */
};

void unp_tar_init(struct unp_tar *t, const struct unp_tar_limits *limits, unp_tar_fn *fn, void *arg);
void unp_tar_fini(struct unp_tar *t);
/* BH_E_INVALID (reason "invalid-tar"), BH_E_LIMIT (reason "limit"), or what the callback returned. */
int unp_tar_feed(struct unp_tar *t, const void *data, size_t n, struct bh_err *err);
/* Bytes from here on that need not be fed; unp_tar_skip passes over at most that many. */
uint64_t unp_tar_skippable(const struct unp_tar *t);
void unp_tar_skip(struct unp_tar *t, uint64_t n);
/* The bytes are over: is this a good place to end? */
int unp_tar_end(struct unp_tar *t, struct bh_err *err);

#endif
