/*
 * fdio.h - whole reads and whole writes on descriptors; small files at once.
 *
 * Room: all.  EINTR and short counts are handled here and nowhere else.
 */
#ifndef BH_BASE_FDIO_H
#define BH_BASE_FDIO_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* All n bytes or -1 with errno. */
int bh_write_all(int fd, const void *data, size_t n);
int bh_pwrite_all(int fd, const void *data, size_t n, off_t at);
/* Reads until n bytes or the end; returns the count or -1 with errno. */
ssize_t bh_read_full(int fd, void *data, size_t n);
ssize_t bh_pread_full(int fd, void *data, size_t n, off_t at);

/* A whole small file below dirfd (AT_FDCWD allowed).  Over `max` bytes: BH_E_LIMIT. */
int bh_file_read(int dirfd, const char *path, size_t max, struct bh_buf *out, struct bh_err *err);
/* Replace a file so that a crash leaves the old or the new content: temporary name beside it,
 * write, fdatasync, rename, fsync of the folder when durable is set. */
int bh_file_replace(int dirfd, const char *name, const void *data, size_t n, mode_t mode, bool durable,
                    struct bh_err *err);
/* Makes the folders above path that are missing, not its last part.  -1 with errno. */
int bh_make_parents(const char *path, mode_t mode);

/* A folder, not by a link, to read entry by entry; NULL with errno.  Without "." and "..". */
DIR *bh_dir_open(int dirfd, const char *path);
/* NULL at the end, and for a folder that is NULL. */
struct dirent *bh_dir_next(DIR *d);
void bh_scope_dir(DIR **d);
#define BH_SCOPE_DIR __attribute__((cleanup(bh_scope_dir)))

int bh_set_nonblock(int fd, bool on);
int bh_set_cloexec(int fd, bool on);

#endif
