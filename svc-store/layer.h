/*
 * layer.h - bringing one layer in: a worker makes the file, the store checks and names it.
 *
 * Room: store.  A layer is one file named by its diffID.  The worker wrote it and told both digests;
 * here sizes and header are compared with the file, the file is synced, and only then does it get a name
 * and a row.  A worker that a hostile layer has taken over could tell another layer's digest; so before a
 * second image shares a layer, this room reads it itself (shared.c).
 */
#ifndef STORE_LAYER_H
#define STORE_LAYER_H

#include "place.h"
#include "result.h"
#include "store.h"

struct store_layer_source {
    int fd;
    uint64_t offset;
    uint64_t size;        /* BH_JOB_TO_END */
    unsigned flags;       /* BH_JOB_F_STRICT_END, BH_JOB_F_PLAIN_ONLY */
    bool keep_blob;       /* keep the compressed bytes, if compressed they are */
    bool waits;           /* a pipe */
    const char *digest;   /* that the bytes must have, "" if unknown */
    uint64_t digest_size; /* and their number, with digest */
    const char *diff_id;  /* that the tar must have, "" if unknown */
    const char *what;
    int cancel_fd;
    int end_fd; /* as store_job */
    /* A download: the file that its bytes go to, `resume` of them are there; it becomes the blob unless drop_blob. */
    struct store_temp *partial;
    uint64_t resume;
    bool drop_blob;
    int64_t parked_ns; /* until when it is kept for an image that is yet to come (parked.h), 0: not */
    void (*progress)(void *arg, uint64_t unpacked); /* NULL: none */
    void *arg;
};

/* Make the layer, whatever is there already; lease gets the layer and the kept blob. */
int store_layer_make(struct store *s, uid_t owner, int64_t lease, const struct store_layer_source *source,
                     struct store_layer_result *out, struct bh_err *err);
/* diff_id is known: make it unless who has it already.  Two callers for one layer share the work. */
int store_layer_ensure(struct store *s, const struct store_who *who, int64_t lease,
                       const struct store_layer_source *source, bool *out_made, struct bh_err *err);

/* If the digest is here and was only told by a worker: read it.  What has another digest is taken out of
 * use: 0 is returned and it counts as absent from now on. */
int store_shared_verify(struct store *s, enum store_tree tree, const char *digest, struct bh_err *err);

/* A bare layer that another job has written: checked, synced and named like one of store_layer_make. */
int store_layer_keep(struct store *s, uid_t owner, int64_t lease, struct store_temp *layer,
                     struct store_layer_result *r, const char *what, struct bh_err *err);

/* Does who have it already?  Then it, and with keep_blob the blob of src->digest, is under the lease. */
int store_layer_claim(struct store *s, const struct store_who *who, int64_t lease,
                      const struct store_layer_source *source, bool *out_have, struct bh_err *err);

void store_flight_init(struct store_flight *f);
void store_flight_fini(struct store_flight *f);
struct store_flight_item {
    struct store_flight_item *next;
    char key[STORE_DIGEST_SIZE + 24];
};
/* One thread for each key; the others wait, until cancelled(arg) if that is not NULL: false then. */
bool store_flight_enter(struct store_flight *f, struct store_flight_item *item, bool (*cancelled)(void *arg),
                        void *arg);
bool store_flight_try(struct store_flight *f, struct store_flight_item *item);
void store_flight_leave(struct store_flight *f, struct store_flight_item *item);

/* sha256 of bytes [offset, offset + n) of fd as "sha256:<hex>". */
int store_hash_range(int fd, uint64_t offset, uint64_t n, const char *what, char out[STORE_DIGEST_SIZE],
                     struct bh_err *err);

#endif
