/*
 * spool.h - an archive that comes by a pipe or in chunks, made seekable.
 *
 * Room: store.  The bytes lie in a file without name below ingest/ while the call lasts.
 */
#ifndef STORE_SPOOL_H
#define STORE_SPOOL_H

#include "place.h"

/* Next bytes of the source; *out_n == 0: the end. */
typedef int store_spool_next(void *arg, const void **out, size_t *out_n, struct bh_err *err);

/* BH_E_LIMIT over options.max_archive; a full disk is told as store_write_error tells it. */
int store_spool(struct store *s, store_spool_next *next, void *arg, struct store_temp *out, struct bh_err *err);
/* From a descriptor that cannot seek. */
int store_spool_fd(struct store *s, int fd, int cancel_fd, struct store_temp *out, struct bh_err *err);
bool store_fd_seekable(int fd);

#endif
