/*
 * ustar.h - the header of a file or folder in a tar that the engine writes itself.
 *
 * Room: all.  Source: POSIX.1-2017 pax, "ustar Interchange Format"; a size of 8 GiB or more in base 256, as GNU tar has
 * it.
 */
#ifndef BH_BASE_USTAR_H
#define BH_BASE_USTAR_H

#include <stddef.h>
#include <stdint.h>

#define BH_USTAR_BLOCK 512
#define BH_USTAR_NAME  100 /* bytes of a name, with its NUL */

struct bh_ustar {
    const char *name; /* shorter than BH_USTAR_NAME */
    char type;        /* '0': a file, '5': a folder */
    unsigned mode;
    uint64_t size;
    int64_t mtime_s; /* 0 stands for what the field cannot hold */
};

/* Owner and group are 0. */
void bh_ustar_header(char out[BH_USTAR_BLOCK], const struct bh_ustar *e);
/* How many zeros fill the last block of a content. */
size_t bh_ustar_padding(uint64_t size);

#endif
