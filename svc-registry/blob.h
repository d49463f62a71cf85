/*
 * blob.h - one blob of a repository: read in order, kept in a file of the client, or sent from one.
 *
 * Room: registry.  The files are the client's, opened by it: a layout's folder is not seen here.
 */
#ifndef REG_BLOB_H
#define REG_BLOB_H

#include "svc-registry/body.h"
#include "svc-registry/source.h"

/* A blob that is read: after an error that may pass, or at the next place, it goes on where it was. */
struct reg_blob_read {
    const char *digest;
    uint64_t size;
    const char *what; /* for errors */
    unsigned tries;
    int cancel_fd;
    int (*sink)(void *arg, const void *data, size_t n, struct bh_err *err); /* the next n bytes; none comes twice */
    void (*pausing)(void *arg, unsigned seconds);                           /* before it is tried again; may be NULL */
    void *arg;
    struct reg_body body; /* how far it is */
    struct reg_http_response answer;
};
/* All `size` bytes, or an error.  Whether they are the right ones is for the caller to see. */
int reg_blob_read(struct reg_blob_read *b, struct reg_source *from, struct bh_err *err);
void reg_blob_read_fini(struct reg_blob_read *b);

struct reg_blob_ask {
    const char *reference, *digest;
    uint64_t size;
    int fd; /* a regular file */
    struct reg_caller caller;
};
/* Sends bytes [0, size) of the file, which must have that size, unless the repository has the blob (*out_there). */
int reg_blob_push(struct reg_room *room, const struct reg_blob_ask *ask, bool *out_there, struct bh_err *err);
/* Writes the blob to the file, which is empty before, and empty again after an error.  BH_E_DATA_LOSS, reason
 * "digest-mismatch": the registry sent something else. */
int reg_blob_fetch(struct reg_room *room, const struct reg_blob_ask *ask, struct bh_err *err);

#endif
