/*
 * write.h - pieces of JSON that the writers of lib/oci share.
 *
 * Room: lib/oci alone; no other folder includes it.  A comma is set by what stands before: nothing
 * after '{', a comma else.  Absent values ("" or not present) write nothing.
 */
#ifndef BH_OCI_WRITE_H
#define BH_OCI_WRITE_H

#include "base/buf.h"
#include "oci/types.h"

void bh_write_key(struct bh_buf *b, const char *key);
void bh_write_text(struct bh_buf *b, const char *s);
void bh_write_str(struct bh_buf *b, const char *key, const char *value);
void bh_write_strlist(struct bh_buf *b, const char *key, const struct bh_strlist *l);
void bh_write_pairs(struct bh_buf *b, const char *key, const struct bh_pairs *p);

#endif
