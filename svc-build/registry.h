/*
 * registry.h - images and files from elsewhere, by way of the registry room.
 *
 * Room: build.  Credentials are the caller's; they are handed on as they came and kept nowhere.
 */
#ifndef BUILD_REGISTRY_H
#define BUILD_REGISTRY_H

#include "cancel.h"
#include "job.h"

struct build_registry;

int build_registry_open(const char *dir, struct build_registry **out, struct bh_err *err);

/* Into the caller's images, under the hold.  Progress goes to the vertex.  *out_id: of the image; its name may mean
 * another one, which this host runs. */
struct build_pull {
    uint64_t hold;
    const char *reference, *platform;
    bool missing;           /* by any name that a short one may mean it may be here already: then nobody is asked */
    struct bh_arena *arena; /* of *out_id */
};
int build_pull(struct build_registry *r, const struct build_ask *ask, const struct build_pull *what,
               struct build_cancel *cancel, struct build_vertex_ref v, const char **out_id, struct bh_err *err);
/* digest: what the registry has now. */
int build_push(struct build_registry *r, const struct build_ask *ask, const struct bh_strlist *names,
               struct build_cancel *cancel, struct build_vertex_ref v, char digest[BH_DIGEST_TEXT_SIZE],
               struct bh_err *err);

/* What a name means at its registry: no image comes here. */
struct build_remote {
    struct bh_image_config config; /* in the arena */
    const char *pinned;            /* the image by its manifest's digest, for build_layers_pull */
    bool is_image;
    bool foreign; /* BuildKit has left a cache in it, or it is nothing but one */
};
int build_remote_look(struct build_registry *r, const struct build_ask *ask, const char *reference,
                      const char *platform, struct bh_arena *arena, struct build_remote *out, struct bh_err *err);
/* One layer of a pinned image, under the hold. */
struct build_layer_pull {
    const char *pinned;
    uint64_t hold;
    const struct bh_digest *layer;
};
int build_layer_pull(struct build_registry *r, const struct build_ask *ask, const struct build_layer_pull *what,
                     struct build_cancel *cancel, struct build_vertex_ref v, struct bh_err *err);
/* An image without a name goes out under one. */
struct build_cache_push {
    const char *id, *destination, *compression;
    uint32_t level;
    bool force_compression;
};
int build_push_cache(struct build_registry *r, const struct build_ask *ask, const struct build_cache_push *what,
                     struct build_cancel *cancel, struct build_vertex_ref v, struct bh_err *err);

struct build_fetched {
    const char *digest, *filename;
    int64_t mtime_ns;
};
/* The body of an address as a tar with one file "body".  fds: as build_tar_begin_spooled gives them; they stay the
 * caller's. */
int build_fetch(struct build_registry *r, const struct build_ask *ask, const char *url, const char *checksum,
                const int fds[2], struct build_cancel *cancel, struct bh_arena *arena, struct build_fetched *out,
                struct bh_err *err);

#endif
