/*
 * publish.h - the one way in which images become visible: documents, names of files, one commit.
 *
 * Room: store.  Layers are in place under a lease.  When store_publish returns 0, every image and
 * name of the list survives a power cut; when it fails, none of them is there.
 */
#ifndef STORE_PUBLISH_H
#define STORE_PUBLISH_H

#include "image.h"
#include "oci/ref.h"

struct store_publish_image {
    bool fleeting; /* only to be saved: gone with its hold and with any restart, so nothing of it is synced */
    struct store_new_image image;
    const struct bh_ref *names; /* with tag or digest each */
    size_t n_names;
    int64_t out_k;
};

/* A name was taken from another image: old is its id. */
typedef void store_moved_fn(void *arg, const struct bh_ref *name, const char *old_id);

struct store_document {
    const char *digest;
    int kind; /* STORE_BLOB_* */
    const void *data;
    size_t n;
};

/* The bytes must have the digest (BH_E_DATA_LOSS else); gets a file, a row and the lease. */
int store_document_put(struct store *s, uid_t owner, int64_t lease, const struct store_document *d, struct bh_err *err);
/* Documents of the images are put first; the lease ends with the commit, *lease becomes 0. */
int store_publish(struct store *s, uid_t owner, int64_t *lease, struct store_publish_image *images, size_t n,
                  store_moved_fn *moved, void *arg, struct bh_err *err);

/* The same for a lease that goes on. */
int store_publish_under(struct store *s, uid_t owner, int64_t lease, struct store_publish_image *images, size_t n,
                        store_moved_fn *moved, void *arg, struct bh_err *err);

/* A further manifest of an image that is there, in one commit; what it names is under the lease. */
int store_publish_manifest(struct store *s, uid_t owner, int64_t lease, int64_t image, const struct store_new_image *n,
                           struct bh_err *err);

/* A manifest of ours for a config and layers; annotations: NULL for none.  Fills the manifest fields and layers of out,
 * in the arena. */
int store_manifest_of(const char *config_digest, size_t config_size, const struct store_desc *layers, size_t n,
                      const struct bh_pairs *annotations, struct bh_arena *arena, struct store_new_image *out,
                      struct bh_err *err);
/* A manifest of ours for a config and bare layers, written the same way every time.  Fills the manifest
 * fields and layers of out, in the arena. */
int store_manifest_make(const struct bh_image_config *config, const char *config_digest, size_t config_size,
                        const uint64_t *tar_sizes, const struct bh_pairs *annotations, struct bh_arena *arena,
                        struct store_new_image *out, struct bh_err *err);
/* All of an image that is made here: config written, reduced, manifest.  n_layers = config->n_diff_ids. */
int store_image_make(const struct bh_image_config *config, const uint64_t *tar_sizes,
                     const struct bh_pairs *annotations, struct bh_arena *arena, struct store_new_image *out,
                     struct bh_err *err);

#endif
