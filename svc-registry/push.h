/*
 * push.h - images of the store into registries.
 *
 * Room: registry.  Rights are asked for before a layer is compressed or sent; only what the registry lacks travels,
 * by descriptors that the store opened; a manifest follows its blobs, an index its manifests.
 * See docs/architecture.md, "A push, file by file".
 */
#ifndef REG_PUSH_H
#define REG_PUSH_H

#include "svc-registry/event.h"
#include "svc-registry/remote.h"
#include "svc-registry/room.h"

struct reg_push {
    const char *const *references; /* local names */
    size_t n_references;
    const char *platform;    /* "" = all that is here */
    unsigned jobs;           /* 0 = as configured */
    const char *compression; /* "" = as kept */
    unsigned level;
    bool force_compression;
    const char *destination; /* "" = where the name says */
    bool kept;               /* also an image that only a hold keeps */
    struct reg_caller caller;
};
int reg_push(struct reg_room *room, const struct reg_push *ask, const struct reg_listener *listener,
             struct bh_err *err);

#endif
