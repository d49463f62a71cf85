/*
 * put.h - an image that came in pieces: is it here already, and making it visible.
 *
 * Room: store.  All that an image consists of is under a hold: documents that a worker has read, layers and
 * blobs that came or were there for this owner.  Nothing is parsed here.
 */
#ifndef STORE_PUT_H
#define STORE_PUT_H

#include "base/arena.h"
#include "hold.h"

struct store_known {
    bool known;
    char id[STORE_DIGEST_SIZE];
    char manifest[STORE_DIGEST_SIZE];
    char index[STORE_DIGEST_SIZE]; /* asked by name: that it was chosen from, else "" */
    bool repository;               /* asked by name: there are others of its repository */
};
/* digest: of a manifest, or of an index; of the latter the image for exactly that platform ("": this host's). */
int store_image_known(struct store *s, const struct store_who *who, const char *digest, const char *platform,
                      struct store_known *out, struct bh_err *err);
/* By a name of the owner's; platform "": whatever it is. */
int store_image_known_name(struct store *s, uid_t owner, const char *name, const char *platform,
                           struct store_known *out, struct bh_err *err);

struct store_put {
    const char *manifest;
    const char *index; /* "" if none */
    const char *const *names;
    size_t n_names;
    const char *source; /* repository that has the blobs, "" if none */
    bool guard;         /* no name is taken from an image that this host runs for one that it does not */
};
struct store_put_result {
    char id[STORE_DIGEST_SIZE];
    bool is_new;
    char **replaced; /* in the arena */
    size_t n_replaced;
};
/* An image whose manifest was not brought under the hold must be the owner's already: it only gets names. */
int store_image_bring(struct store *s, struct store_hold *h, const struct store_put *put, struct bh_arena *arena,
                      struct store_put_result *out, struct bh_err *err);

/* This repository has these blobs, and, unless it is "", the manifest or index `pushed`. */
int store_sources_note(struct store *s, uid_t owner, const char *repository, const char *const *digests, size_t n,
                       const char *pushed, struct bh_err *err);

#endif
