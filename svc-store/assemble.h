/*
 * assemble.h - an image of a whole config and layers that are here: what a build ends with, or runs a step on.
 *
 * Room: store.  Config and manifest are written the same way every time: the same config gives the same image.
 */
#ifndef STORE_ASSEMBLE_H
#define STORE_ASSEMBLE_H

#include "oci/config.h"
#include "store.h"

struct store_assemble {
    struct store_who who;
    int64_t lease;
    const struct bh_image_config *config; /* history and diff ids too */
    const char *const *names;             /* none: the image lives as long as the lease, and is in no list */
    size_t n_names;
    bool keep;          /* unless this is set: then it stays, as an image without a name */
    const char *parent; /* id, "" if none */
    const struct bh_pairs *annotations;
};
struct store_assembled {
    char id[STORE_DIGEST_SIZE];
    char manifest[STORE_DIGEST_SIZE];
    char **replaced; /* ids that lost a name, in the arena */
    size_t n_replaced;
};
int store_assemble(struct store *s, const struct store_assemble *a, struct bh_arena *arena, struct store_assembled *out,
                   struct bh_err *err);

#endif
