/*
 * file.h - files of the user: what an archive is read from and written to.
 *
 * Room: client, with the caller's rights.  An output file appears whole or not at all.
 */
#ifndef BH_CLI_FILE_H
#define BH_CLI_FILE_H

#include "base/err.h"

/* path NULL or "-": standard input (refused when it is a terminal; verb names the command in the
 * error). */
int cli_input_open(const char *path, const char *verb, int *out_fd, struct bh_err *err);

/* An output in the making: NULL or "-" is standard output (refused when it is a terminal); else a
 * temporary file beside the path, mode 0600, that cli_output_commit renames. */
struct cli_output {
    int fd;
    char path[4096], temp[4200];
};
int cli_output_open(const char *path, const char *what, struct cli_output *out, struct bh_err *err);
int cli_output_commit(struct cli_output *out, struct bh_err *err);
void cli_output_abort(struct cli_output *out);

#endif
