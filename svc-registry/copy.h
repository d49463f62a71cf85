/*
 * copy.h - from registry to registry, without the store's images: what the target lacks is mounted or streamed.
 *
 * Room: registry.  Documents are read by a worker of the store (read_only) as everywhere; blobs go from one
 * connection to the other through a buffer of fixed size.
 */
#ifndef REG_COPY_H
#define REG_COPY_H

#include "svc-registry/event.h"
#include "svc-registry/remote.h"
#include "svc-registry/room.h"

struct reg_copy {
    const char *source, *target;
    bool all_platforms;
    const char *platform; /* "" = this host's */
    unsigned jobs;        /* 0 = as configured for pushes */
    struct reg_caller caller;
};
int reg_copy(struct reg_room *room, const struct reg_copy *ask, const struct reg_listener *listener,
             struct bh_err *err);

/* A document that the client made; what it names is brought from other repositories of the same registry. */
struct reg_manifest_push {
    const char *reference;
    const char *media_type; /* "" = as the document says */
    const char *digest;     /* "" = not compared */
    uint64_t size;          /* 0 = not compared */
    const void *data;
    size_t data_size;
    const char *const *mount_from; /* canonical repositories */
    size_t n_mount_from;
    struct reg_caller caller;
};
int reg_manifest_push(struct reg_room *room, const struct reg_manifest_push *ask, char out_digest[BH_DIGEST_TEXT_SIZE],
                      uint64_t *out_size, struct bh_err *err);

#endif
