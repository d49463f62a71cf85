/*
 * tar_header.h - one 512-byte header block: checked and read into numbers, without its extensions.
 *
 * Room: worker.  Pure.  Names point into the block that was given.
 * Source: POSIX.1-2017 pax; GNU tar manual; the v7 and star forms as Go's archive/tar reads them,
 * because docker decides by that reader what an image is.
 */
#ifndef UNP_TAR_HEADER_H
#define UNP_TAR_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define UNP_TAR_BLK 512u

enum unp_tar_form { UNP_TAR_V7, UNP_TAR_USTAR, UNP_TAR_GNU, UNP_TAR_STAR };

struct unp_tar_header {
    enum unp_tar_form form;
    char type;        /* typeflag; NUL has become '0' */
    bool old_regular; /* it was NUL: with a slash at the end of its name this is a directory */
    uint32_t mode;
    int64_t uid;
    int64_t gid;
    int64_t size; /* never negative */
    int64_t mtime;
    const char *name;
    size_t name_len;
    const char *prefix; /* ustar and star; length 0 if none */
    size_t prefix_len;
    const char *link;
    size_t link_len;
    const unsigned char *block;
};

bool unp_tar_is_zero(const unsigned char block[UNP_TAR_BLK]);
/* A stored sum over unsigned bytes, or over signed ones as some old programs made it. */
bool unp_tar_checksum_ok(const unsigned char block[UNP_TAR_BLK]);
/* BH_E_INVALID, reason "invalid-tar"; at is the offset in the tar, for the message. */
int unp_tar_header_read(const unsigned char block[UNP_TAR_BLK], uint64_t at, struct unp_tar_header *out,
                        struct bh_err *err);
/* Types that never have data behind their header, whatever their size field says (Go and GNU agree). */
bool unp_tar_no_data(char type);

#endif
