/*
 * upload.h - one blob into a repository: begun, mounted, sent whole or in chunks, resumed, finished.
 *
 * Room: registry.  An upload is a conversation: each answer says where the next request goes, and that address is the
 * registry's choice (remote.h checks it and gives the token to the registry's own origin alone).  One thread at a time.
 * Source: OCI distribution specification 1.1, "Pushing blobs".
 */
#ifndef REG_UPLOAD_H
#define REG_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "svc-registry/remote.h"

struct reg_upload {
    struct reg_remote *remote;
    const char *what; /* for errors */
    bool begun;
    char location[REG_URL_SIZE];
    uint64_t chunk_min; /* that the registry asks for; 0: it takes a blob as one */
    uint64_t at;        /* bytes that it has */
    struct reg_http_response answer;
};

void reg_upload_init(struct reg_upload *u, struct reg_remote *remote, const char *what);
void reg_upload_fini(struct reg_upload *u);
/* Asks for a place.  digest and from (a path on the same registry) not NULL: for the blob of that repository, if the
 * registry does it (*out_mounted); else the upload is begun all the same. */
int reg_upload_begin(struct reg_upload *u, const char *digest, const char *from, bool *out_mounted, struct bh_err *err);
/* Tells the registry that nothing will come; what it answers does not matter. */
void reg_upload_abandon(struct reg_upload *u);

/* What is sent: bytes [offset, offset + size) of a file, or `data` in memory. */
struct reg_upload_blob {
    const char *digest;
    uint64_t size;
    const void *data; /* NULL: fd */
    int fd;
    off_t offset;
};
struct reg_upload_watch {
    void (*sent)(void *arg, uint64_t bytes);      /* of the blob */
    void (*pausing)(void *arg, unsigned seconds); /* before it is tried again */
    void *arg;
    unsigned tries;
    int cancel_fd;
};
/* The whole of it, begun here when it was not yet; after a failure that may pass it goes on where the registry says it
 * is. */
int reg_upload_send(struct reg_upload *u, const struct reg_upload_blob *blob, const struct reg_upload_watch *watch,
                    struct bh_err *err);

/* By hand, for bytes that come from elsewhere: the next n of them, and the end. */
int reg_upload_chunk(struct reg_upload *u, const void *data, size_t n, struct bh_err *err);
int reg_upload_finish(struct reg_upload *u, const char *digest, struct bh_err *err);
/* After a chunk failed: asks the registry how much it has (u->at).  BH_E_DATA_LOSS when the upload is gone. */
int reg_upload_where(struct reg_upload *u, struct bh_err *err);

/* Is it there, with this size if one is told?  HEAD. */
int reg_upload_there(struct reg_remote *remote, const char *digest, uint64_t size, const char *what, bool *out_there,
                     struct bh_err *err);

#endif
