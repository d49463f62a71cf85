/*
 * tar_entry.h - one entry put together from its header, its extended headers and its sparse map.
 *
 * Room: worker.  Part of the tar reader; not for its users.
 */
#ifndef UNP_TAR_ENTRY_H
#define UNP_TAR_ENTRY_H

#include "unpack/tar_reader.h"

/* A header block that is not an extension was read; t->at is behind it. */
int unp_tar_begin_entry(struct unp_tar *t, const struct unp_tar_header *h, struct bh_err *err);
/* All that was needed is there, t->at is where the data starts: tell the entry and go on behind its data. */
int unp_tar_tell_entry(struct unp_tar *t, struct bh_err *err);

/* From tar_reader.c. */
void unp_tar_clear_pending(struct unp_tar *t);
void unp_tar_pass_data(struct unp_tar *t, uint64_t size);

#endif
