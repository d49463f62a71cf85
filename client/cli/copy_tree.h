/*
 * copy_tree.h - an image from side to side: its blobs, then its manifest, an index last.
 *
 * Room: client.  Documents travel byte for byte, so that digests stay.
 */
#ifndef BH_CLI_COPY_TREE_H
#define BH_CLI_COPY_TREE_H

#include "cli/copy_side.h"
#include "cli/progress.h"

struct cli_copy {
    struct cli_copy_side *from, *to;
    bool all; /* of an index all, else one platform */
    struct bh_platform want;
    size_t jobs; /* blobs at once */
    struct cli_progress *progress;
};
/* Opens the layouts; one of the two at least is one. */
int cli_copy_run(struct cli_copy *c, struct bh_err *err);

#endif
