/*
 * base64.h - base64 with padding (RFC 4648, section 4).
 *
 * Room: all.  Pure.
 */
#ifndef BH_BASE_BASE64_H
#define BH_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

void bh_base64_add(struct bh_buf *out, const void *data, size_t n);
/* Appends what text[0..n) says.  False, with nothing appended, for anything that is not whole base64;
 * padding may be missing, as some writers leave it out. */
bool bh_base64_read(struct bh_buf *out, const char *text, size_t n);

#endif
