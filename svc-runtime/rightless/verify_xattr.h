/*
 * verify_xattr.h - the xattrs of one inode: canonical, and none that gives power over other layers.
 *
 * Room: a child of launch without rights.  Source: docs/store-format.md, section 3.5.
 */
#ifndef LNC_VERIFY_XATTR_H
#define LNC_VERIFY_XATTR_H

#include <stdint.h>

/* p[0..n): header and entries of an inode of this BH_FT_* type.  0, or -1 when anything deviates. */
int lnc_verify_xattrs(const unsigned char *p, uint32_t n, uint32_t type);

#endif
