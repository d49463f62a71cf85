/*
 * hold.h - what one pull, push or build has brought so far: a lease that lives as long as a call does.
 *
 * Room: store.  The one container of holds is in struct store; a hold is named by a number that means
 * nothing to any uid but the one that opened it.  It keeps the documents that a worker has read, so that
 * nothing is read twice, and their bytes, which become files when an image is made of them.
 */
#ifndef STORE_HOLD_H
#define STORE_HOLD_H

#include "base/buf.h"
#include "store.h"

enum store_doc_kind { STORE_DOC_MANIFEST = 1, STORE_DOC_INDEX, STORE_DOC_CONFIG };

struct store_hold_doc {
    struct store_hold_doc *next;
    char digest[STORE_DIGEST_SIZE];
    enum store_doc_kind kind;
    const void *data; /* as it came */
    size_t n;
    const void *packed; /* the worker's Result */
    size_t n_packed;
};

struct store_hold {
    struct store_hold *next;
    uint64_t id;
    uid_t caller;
    bool lent; /* of a build: the runtime brings layers of its steps under it, the registry those of caches */
    struct store_who who;
    int64_t lease;
    int end_fd; /* readable once the hold has ended: calls under it give up */
    /* below: under the lock of the holds */
    unsigned uses;
    bool ended;
    struct store_hold_doc *docs;   /* newest first; what is there stays as it is */
    struct store_hold_part *parts; /* documents that come in several calls */
    size_t bytes;
};

int store_hold_open(struct store *s, uid_t caller, const struct store_who *who, const char *purpose,
                    struct store_hold **out, struct bh_err *err);
/* Tells the calls under it to end, waits for them, gives up what no image has taken. */
void store_hold_close(struct store *s, struct store_hold *take_hold);

/* For one call: BH_E_NOT_FOUND (reason "no-hold") when there is none of that number for that uid. */
int store_hold_use(struct store *s, uint64_t id, uid_t caller, struct store_hold **out, struct bh_err *err);
/* For runtime and registry, which know the number from the build that lends it. */
int store_hold_use_lent(struct store *s, uint64_t id, struct store_hold **out, struct bh_err *err);
void store_hold_done(struct store *s, struct store_hold *h);

/* Copies of data and packed; *out lives as long as the hold.  BH_E_LIMIT when holds have too much. */
int store_hold_add(struct store *s, struct store_hold *h, const struct store_hold_doc *doc,
                   const struct store_hold_doc **out, struct bh_err *err);
/* NULL when it was not brought under this hold. */
const struct store_hold_doc *store_hold_find(struct store *s, struct store_hold *h, const char *digest,
                                             enum store_doc_kind kind);

/* A document that comes in parts: one more; all so far as one, and forgotten (nothing: *out stays empty). */
int store_hold_part(struct store *s, struct store_hold *h, const char *digest, const void *data, size_t n,
                    struct bh_err *err);
void store_hold_parts(struct store *s, struct store_hold *h, const char *digest, struct bh_buf *out);

/* A blob under the hold: bytes [offset, offset + size) of the file.  BH_E_NOT_FOUND (reason "no-blob"). */
int store_hold_blob(struct store *s, struct store_hold *h, const char *digest, int *out_fd, uint64_t *out_offset,
                    uint64_t *out_size, struct bh_err *err);

#endif
