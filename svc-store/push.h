/*
 * push.h - what goes out of an image to a registry: documents as kept, layers in a compressed form.
 *
 * Room: store.  A manifest that came from outside goes out as it came when its blobs are here.  Bare layers
 * of images that were made here, and layers whose blobs were not kept, are compressed once; the manifest
 * of that is kept with the image, so the next push finds it.  A hold keeps all of it while it is sent.
 */
#ifndef STORE_PUSH_H
#define STORE_PUSH_H

#include "hold.h"
#include "image.h"
#include "oci/ref.h"

struct store_push {
    const char *name;
    const char *manifest;    /* with kept: which one of the image; NULL: its own */
    const char *platform;    /* "": all that is here of an index, else this one */
    const char *compression; /* "": as kept, else gzip; "gzip", "zstd" */
    unsigned level;
    bool kept;              /* also an image that only a hold keeps */
    bool force;             /* also layers that are compressed otherwise */
    const char *repository; /* canonical target, "" if none */
    int cancel_fd;
    void (*progress)(void *arg, const char *diff_id, uint64_t current, uint64_t total);
    void *arg;
};

struct store_push_layer {
    struct store_desc desc;
    const char *diff_id; /* "": a blob of an artifact */
    char **sources;      /* repositories on the target's registry */
    size_t n_sources;
};
struct store_push_manifest {
    struct store_desc desc;
    const void *data;
    struct store_desc config;
    const void *config_data;
    struct store_push_layer *layers;
    size_t n_layers;
};
struct store_push_image {
    char reference[BH_REF_TEXT_SIZE]; /* "" for an id */
    struct store_push_manifest *manifests;
    size_t n_manifests;
    struct store_desc index; /* digest NULL: none */
    const void *index_data;
};

/* Everything in *out is in the arena, and under the lease of the hold. */
int store_push_open(struct store *s, struct store_hold *h, const struct store_push *p, struct bh_arena *arena,
                    struct store_push_image *out, struct bh_err *err);

#endif
