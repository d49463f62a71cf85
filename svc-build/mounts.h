/*
 * mounts.h - RUN --mount: files that a command sees and its layer does not have.
 *
 * Room: build.  bind and cache are layers above the stage's own, made by the store; what is below their targets is
 * left out of the step's layer.  tmpfs and secrets are mounts of the container; a secret's value is never part of a
 * key, a record or an event.
 */
#ifndef BUILD_MOUNTS_H
#define BUILD_MOUNTS_H

#include "job.h"
#include "key.h"
#include "runner.h"

struct build_mount_state;

struct build_mounts {
    struct build_site *site;
    struct build_vertex_ref v;
    struct build_mount *v_mounts; /* as read */
    struct build_mount_state *states;
    size_t n;

    struct bh_digest *layers; /* to be put above the stage's, lowest first */
    size_t n_layers;
    struct build_exec_mount *exec;
    size_t n_exec;
    struct bh_strlist exclude, separate;
    struct bh_strlist env; /* of secrets that are variables */
};

/* Reads the mounts of a RUN and looks at the files that they bring.  A script with an interpreter of its own becomes a
 * file, and *args runs it. */
int build_mounts_read(struct build_mounts *m, struct build_site *site, const struct build_instruction *in,
                      struct build_vertex_ref v, struct bh_strlist *args, struct bh_err *err);
void build_mounts_key(const struct build_mounts *m, struct build_key *k);
/* Makes the layers; takes the locks of caches. */
int build_mounts_make(struct build_mounts *m, struct bh_err *err);
int build_mounts_env(const struct build_mounts *m, struct bh_strlist *env, struct bh_err *err);
/* After success: what the caches are now. */
int build_mounts_keep(struct build_mounts *m, const struct bh_digest *separate, struct bh_err *err);
/* Gives the locks back; in any case. */
void build_mounts_leave(struct build_mounts *m);

#endif
