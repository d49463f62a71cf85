/*
 * mounts.h - RUN --mount: files that a command sees and its layer does not have.
 *
 * Room: build.  bind and cache are layers above the stage's own; what is below their targets is left out of the step's
 * layer.  tmpfs, secrets and scripts are mounts of the container; a secret's value is never
 * part of a key, a record or an event.
 */
#ifndef BUILD_MOUNTS_H
#define BUILD_MOUNTS_H

#include "cache_layers.h"
#include "caches.h"
#include "job.h"
#include "key.h"
#include "runner.h"

#define BUILD_MOUNTS_MAX 64 /* of one RUN */
#define BUILD_STACK_MAX  96 /* layers of a RUN's container, if caches can help it: launch names them all in one page */

/* One of them. */
struct build_mounted {
    struct build_mount m; /* variables replaced, target absolute and clean */
    struct build_stack from;
    struct bh_strlist ignore;
    struct bh_digest content; /* bind: of what it brings */
    const struct build_secret *secret;
    const struct build_agent *agent;

    const char *where; /* the target, of what is in a layer once links are followed; "": it is not mounted */

    /* cache */
    struct bh_digest key;
    struct build_mounted *same; /* the first of this RUN that is this cache: it has all that follows */
    struct build_cache_use use;
    bool own; /* nobody else has a private one */
    bool wants_keep;
    const char *place;
    struct build_cache_layers layers;
    bool fresh;      /* they are in no record yet */
    size_t separate; /* its number in the list */
};

struct build_mounts {
    struct build_site *site;
    struct build_vertex_ref v;
    struct build_mounted *v_mounts;
    size_t n;
    const char *script; /* of a here-document with an interpreter of its own */
    size_t n_script;
    const char *script_path;
    unsigned n_agents;      /* read so far */
    const char *agent_path; /* of the first that is there */

    /* made by build_mounts_make */
    struct bh_digest *above; /* layers to be put above the stage's */
    size_t n_above;
    struct build_exec_mount *exec;
    size_t n_exec;
    struct bh_strlist exclude, separate;
};

/* Reads the mounts of a RUN and looks at the files that they bring.  A script with an interpreter of its own becomes a
 * file, and *args runs it. */
int build_mounts_read(struct build_mounts *m, struct build_site *site, const struct build_instruction *in,
                      struct build_vertex_ref v, struct bh_strlist *args, struct bh_err *err);
void build_mounts_key(const struct build_mounts *m, struct build_key *k);
/* Makes the layer; takes the locks of caches. */
int build_mounts_make(struct build_mounts *m, struct bh_err *err);
/* Secrets that are variables, and where the agent is. */
int build_mounts_env(const struct build_mounts *m, struct bh_strlist *env, struct bh_err *err);
/* After success: what the caches are now.  separate: as m->separate. */
int build_mounts_keep(struct build_mounts *m, const struct build_exec_change *separate, struct bh_err *err);
/* Gives the locks back; in any case. */
void build_mounts_leave(struct build_mounts *m);

#endif
