/*
 * plan.h - which images of an archive to take, under which names, and which layers that needs.
 *
 * Room: store.  Pure: decides over a worker's plan, touches nothing.
 */
#ifndef STORE_PLAN_H
#define STORE_PLAN_H

#include "oci/ref.h"
#include "result.h"

struct store_chosen {
    const struct store_plan_image *image;
    const struct store_plan_index *index; /* NULL when named directly */
    bool part; /* of another platform of an index: it has no name, the index' name stands for it */
    struct bh_ref *names;
    size_t n_names;
    size_t cap_names;
};

struct store_choice {
    struct store_chosen *images;
    size_t n_images;
    const struct store_plan_layer **layers; /* each diffID once */
    size_t n_layers;
};

/* platform "": of an index the image that runs here, else its first, has the names, and all others that are in the
 * archive come as its parts.  BH_E_INVALID when an image that was
 * named cannot be loaded from the archive; BH_E_NOT_FOUND when the platform is not there. */
int store_plan_choose(const struct store_plan *plan, const char *platform, struct bh_arena *arena,
                      struct store_choice *out, struct bh_err *err);

#endif
