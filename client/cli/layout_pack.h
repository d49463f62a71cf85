/*
 * layout_pack.h - one image of an OCI layout as an archive that the engine can read.
 *
 * Room: client, with the caller's rights.  The folder may be foreign: see layout.h.
 */
#ifndef BH_CLI_LAYOUT_PACK_H
#define BH_CLI_LAYOUT_PACK_H

#include <stdbool.h>

#include "base/err.h"

struct cli_layout_pick {
    const char *dir;
    const char *tag;    /* "" with a digest, or for the only image */
    const char *digest; /* "" if none */
    const char *or_tag; /* without tag and digest, when there are several images: this one */
};
/* *out_fd: a file without a name, at its start.  *out_foreign: it is a cache of BuildKit, and there is no file. */
int cli_layout_pack(const struct cli_layout_pick *pick, int *out_fd, bool *out_foreign, struct bh_err *err);

#endif
