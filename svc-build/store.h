/*
 * store.h - what a build asks of the store, in plain values.
 *
 * Room: build.  Everything happens under a hold: what a build brings or names there is kept while it lasts,
 * and is nobody's once it ends.  The store checks the hold's owner; its answers are measured (digests).  Any
 * number of threads may call at the same time.
 */
#ifndef BUILD_STORE_H
#define BUILD_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"
#include "oci/config.h"
#include "oci/digest.h"
#include "oci/types.h"

struct build_store;
struct build_hold;
struct build_cancel; /* cancel.h */

int build_store_open(const char *dir, struct build_store **out, struct bh_err *err);

/* ---- hold ---- */
int build_hold_begin(struct build_store *s, uid_t owner, struct build_hold **out, struct bh_err *err);
void build_hold_end(struct build_hold *h); /* NULL is fine */
uint64_t build_hold_number(const struct build_hold *h);

/* ---- images ---- */
struct build_image {
    const char *id, *reference; /* the second: as it was found, "" by an id */
    struct bh_image_config config;
};
/* As the owner names it; of an index, the one for the platform if that is here.  BH_E_NOT_FOUND. */
int build_image_open(struct build_store *s, uid_t owner, const char *name, const char *platform, struct bh_arena *arena,
                     struct build_image *out, struct bh_err *err);

struct build_made {
    char id[BH_DIGEST_TEXT_SIZE];
    char manifest[BH_DIGEST_TEXT_SIZE];
};
/* Without names: lives as long as the hold. */
struct build_make {
    const struct bh_image_config *config;
    struct bh_strlist names;
    struct bh_pairs annotations;
    const char *parent; /* image id, "" if none */
    bool keep;          /* also without a name */
};
int build_image_make(struct build_store *s, uint64_t hold, const struct build_make *m, struct bh_arena *arena,
                     struct build_made *out, struct bh_err *err);

/* Its one layer, by descriptor. */
int build_image_layer(struct build_store *s, uid_t owner, const char *id, int *out_fd, struct bh_err *err);
/* Images of several platforms under one index, which out->manifest then is; out->id: of the one that names mean. */
struct build_make_index {
    const struct bh_image_config *const *configs;
    size_t n;
    struct bh_strlist names;
    struct bh_pairs annotations, on_the_index;
    bool keep;
};
int build_index_make(struct build_store *s, uint64_t hold, const struct build_make_index *m,
                     struct build_cancel *cancel, struct bh_arena *arena, struct build_made *out, struct bh_err *err);
/* The image as an archive into fd, which stays the caller's; index "": it alone. */
struct build_save_ask {
    uid_t owner;
    const char *id, *index;
    const struct bh_strlist *names;
};
int build_save(struct build_store *s, const struct build_save_ask *ask, int fd, struct build_cancel *cancel,
               struct bh_err *err);

/* The image of an OCI archive, without a name; it lives as long as the hold.  fd: a file, which stays the caller's. */
struct build_load_ask {
    uint64_t hold;
    const char *platform; /* "": whatever there is */
    int fd;
};
int build_load(struct build_store *s, const struct build_load_ask *ask, struct build_cancel *cancel,
               char out_id[BH_DIGEST_TEXT_SIZE], struct bh_err *err);

/* ---- layers ---- */
struct build_stack {                /* where files come from */
    const struct bh_digest *layers; /* lowest first */
    size_t n;
    const char *context; /* "" or "ctx:.." */
};
static inline bool build_has_files(const struct build_stack *s) {
    return s->n > 0 || (s->context != NULL && s->context[0] != '\0');
}

struct build_item {
    bool has_from;
    struct build_stack from;
    struct bh_strlist sources;
    bool wildcard;
    const char *target;
    int64_t uid, gid; /* -1: as in the source */
    const char *chmod;
    struct bh_strlist exclude, ignore;
    bool parents, unpack, mkdir, link, contents;
    bool opaque;      /* the target hides what the layers below have there */
    bool whiteouts;   /* what the layers hide of those below them is hidden by the new one, too */
    const void *data; /* without a from */
    size_t n_data;
    uint32_t mode;
    int64_t mtime_ns;
};
struct build_compose {
    uint64_t hold;
    struct build_stack onto;
    const struct build_item *items;
    size_t n_items;
    bool only_digest;
    bool with_place; /* with only_digest; nothing may be unpacked */
    bool clamp;
    int64_t clamp_ns;
};
struct build_composed {
    struct bh_digest layer, content;
    struct bh_digest place; /* what the layers below make of it */
    bool empty;             /* there was nothing to do, and there is no layer */
    uint64_t size, files;
    struct bh_strlist targets; /* of each item, links followed; in the arena */
};
int build_compose(struct build_store *s, const struct build_compose *c, struct build_cancel *cancel,
                  struct bh_arena *arena, struct build_composed *out, struct bh_err *err);
/* BH_E_NOT_FOUND: there is no such file. */
int build_layer_file(struct build_store *s, uint64_t hold, const struct build_stack *from, const char *path,
                     struct bh_arena *arena, const char **out, size_t *out_n, struct bh_err *err);
/* The layer without entries, as a step that changed nothing has it. */
int build_layer_nothing(struct build_store *s, uint64_t hold, struct bh_digest *out, struct bh_err *err);

/* A layer of a tar that is written bit by bit. */
struct build_tar;
int build_tar_begin(struct build_store *s, uint64_t hold, struct build_tar **out, int *out_fd, struct bh_err *err);
/* For Registry/Fetch: [0] the same, [1] a file of the store.  Both are closed with the tar. */
int build_tar_begin_spooled(struct build_store *s, uint64_t hold, struct build_tar **out, int out_fds[2],
                            struct bh_err *err);
/* Closes the descriptor. */
int build_tar_end(struct build_tar *t, struct bh_digest *out, struct bh_err *err);
void build_tar_drop(struct build_tar *t);

/* ---- cache ---- */
#define BUILD_NOTE_MAX ((size_t)60 << 10)
struct build_cached {
    bool found;
    struct bh_digest *layers;
    size_t n;
    const char *note;
    size_t n_note;
};
struct build_cache_put {
    const struct bh_digest *layers;
    size_t n;
    const char *note;
    size_t n_note;
    const char *kind, *description;
    bool replace;
};
int build_cache_get(struct build_store *s, uint64_t hold, const struct bh_digest *key, struct bh_arena *arena,
                    struct build_cached *out, struct bh_err *err);
/* *out_stays, if not NULL: there was one already, which was not replaced. */
int build_cache_put(struct build_store *s, uint64_t hold, const struct bh_digest *key, const struct build_cache_put *p,
                    bool *out_stays, struct bh_err *err);

#endif
