/*
 * assemble_index.h - what a build for several platforms ends with: its images under one index.
 *
 * Room: store.  The layers get their compressed forms here, so that index and manifests are what a registry or an
 * archive gets later, byte for byte.
 */
#ifndef STORE_ASSEMBLE_INDEX_H
#define STORE_ASSEMBLE_INDEX_H

#include "hold.h"
#include "oci/config.h"
#include "store.h"

#define STORE_INDEX_IMAGES 32

struct store_assemble_index {
    struct store_hold *hold;
    const struct bh_image_config *configs; /* in the order of the index, with history and diff ids */
    size_t n;
    const char *const *names; /* none: the images live as long as the hold, and are in no list */
    size_t n_names;
    bool keep;                           /* unless this is set: then the one of this host stays without a name */
    const struct bh_pairs *annotations;  /* of each manifest */
    const struct bh_pairs *on_the_index; /* annotations */
    int cancel_fd;
};
struct store_assembled_index {
    char index[STORE_DIGEST_SIZE];
    char id[STORE_DIGEST_SIZE]; /* of the image that the names mean: this host's platform, else the first */
};
int store_assemble_index(struct store *s, const struct store_assemble_index *a, struct bh_arena *arena,
                         struct store_assembled_index *out, struct bh_err *err);

#endif
