/*
 * pull_int.h - what the files of a pull share: the operation, one image of it, one layer of that.
 *
 * Room: registry.  Private to pull*.c.
 */
#ifndef REG_PULL_INT_H
#define REG_PULL_INT_H

#include <semaphore.h>

#include "base/arena.h"
#include "svc-registry/jobs.h"
#include "svc-registry/pull.h"
#include "svc-registry/source.h"

#define REG_PULL_LIVE 32

struct reg_pulling {
    struct reg_room *room;
    const struct reg_pull *ask;
    struct reg_conf *conf;
    const struct reg_settings *settings;
    const struct reg_listener *listener;
    struct reg_caller caller; /* as asked, but stopped by `stop` */
    struct reg_stop stop;
    struct bh_platform want;
    unsigned jobs;
    sem_t slots; /* so many layers at once, over all images */
    pthread_mutex_t lock;
    struct reg_hold *hold; /* begun when something is to be kept */
};

/* One image that is being brought: a name, the documents behind it. */
struct reg_pull_image {
    struct reg_pulling *p;
    unsigned number;
    const struct reg_listener *listener; /* for what this image tells */
    struct reg_caller caller;            /* stopped by `stop` */
    struct reg_stop stop;                /* of this image: with the operation, or when a layer fails */
    struct bh_ref ref;
    char familiar[BH_REF_TEXT_SIZE]; /* for people and errors */
    struct reg_source source;
    struct bh_arena arena;
    char top[BH_DIGEST_TEXT_SIZE];     /* what the name means: an index or a manifest */
    bool top_is_index;                 /* then */
    const char *manifest_digest;       /* the one that was chosen from it */
    struct reg_document_info manifest; /* of this one */
    struct bh_strlist diff_ids;        /* empty for artifacts */
    bool found;                        /* the name means something there */
    bool is_new;                       /* in the end */
    bool by_head;                      /* while the name is resolved: */
    struct reg_manifest *top_answer;
    pthread_mutex_t lock;
    struct reg_layer *live[REG_PULL_LIVE]; /* calls to the store that a stop must end */
};
struct reg_pull_result {
    bool found;  /* the registry told what the name means, or it is here: a failure is one of the image */
    bool is_new; /* the name did not mean this image before */
};
int reg_pull_image(struct reg_pulling *p, unsigned number, const struct bh_ref *ref,
                   const struct reg_listener *listener, struct reg_pull_result *out, struct bh_err *err);
/* Does the owner have an image of this name, for the platform that is wanted? */
int reg_pull_is_here(struct reg_pulling *p, const struct bh_ref *ref, bool *out_known, struct bh_err *err);
int reg_pull_tell_status(const struct reg_listener *to, unsigned number, const char *what, bool is_new,
                         struct bh_err *err);
/* Layers under way; false: the image has been stopped, do not go on. */
bool reg_pull_live_add(struct reg_pull_image *im, struct reg_layer *layer);
void reg_pull_live_remove(struct reg_pull_image *im, struct reg_layer *layer);
/* The bytes of what the name means are known: reads them, chooses, fetches the rest of the documents. */
int reg_pull_documents(struct reg_pull_image *im, const struct reg_manifest *top, struct bh_err *err);
/* All layers, several at once. */
int reg_pull_layers(struct reg_pull_image *im, struct bh_err *err);

struct reg_pull_layer {
    struct reg_pull_image *im;
    const struct bh_desc *desc;
    const char *diff_id; /* "": a blob of an artifact */
    size_t first;        /* places before this one sent something else */
    size_t used;         /* the one that sent last */
    bool again;          /* what was kept of an earlier try is not wanted */
    struct reg_line line;
};
struct reg_layer_ask reg_pull_ask_of(const struct reg_pull_layer *l);
int reg_pull_one_layer(struct reg_pull_layer *l, struct bh_err *err);

#endif
