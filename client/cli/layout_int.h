/*
 * layout_int.h - what the files of a layout share.
 *
 * Room: client.  Private to layout*.c.
 */
#ifndef BH_CLI_LAYOUT_INT_H
#define BH_CLI_LAYOUT_INT_H

#include "cli/layout.h"

#define CLI_LAYOUT_DOCUMENT_MAX ((size_t)4 << 20)

/* A small file below the folder, not by a link. */
int cli_layout_read_file(const struct cli_layout *l, const char *name, struct bh_buf *out, struct bh_err *err);

#endif
