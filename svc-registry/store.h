/*
 * store.h - what this room asks of the store, in plain values.
 *
 * Room: registry.  The store knows us by our uid and acts on behalf of the owner that a hold names.
 * store_rpc.c speaks to it.  Thread-safe.  Strings of results live in the arena that was given.
 */
#ifndef REG_STORE_H
#define REG_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"
#include "oci/manifest.h"
#include "oci/types.h"

struct reg_store;
int reg_store_open(const char *dir, struct reg_store **out, struct bh_err *err);
void reg_store_close(struct reg_store *s);

/* What is brought under it is kept until it ends; it ends with reg_hold_end, or with this process. */
struct reg_hold;
int reg_hold_begin(struct reg_store *s, uid_t owner, const char *purpose, struct reg_hold **out, struct bh_err *err);
void reg_hold_end(struct reg_hold *h);
uint64_t reg_hold_id(const struct reg_hold *h);
/* A hold that somebody else keeps: layers for a build. */
struct reg_hold *reg_hold_of(struct reg_store *s, uint64_t id);

struct reg_document {
    const char *digest; /* "" = whatever the bytes have */
    const char *media_type;
    const void *data;
    size_t size;
    bool config;
    bool read_only;
};
struct reg_document_info {
    const char *digest;
    uint64_t size;
    bool is_index;
    const char *media_type, *artifact_type;
    struct bh_desc config;
    struct bh_desc *layers;
    size_t n_layers;
    struct bh_desc *entries;
    size_t n_entries;
    bool has_subject;
    struct bh_desc subject;
    struct bh_pairs annotations;
    const char *not_an_image; /* "" = it is one */
    /* of a config: */
    struct bh_platform platform;
    struct bh_strlist diff_ids;
    const void *image_config; /* packed ImageConfig, for replies; NULL for others */
    size_t image_config_size;
};
int reg_hold_document(struct reg_hold *h, const struct reg_document *doc, struct bh_arena *arena,
                      struct reg_document_info *out, struct bh_err *err);

struct reg_layer_ask {
    const char *digest, *media_type, *diff_id;
    uint64_t size;
    bool restart;
    bool alone; /* no image will follow that has it */
};
/* Which of n has the owner?  Those are under the hold then. */
int reg_hold_have(struct reg_hold *h, const struct reg_layer_ask *asks, size_t n, bool *out, struct bh_err *err);
/* A layer under way.  next: the events of Store/LayerPut.  After `send`, write to fd from `offset` on, close it with
 * reg_layer_close_pipe, go on with next until `done` (0) or an error. */
struct reg_layer;
struct reg_layer_event {
    bool waiting, have, send, done;
    uint64_t offset, unpacked;
};
int reg_layer_begin(struct reg_hold *h, const struct reg_layer_ask *ask, struct reg_layer **out, struct bh_err *err);
int reg_layer_next(struct reg_layer *l, struct reg_layer_event *out, struct bh_err *err);
int reg_layer_pipe(const struct reg_layer *l); /* -1 before `send` and after its end */
void reg_layer_close_pipe(struct reg_layer *l);
void reg_layer_cancel(struct reg_layer *l); /* any thread */
void reg_layer_free(struct reg_layer *l);   /* what came stays resumable */

/* Does the owner have an image with all its layers?  Asked by the digest of a manifest or index, or by a canonical
 * name; the other is "". */
struct reg_known_ask {
    uid_t owner;
    const char *digest, *name;
    const char *platform; /* of an index; "" = this host's */
};
struct reg_known {
    bool known;
    const char *id, *manifest_digest;
    const char *index_digest; /* asked by name: the index that it was chosen from, "" = none */
    bool repository;          /* asked by name, and not known: the owner has others of this repository */
};
int reg_store_known(struct reg_store *s, const struct reg_known_ask *ask, struct bh_arena *arena, struct reg_known *out,
                    struct bh_err *err);

struct reg_image_put {
    const char *manifest_digest, *index_digest;
    struct bh_strlist names;
    const char *source;
    bool guard; /* names of images that this host runs stay with them */
};
struct reg_image_done {
    const char *id;
    bool is_new;
};
int reg_hold_image(struct reg_hold *h, const struct reg_image_put *put, struct bh_arena *arena,
                   struct reg_image_done *out, struct bh_err *err);

struct reg_push_ask {
    const char *name, *platform, *compression, *repository;
    uint32_t level;
    bool force_compression, kept;
};
struct reg_push_layer {
    struct bh_desc desc;
    const char *diff_id;
    struct bh_strlist sources;
};
struct reg_push_manifest {
    struct bh_desc desc, config;
    const void *data, *config_data;
    size_t size, config_size;
    struct reg_push_layer *layers;
    size_t n_layers;
};
struct reg_push_image {
    const char *reference;
    struct reg_push_manifest *manifests;
    size_t n_manifests;
    bool has_index;
    struct bh_desc index;
    const void *index_data;
    size_t index_size;
};
/* told: progress of layers that are being compressed; may be NULL.  cancel_fd as elsewhere. */
int reg_hold_push(struct reg_hold *h, const struct reg_push_ask *ask,
                  int (*told)(void *arg, const char *diff_id, uint64_t current, uint64_t total, struct bh_err *err),
                  void *arg, struct bh_arena *arena, struct reg_push_image *out, struct bh_err *err);

/* The caller closes *out_fd; bytes [offset, offset + size). */
int reg_hold_blob(struct reg_hold *h, const char *digest, int *out_fd, uint64_t *out_offset, uint64_t *out_size,
                  struct bh_err *err);
/* The repository has these blobs, and the manifest or index `pushed`. */
int reg_hold_note_source(struct reg_hold *h, const char *repository, const struct bh_strlist *digests,
                         const char *pushed, struct bh_err *err);

#endif
