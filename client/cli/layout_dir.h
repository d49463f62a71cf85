/*
 * layout_dir.h - an OCI layout given as a folder, packed into a tar on the way to the engine.
 *
 * Room: client, with the caller's rights.  Only the files of a layout are taken: oci-layout,
 * index.json, blobs/ALG/HEX; links are not followed.
 */
#ifndef BH_CLI_LAYOUT_DIR_H
#define BH_CLI_LAYOUT_DIR_H

#include "base/err.h"

struct layout_dir;
/* *out_fd: a pipe to read the tar from; a thread writes it.  BH_E_INVALID if the folder is no layout. */
int layout_dir_open(const char *path, struct layout_dir **out, int *out_fd, struct bh_err *err);
/* Wait for the writer and free; the error of the first file that could not be read. */
int layout_dir_close(struct layout_dir *d, struct bh_err *err);

#endif
