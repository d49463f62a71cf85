/*
 * store.h - what this room asks of the store, in plain values.
 *
 * Room: runtime.  The store knows us by our uid.  Images are looked up on behalf of a user, never with
 * this room's own rights.  store_rpc.c speaks to it.
 */
#ifndef RT_STORE_H
#define RT_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"
#include "oci/config.h"
#include "svc-runtime/db.h"
#include "wire/launch_wire.h"

struct rt_store;
struct bh_conn;
struct bh_conn *rt_store_conn(struct rt_store *s); /* for another *_rpc.c of this room */
int rt_store_open(const char *dir, struct rt_store **out, struct bh_err *err);

struct rt_image_ask {
    const char *name;
    uid_t owner;
    const char *container_id; /* "": no note is made */
    const char *container_name;
};
struct rt_image {
    const char *id, *reference, *parent_id;
    struct bh_image_config config;
    uint64_t size;          /* sum of the uncompressed layers */
    int fds[RT_MAX_LAYERS]; /* with layers: one for each that differs, lowest first, the caller's to close */
    uint8_t diff_ids[RT_MAX_LAYERS][32];
    unsigned n_layers;
};
/* Strings and config live in the arena. */
int rt_store_image(struct rt_store *s, const struct rt_image_ask *ask, struct bh_arena *arena, struct rt_image *out,
                   struct bh_err *err);
/* The same with the layers' descriptors. */
int rt_store_layers(struct rt_store *s, const struct rt_image_ask *ask, struct bh_arena *arena, struct rt_image *out,
                    struct bh_err *err);

/* Layers of a step, of a user's hold: descriptors alone. */
int rt_store_stack(struct rt_store *s, uint64_t hold, const struct bh_digest *layers, size_t n, struct rt_image *out,
                   struct bh_err *err);

/* What a seccomp profile says, read by a worker of the store; everything is in the arena. */
struct bh_seccomp;
int rt_store_profile(struct rt_store *s, const char *text, struct bh_arena *arena, struct bh_seccomp *out,
                     struct bh_err *err);

struct rt_note {
    const char *id, *name, *image_id;
    uid_t owner;
    bool running;
};
int rt_store_note(struct rt_store *s, const struct rt_note *note, struct bh_err *err);
int rt_store_forget(struct rt_store *s, const char *id, struct bh_err *err);
int rt_store_sync(struct rt_store *s, const struct rt_note *notes, size_t n, struct bh_err *err);

struct rt_store_commit {
    const char *parent_id;
    uid_t owner;
    struct rt_blob config; /* packed ImageConfig */
    const char *author, *comment, *reference, *created_by;
    struct bh_strlist changes;
    bool empty_layer;
};
/* write_layer(arg, fd) has the layer's tar written into fd, which is closed afterwards; not called for
 * an empty layer.  *out_id lives in the arena. */
int rt_store_commit(struct rt_store *s, const struct rt_store_commit *c,
                    int (*write_layer)(void *arg, int fd, struct bh_err *err), void *arg, struct bh_arena *arena,
                    char **out_id, struct bh_err *err);

/* A layer of a tar, kept under the hold of a build.  write_layer as above. */
#define RT_DIFF_ID_SIZE 72
int rt_store_layer_tar(struct rt_store *s, uint64_t hold, int (*write_layer)(void *arg, int fd, struct bh_err *err),
                       void *arg, char out_diff_id[RT_DIFF_ID_SIZE], uint64_t *out_size, struct bh_err *err);

#endif
