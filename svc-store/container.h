/*
 * container.h - what the store knows of containers: which image they use, and whether they run.
 *
 * Room: store.  The runtime tells; the rules of rmi and the counts of df need it, and an image that
 * was removed by force stays on disk while a container uses it.
 */
#ifndef STORE_CONTAINER_H
#define STORE_CONTAINER_H

#include "index.h"

struct store_container {
    const char *id;
    const char *name;
    const char *image_id;
    uid_t owner;
    bool running;
};

int store_container_note(struct store *s, const struct store_container *c, struct bh_err *err);
int store_container_forget(struct store *s, const char *id, struct bh_err *err);
/* These and no others exist. */
int store_container_sync(struct store *s, const struct store_container *v, size_t n, struct bh_err *err);
/* Inside a transaction: a container is about to use image row k; whether it runs is told later. */
int store_container_uses(struct store_db *db, const struct store_container *c, int64_t k, struct bh_err *err);

#endif
