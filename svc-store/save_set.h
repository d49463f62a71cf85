/*
 * save_set.h - what a save puts into its archive: images with their names, indexes, blobs.
 *
 * Room: store.  Chosen in one read of the index (save_set.c), kept by a lease, written by save.c.
 */
#ifndef STORE_SAVE_SET_H
#define STORE_SAVE_SET_H

#include "base/arena.h"
#include "oci/config.h"
#include "oci/ref.h"
#include "place.h"
#include "save.h"

/* A blob of the archive: bytes in memory, or a stretch of a file. */
struct store_piece {
    const char *digest;
    const void *data; /* NULL: a file */
    size_t n;
    enum store_tree tree;
    uint64_t offset;
    uint64_t size;
};

/* An index that goes out as it came, with all of its images that are here. */
struct store_saved_index {
    int64_t k; /* the image that runs here */
    const char *digest;
    const char *manifest; /* of that image, as the index names it */
    const char *media;
    uint64_t size;
    bool whole; /* its images can go out as they came */
};

struct store_saved_name {
    struct bh_ref ref;                     /* with a tag */
    const struct store_saved_index *index; /* NULL: the name means the image alone */
};

struct store_saved_image {
    int64_t k;
    const char *wanted; /* digest of its manifest as asked for */
    bool part;          /* of an index: for another platform, without a name */
    const char *id;
    const char *manifest; /* digest as it goes out */
    uint64_t manifest_size;
    const char *manifest_media;
    struct bh_strlist layers; /* "blobs/sha256/.." */
    const char *top_layer;    /* digest, "" if none */
    struct store_saved_name *names;
    size_t n_names;
    const struct store_saved_index *index; /* of one without a name */
};

struct store_saving {
    struct store *s;
    const struct store_save *save;
    struct bh_arena arena;
    int64_t lease;
    struct store_saved_image *images;
    size_t n_images;
    struct store_saved_index *indexes;
    size_t n_indexes;
    struct store_piece *pieces;
    size_t n_pieces;
    size_t cap_pieces;
};

/* All that save->names and save->tags mean, and puts it under x->lease.  Between the two nothing may be collected: the
 * caller shares the store's tidy lock. */
int store_saving_choose(struct store_saving *x, struct bh_err *err);
/* "blobs/sha256/.."; NULL with err set. */
const char *store_saving_path(struct store_saving *x, const char *digest, struct bh_err *err);

#endif
