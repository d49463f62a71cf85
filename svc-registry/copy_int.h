/*
 * copy_int.h - what the files of a copy share.
 *
 * Room: registry.  Private to copy*.c and manifest_push.c.
 */
#ifndef REG_COPY_INT_H
#define REG_COPY_INT_H

#include "base/arena.h"
#include "svc-registry/copy.h"
#include "svc-registry/jobs.h"
#include "svc-registry/source.h"

struct reg_copying {
    struct reg_room *room;
    struct reg_conf *conf;
    const struct reg_listener *listener; /* NULL: nobody listens */
    struct reg_caller caller;            /* stopped by `stop` */
    struct reg_stop stop;
    unsigned jobs;
    struct reg_hold *hold;
    struct bh_ref target;
    char familiar[BH_REF_TEXT_SIZE]; /* of the target */
    struct reg_source to;
    struct reg_remote *remote; /* of `to` */
    pthread_mutex_t lock;
    pthread_cond_t given;
    size_t memory; /* bytes that buffers may still take */
};
int reg_copying_begin(struct reg_copying *c, struct reg_room *room, const struct reg_caller *caller, const char *target,
                      struct bh_err *err);
void reg_copying_end(struct reg_copying *c);

/* Has a worker read a document. */
int reg_copy_read(struct reg_copying *c, const struct reg_manifest *m, struct bh_arena *arena,
                  struct reg_document_info *out, struct bh_err *err);
/* From a digest or tag at the source to the same digest at the target, with all that it names; as `name` there. */
int reg_copy_tree(struct reg_copying *c, struct reg_source *from, const struct reg_manifest *m, const char *name,
                  unsigned depth, struct bh_err *err);
/* Buffers of all blobs together. */
#define REG_COPY_MEMORY ((size_t)16 << 20)
/* One blob, unless it is there. */
int reg_copy_blob(struct reg_copying *c, struct reg_source *from, const struct bh_desc *desc, struct bh_err *err);

#endif
