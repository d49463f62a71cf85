/*
 * save.h - images go out: one tar that is an OCI layout and a docker archive at once.
 *
 * Room: store.  Manifests, configs and kept blobs go out as they came in; a layer without its blob
 * goes out as the bare tar, under a manifest made for that.  The same images give the same bytes.
 */
#ifndef STORE_SAVE_H
#define STORE_SAVE_H

#include "store.h"
#include "tarout.h"

struct store_save {
    struct store_who who;
    const char *const *names;
    size_t n_names;
    const char *platform;    /* "": any */
    const char *const *tags; /* of one image: its names in the archive, in place of those that it has */
    size_t n_tags;
    const char *index; /* with tags: what they mean, an index that is here; NULL or "": the image */
};

/* BH_E_NOT_FOUND before the first byte when a name is not known. */
int store_save(struct store *s, const struct store_save *save, struct store_tarout *out, struct bh_err *err);

#endif
