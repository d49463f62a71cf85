/*
 * import.h - images that are made here of a tar: import of a root file system, commit of a container.
 *
 * Room: store.  A worker turns the tar into a layer; config and manifest are written by lib/oci.
 */
#ifndef STORE_IMPORT_H
#define STORE_IMPORT_H

#include "oci/config.h"
#include "store.h"

struct store_import {
    struct store_who who;
    int fd;                /* file or pipe */
    bool waits;            /* a pipe */
    const char *reference; /* "": no name */
    const char *message;   /* "": none */
    const char *platform;  /* "": this machine's */
    const char *source;    /* what to note in the history: "-" or a file name */
    const char *const *changes;
    size_t n_changes;
    int cancel_fd;
};
int store_import(struct store *s, const struct store_import *im, char out_id[STORE_DIGEST_SIZE], struct bh_err *err);

struct store_commit {
    uid_t owner;
    const char *parent;                 /* id, "": from nothing */
    const struct bh_run_config *config; /* NULL: the parent's */
    const char *author;
    const char *comment;
    const char *created_by;
    int64_t created_ns; /* 0: now */
    const char *const *changes;
    size_t n_changes;
    const char *reference; /* "": no name */
    /* NULL: no layer.  Called once all that can be refused was: the read end of a pipe with the layer's tar. */
    int (*layer)(void *arg, int *out_fd, struct bh_err *err);
    void *arg;
    int cancel_fd;
};
int store_commit(struct store *s, const struct store_commit *c, char out_id[STORE_DIGEST_SIZE], struct bh_err *err);

#endif
