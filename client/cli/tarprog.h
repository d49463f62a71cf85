/*
 * tarprog.h - tar(1) at work for the caller: a build's context comes as an archive, its result goes into a folder.
 *
 * Room: client, with the caller's rights.
 */
#ifndef BH_CLI_TARPROG_H
#define BH_CLI_TARPROG_H

#include "base/err.h"

/* Unpacks fd, compressed or not (then it must be a file), below the folder, as the caller's own files. */
int cli_tar_unpack(int fd, const char *folder, struct bh_err *err);
/* The same beside this process: *out_fd is where the tar is written to. */
struct cli_tar;
int cli_tar_open(const char *folder, struct cli_tar **out, int *out_fd, struct bh_err *err);
/* Waits for its end, after the write end has been closed; frees. */
int cli_tar_close(struct cli_tar *t, struct bh_err *err);

/* Removes a folder and everything in it; links are not followed. */
void cli_tree_remove(const char *folder);

#endif
