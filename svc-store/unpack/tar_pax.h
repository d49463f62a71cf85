/*
 * tar_pax.h - the records of one PAX extended header, and what they say about the next entry.
 *
 * Room: worker.  Values point into the bytes that were parsed; the caller keeps those alive.
 * Refused: a record whose length is not exact, a NUL in a name, a key that is known with a value that is not
 * understood.  Unknown keys are passed over, as POSIX asks.
 * Source: POSIX.1-2017 pax, "pax Extended Header"; GNU tar manual, "Storing Sparse Files".
 */
#ifndef UNP_TAR_PAX_H
#define UNP_TAR_PAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct unp_text {
    const char *s; /* NULL: not there */
    size_t n;
};

/* The name is what stands behind "SCHILY.xattr." or, percent-coded and the value in base64, behind
 * "LIBARCHIVE.xattr." (both decoded here). */
struct unp_xattr {
    struct unp_text name;
    struct unp_text value;
};

#define UNP_PAX_XATTRS 256 /* at most for one entry */

struct unp_pax {
    struct unp_text path;
    struct unp_text link;
    bool has_size, has_uid, has_gid, has_mtime;
    uint64_t size;
    uint32_t uid, gid;
    int64_t mtime;
    uint32_t mtime_nsec;

    /* GNU.sparse.* */
    bool sparse; /* any of these keys was there */
    bool has_major, has_minor, has_real;
    uint64_t major, minor, real_size;
    struct unp_text sparse_name;
    struct unp_text sparse_map; /* 0.1: "offset,length,.." */
    struct bh_buf pairs;        /* 0.0: uint64_t offset, length, .. */
    bool half_pair;             /* an offset without its length so far */

    struct unp_xattr xattrs[UNP_PAX_XATTRS];
    unsigned n_xattrs;
    struct bh_buf decoded; /* of LIBARCHIVE.xattr; never moves while one header is in use */
    size_t decoded_room;
};

void unp_pax_init(struct unp_pax *p);
void unp_pax_fini(struct unp_pax *p);
void unp_pax_reset(struct unp_pax *p);
/* Local header.  Later records of a key win over earlier ones.  at: offset in the tar, for messages. */
int unp_pax_parse(struct unp_pax *p, const char *data, size_t n, uint64_t at, struct bh_err *err);
/* Global header: only mtime, uid, gid count; names, sizes and sparse maps are refused. */
int unp_pax_parse_global(struct unp_pax *p, const char *data, size_t n, uint64_t at, struct bh_err *err);

#endif
