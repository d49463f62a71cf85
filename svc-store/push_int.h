/*
 * push_int.h - what the files of a push share: the operation, one image on its way out.
 *
 * Room: store.  Private to push*.c.
 */
#ifndef STORE_PUSH_INT_H
#define STORE_PUSH_INT_H

#include "compress.h"
#include "name.h"
#include "push.h"
#include "result.h"

/* One image on its way out. */
struct store_outgoing {
    int64_t k;
    bool artifact;
    struct store_manifest m;
    struct store_image_layer *layers; /* none of an artifact */
    size_t n;
    bool as_it_came;
    /* else: */
    struct store_desc *made; /* digest NULL: to be compressed */
};

struct store_pushing {
    struct store *s;
    struct store_hold *h;
    const struct store_push *p;
    struct bh_arena *arena;
    struct store_push_image *out;
    enum store_codec codec;
    const char *index; /* that all images are of, "" if none goes out */
    uint64_t index_size;
    const char *index_media;
    struct store_outgoing *images;
    size_t n;
    /* threads that compress take the next layer from here */
    pthread_mutex_t lock;
    size_t next_image;
    size_t next_layer;
    struct bh_err first_err;
};

/* push_plan.c: which images go out, what of each is kept already, all of it under the hold's lease. */
int store_push_choose(struct store_pushing *x, struct bh_err *err);
/* Of a layer whose blob is in that codec. */
const char *store_push_media(const char *codec);

/* push_make.c: blobs of the layers that have none in that form, and the manifests that name them. */
int store_push_make(struct store_pushing *x, struct bh_err *err);

/* push.c */
const char *store_push_text(struct store_pushing *x, const char *s, struct bh_err *err);
/* A document of the store, whole. */
int store_push_document(struct store_pushing *x, const char *digest, uint64_t size, const void **out,
                        struct bh_err *err);
/* What a document says, by a worker. */
int store_push_read(struct store_pushing *x, const char *digest, const void *data, size_t n,
                    struct store_document_result *out, struct bh_err *err);

#endif
