/*
 * images_tree.h - `images --tree`: each image with its names and, below it, the platforms of it that are here.
 *
 * Room: client.  docker 28's columns, widths and order; colours on a terminal.
 */
#ifndef BH_CLI_IMAGES_TREE_H
#define BH_CLI_IMAGES_TREE_H

#include "bulkhead/bulkhead.h"
#include "cli/opt.h"

struct images_tree;

struct images_tree *images_tree_new(void);
/* An ImageSummary with its platforms; only what is shown is kept. */
void images_tree_add(struct images_tree *t, const bulkhead_value *image);
void images_tree_print(struct cli_out *out, const struct images_tree *t);
void images_tree_free(struct images_tree *t);

#endif
