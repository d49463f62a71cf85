/*
 * image.h - an image as the index has it: what it is, what it is made of, who may see it.
 *
 * Room: store.  An image belongs to one owner; its layers and documents are shared by digest.  Its id is the
 * digest of its config, whose bytes are kept as they came.
 */
#ifndef STORE_IMAGE_H
#define STORE_IMAGE_H

#include "base/arena.h"
#include "index.h"
#include "oci/config.h"
#include "oci/types.h"

enum { STORE_READY = 0, STORE_KEPT = 1, STORE_GOING = 2, STORE_DAMAGED = 3 };
enum {
    STORE_BLOB_MANIFEST = 1,
    STORE_BLOB_CONFIG = 2,
    STORE_BLOB_INDEX = 3,
    STORE_BLOB_LAYER = 4,
    STORE_BLOB_OTHER = 5
};

struct store_name {
    const char *repo;   /* canonical, "docker.io/library/debian" */
    const char *tag;    /* "" when named by digest */
    const char *digest; /* "" when named by tag */
};

/* An image of an index that is here, or the image itself. */
struct store_image_platform {
    const char *manifest; /* digest */
    const char *os, *arch, *variant;
    uint64_t size, content; /* uncompressed layers; manifest, config and layers as in the manifest */
    unsigned containers;
};

struct store_image {
    int64_t k;
    uid_t owner;
    const char *id;
    const char *manifest;
    const char *parent; /* id, "" if none */
    const char *os;
    const char *arch;
    const char *variant;
    const char *artifact; /* its type; "" of an image that can run */
    int64_t created_ns;
    int64_t added_ns;
    int64_t last_used_ns;
    int64_t last_tag_ns;
    uint64_t size;   /* uncompressed layers */
    uint64_t shared; /* of them, in other images too; both 0 until store_image_sizes */
    uint64_t unique;
    bool made; /* the manifest was written here: its digest is known to nobody else */
    bool has_children;
    unsigned containers;
    struct bh_pairs labels;
    const struct store_name *names;
    size_t n_names;
    struct store_image_platform *platforms; /* none until store_image_platforms */
    size_t n_platforms;
};

/* All that who may see, newest first, in a number of queries that does not depend on how many there are. */
int store_image_list(struct store_db *db, const struct store_who *who, struct bh_arena *arena, struct store_image **out,
                     size_t *out_n, struct bh_err *err);
/* Fill shared and unique. */
int store_image_sizes(struct store_db *db, struct store_image *images, size_t n, struct bh_err *err);
/* Fill platforms, sorted by name; none of artifacts. */
int store_image_platforms(struct store_db *db, struct store_image *images, size_t n, struct bh_arena *arena,
                          struct bh_err *err);
int store_image_get(struct store_db *db, int64_t k, struct bh_arena *arena, struct store_image *out,
                    struct bh_err *err);
/* The packed typed config of image k, in the arena. */
int store_image_reduced(struct store_db *db, int64_t k, struct bh_arena *arena, const void **out, size_t *out_n,
                        struct bh_err *err);
bool store_image_has_tag(const struct store_image *im);
/* Out of the columns of a row. */
struct bh_platform store_platform(const char *os, const char *arch, const char *variant);

struct store_image_layer {
    const char *diff_id;
    uint64_t tar_size;
    uint64_t content; /* what is shown as its size */
};
/* Lowest first. */
int store_image_layers(struct store_db *db, int64_t k, struct bh_arena *arena, struct store_image_layer **out,
                       size_t *out_n, struct bh_err *err);

struct store_desc {
    const char *digest;
    uint64_t size;
    const char *media;
};
struct store_manifest {
    int64_t k;
    const char *digest;
    uint64_t size;
    const char *media;
    const char *config_media;
    const char *config; /* digest */
    uint64_t config_size;
    bool made;
    struct store_desc *layers; /* as the manifest says, lowest first */
    size_t n_layers;
};
/* digest "": the preferred one of the image. */
int store_manifest_get(struct store_db *db, int64_t image, const char *digest, struct bh_arena *arena,
                       struct store_manifest *out, struct bh_err *err);

/* ---- making -------------------------------------------------------------------------------- */

struct store_new_image {
    const char *id;
    const char *artifact; /* NULL or "": an image; else its type: then id is the manifest's digest, config is empty */
    const char *config_digest; /* of an artifact, whose config is no image config; its blob has a row already */
    const struct bh_image_config *config;
    const void *reduced; /* config as packed message */
    size_t n_reduced;
    const void *config_data;
    size_t n_config;
    const char *config_media;
    const char *manifest; /* digest */
    const char *manifest_media;
    const void *manifest_data;
    size_t n_manifest;
    bool made;
    bool leads;                      /* made: it takes the place of another that was made here */
    const struct store_desc *layers; /* of the manifest */
    size_t n_layers;
    const char *parent;
    const char *other; /* digest of the index that it came with, which is kept with it; "" if none */
    const char *other_media;
    bool part; /* of that index, for another platform: not listed, kept while a name has the index */
};

/* Row of an image whose layers and blobs have rows already.  An image that is there keeps its row. */
int store_image_put(struct store_db *db, uid_t owner, const struct store_new_image *n, int64_t *out_k,
                    struct bh_err *err);
/* A further manifest of an image that is there; its blob has a row. */
int store_manifest_put(struct store_db *db, int64_t image, const struct store_new_image *n, struct bh_err *err);
int store_blob_put(struct store_db *db, uid_t owner, const char *digest, int kind, uint64_t size, const char *codec,
                   struct bh_err *err);
/* found: a row that is not about to go. */
int store_blob_find(struct store_db *db, const char *digest, int64_t *out_k, bool *out_found, struct bh_err *err);
/* Is the blob here, as a compressed form of that layer? */
int store_blob_of_layer(struct store_db *db, const char *digest, const char *diff_id, bool *out_found,
                        struct bh_err *err);

#endif
