/*
 * source.h - a repository to take from: its places in order, a remote for each that was needed, and why each failed.
 *
 * Room: registry.  One for each reference of an operation.  What was decided at one place stays with its remote.
 */
#ifndef REG_SOURCE_H
#define REG_SOURCE_H

#include <pthread.h>

#include "oci/ref.h"
#include "svc-registry/remote.h"

struct reg_source {
    struct reg_room *room;
    struct reg_conf *conf;
    const struct reg_caller *caller;
    struct bh_ref ref;
    struct reg_places places;
    const char *actions; /* "pull", "pull,push" */
    size_t at;           /* the first place that is asked: the one that had the manifest */
    pthread_mutex_t lock;
    struct reg_remote *remote[REG_MAX_PLACES];
};

/* room, conf and caller live longer. */
int reg_source_open(struct reg_source *s, struct reg_room *room, struct reg_conf *conf, const struct reg_caller *caller,
                    const struct bh_ref *ref, enum reg_use use, struct bh_err *err);
void reg_source_close(struct reg_source *s);
/* The remote for places.v[i]; lives with the source.  Any thread. */
int reg_source_remote(struct reg_source *s, size_t i, struct reg_remote **out, struct bh_err *err);
/* Asks one place after the other, from `at` on, until one answers; out_i (may be NULL): which.  Any thread. */
int reg_source_ask(struct reg_source *s, reg_at_place *ask, void *arg, size_t *out_i, struct bh_err *err);
/* The same from place `first` on. */
int reg_source_ask_from(struct reg_source *s, size_t first, reg_at_place *ask, void *arg, size_t *out_i,
                        struct bh_err *err);

#endif
