/*
 * push_int.h - what the files of a push share: the operation, one image, one blob of it.
 *
 * Room: registry.  Private to push*.c.
 */
#ifndef REG_PUSH_INT_H
#define REG_PUSH_INT_H

#include "base/arena.h"
#include "svc-registry/jobs.h"
#include "svc-registry/push.h"
#include "svc-registry/source.h"
#include "svc-registry/upload.h"

struct reg_pushing {
    char repository[BH_REF_TEXT_SIZE]; /* the last that was told */
    struct reg_room *room;
    const struct reg_push *ask;
    struct reg_conf *conf;
    const struct reg_listener *listener;
    struct reg_caller caller; /* as asked, but stopped by `stop` */
    struct reg_stop stop;
    unsigned jobs;
};

struct reg_push_image_state {
    struct reg_pushing *p;
    unsigned number;
    const char *local;               /* what the store knows it by */
    struct bh_ref target;            /* has a tag */
    char familiar[BH_REF_TEXT_SIZE]; /* of the target */
    struct reg_source source;
    struct reg_remote *remote;
    struct reg_hold *hold;
    struct bh_arena arena;
    struct reg_push_image image;
    pthread_mutex_t lock;
    struct reg_upload probe; /* begun to see whether we may; the first blob that is sent uses it */
    bool has_probe;
};

struct reg_push_blob {
    struct reg_push_image_state *im;
    const struct bh_desc *desc;
    const void *data; /* a config in memory, else the store opens it */
    const struct bh_strlist *sources;
    bool silent; /* configs have no line */
    struct reg_line line;
};
/* To the registry, unless it has it; the state is told. */
int reg_push_one_blob(struct reg_push_blob *b, struct bh_err *err);
/* All blobs of all manifests, several at once. */
int reg_push_blobs(struct reg_push_image_state *im, struct bh_err *err);
/* All of them are known to be there. */
int reg_push_tell_there(struct reg_push_image_state *im, struct bh_err *err);

#endif
