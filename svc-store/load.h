/*
 * load.h - an archive of images comes in: all of it, or nothing.
 *
 * Room: store.  The archive is a seekable file; a worker reads its documents and makes a plan, further
 * workers make the layers, several at once, and one commit shows all images.
 */
#ifndef STORE_LOAD_H
#define STORE_LOAD_H

#include "oci/ref.h"
#include "store.h"

struct store_load_event {
    const char *layer; /* diffID, or NULL */
    uint64_t current;
    uint64_t total;
    const char *loaded; /* reference or id, or NULL */
    bool is_id;
    const char *note; /* or NULL */
};

struct store_load {
    struct store_who who;
    int64_t lease;        /* of a hold that keeps the images, without names; 0: they go into the list */
    int fd;               /* regular file */
    const char *platform; /* "": whatever is there, this machine's first where there is a choice */
    int cancel_fd;
    void (*event)(void *arg, const struct store_load_event *e); /* from several threads, one at a time */
    void *arg;
};

int store_load(struct store *s, const struct store_load *load, struct bh_err *err);

/* What an archive's annotation or RepoTag means as a name; false: it is none (a bare tag).
 * source as in PlanName. */
bool store_load_name(const char *name, const char *source, struct bh_ref *out);

#endif
