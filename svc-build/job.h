/*
 * job.h - one build: what was asked for, what came of the file, and the stages on their way.
 *
 * Room: build.  The request and the recipe never change once they are read and are shared by all threads; a
 * stage belongs to its one thread until it is done, then it is only read.  Locks: job->lock (stages, failure,
 * slots), the progress' own.  docs/internals/build.md.
 */
#ifndef BUILD_JOB_H
#define BUILD_JOB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cancel.h"
#include "oci/config.h"
#include "progress.h"
#include "recipe.h"
#include "recipe_expand.h"
#include "recipe_stages.h"
#include "store.h"

struct build_room;
struct build_import;

/* ---- what was asked for ---------------------------------------------------------------------- */

struct build_named {
    const char *name, *context, *reference, *url;
    bool archive; /* an image in an OCI archive: */
    int fd;       /* of the call; -1: none */
};
struct build_secret {
    const char *id;
    const void *data;
    size_t n;
};
struct build_agent { /* connections of a RUN to it are handed to the caller */
    const char *id;
    int fd; /* of the call */
};
struct build_ulimit {
    const char *name;
    uint64_t soft, hard;
};

enum build_output { BUILD_OUT_IMAGE, BUILD_OUT_ARCHIVE, BUILD_OUT_FILES };

/* One of the results that were asked for. */
struct build_out {
    const char *type;
    struct bh_strlist names;
    bool push;
    int fd;                 /* of the call; -1: none */
    enum build_output kind; /* once it has been looked at */
};

/* Plain values of a BuildRequest; absent strings are "". */
struct build_ask {
    uid_t owner;
    bool admin;
    const void *dockerfile;
    size_t n_dockerfile;
    const char *file_name;
    const char *context; /* "" or "ctx:.." */
    struct bh_strlist ignore;
    struct build_named *named;
    size_t n_named;
    const char *target, *network;
    struct build_out *outs; /* at least one */
    size_t n_outs;
    struct bh_strlist platforms; /* one round of the build for each; none: this host's */
    struct bh_strlist extra_hosts, cache_from, cache_to, no_cache_filter, security_opts, cap_add;
    int *cache_from_fd, *cache_to_fd;                /* one for each; -1: none */
    struct bh_pairs build_args, labels, annotations; /* build_args: with the proxies */
    bool no_cache, pull, squash, classic;
    bool has_epoch;
    int64_t epoch_ns;
    uint64_t shm_size;
    const void *limits; /* the message Limits of proto/common.proto, handed on; NULL: none */
    struct build_ulimit *ulimits;
    size_t n_ulimits;
    struct build_secret *secrets;
    size_t n_secrets;
    struct build_agent *agents;
    size_t n_agents;
    unsigned jobs;
    const void *remote; /* the message RemoteOptions of proto/registry.proto, handed on unread; NULL: none */
    const char *context_url;
    int cancel_fd;
};

/* ---- stages on their way ---------------------------------------------------------------------- */

struct build_result { /* of a step */
    struct bh_digest layer;
    bool has_layer;
    int64_t created_ns;
};
struct build_record { /* what a cache that goes out tells of a step */
    struct bh_digest key;
    struct build_result result;
};

struct build_site {
    struct build_job *job;
    size_t index;
    const struct build_stage *stage;
    const struct build_stage_link *link;
    struct bh_arena arena; /* of this stage's thread; lives as long as the job */

    /* where the stage stands */
    struct bh_image_config image; /* config, layers, history; times of own rows are filled in at the end */
    struct build_scope scope;
    size_t base_history; /* rows of the image it began with */
    size_t base_layers;
    bool cmd_set;    /* CMD was given in this stage: ENTRYPOINT keeps it */
    int64_t *row_ns; /* of own history rows: when their layer was made, 0 for rows without */
    size_t n_rows, cap_rows;
    struct build_record *records; /* of its steps, and of those of the stages that it is built on */
    size_t n_records, cap_records;

    const char *label; /* "builder", "stage-1", "" */
    unsigned command, n_commands;

    bool done; /* job->lock */
    pthread_t thread;
    bool has_thread;
};

struct build_job {
    struct build_room *room;
    const struct build_ask *ask;
    struct bh_arena *arena; /* of the call's own thread */
    char id[24];
    int64_t begin_ns;
    const char *platform; /* of this round; "": this host's */
    bool several;         /* there are other rounds */

    struct build_recipe recipe;
    struct build_notes notes;
    struct build_inputs inputs;
    struct build_globals globals;
    struct build_stages stages;

    const char *file; /* the Dockerfile */
    size_t n_file;
    struct build_stack context; /* the main context's files; empty: there is none */
    struct bh_strlist ignore;
    struct build_stack *named; /* of those contexts that have files, in the order of the request */
    struct build_hold *hold;   /* ended by who made the job: the log is kept under it */
    struct build_progress *progress;
    struct build_cancel cancel;
    struct build_import *imports; /* of --cache-from; read only once the stages run */
    size_t n_imports;
    struct build_site *sites; /* one for each stage; those that are not needed stay empty */

    pthread_mutex_t loading; /* archives are read from one place on by whoever has it */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct bh_err failure; /* the first */
    bool failed;
    unsigned busy; /* steps that work */
    bool has_nothing;
    struct bh_digest nothing; /* the layer without entries */
};

/* ---- context.c ------------------------------------------------------------------------------- */
/* The Dockerfile, the main context and the named ones; what lies at an address is fetched, under the job's hold. */
int build_context(struct build_job *job, struct bh_err *err);
/* What an address gives, as a layer with one file "body"; checksum: "" for none. */
struct build_fetched;
int build_fetch_layer(struct build_job *job, const char *url, const char *checksum, struct bh_arena *arena,
                      struct build_fetched *got, struct bh_digest *out, struct bh_err *err);

/* ---- plan.c ---------------------------------------------------------------------------------- */
/* Reads and checks the file; everything wrong is in job->notes.  0 also then: ask build_notes_verdict. */
int build_plan(struct build_job *job, struct bh_err *err);
/* A stage's name in "[name 2/4]" and the number of its commands. */
void build_plan_label(struct build_job *job, struct build_site *site, struct bh_err *err);

/* ---- solve.c --------------------------------------------------------------------------------- */
/* Parse, check, build, make the image: the whole of Build/Build. */
int build_solve(struct build_job *job, struct bh_err *err);
void build_job_init(struct build_job *job, struct build_room *room, const struct build_ask *ask,
                    struct bh_arena *arena);
void build_job_fini(struct build_job *job);
/* The file is read and checked; tell: what is wrong with it, also warnings.  Then the other images are looked at. */
int build_ready(struct build_job *job, bool tell, struct bh_err *err);
/* All stages that are needed; then, still watching whether the caller is there, `end`. */
typedef int build_end(struct build_job *job, void *arg, struct bh_err *err);
int build_run(struct build_job *job, build_end *end, void *arg, struct bh_err *err);
void build_sites_free(struct build_job *job);
/* Waits until a stage is done; BH_E_CANCELLED when the build has failed or ends. */
int build_wait_stage(struct build_job *job, size_t index, struct build_site **out, struct bh_err *err);
/* No more than ask->jobs steps work at a time. */
int build_slot_take(struct build_job *job, struct bh_err *err);
void build_slot_give(struct build_job *job);

/* The layer without entries, made once a build. */
int build_nothing(struct build_job *job, struct bh_digest *out, struct bh_err *err);

/* ---- base.c ---------------------------------------------------------------------------------- */
/* FROM: fills image and scope, runs the triggers' list into *out_triggers. */
int build_base(struct build_site *site, struct bh_strlist *out_triggers, struct bh_err *err);
/* Of the images that its FROM takes. */
const char *build_stage_platform(const struct build_site *site);
/* An image by name, pulled if it must be.  *out_pulled: it was. */
int build_base_image(struct build_job *job, struct build_vertex_ref v, const char *name, const char *platform,
                     struct bh_arena *arena, struct build_image *out, struct bh_err *err);
/* What COPY --from or a mount's from= means, as files. */
int build_source_stack(struct build_site *site, struct build_vertex_ref v, const char *from, struct build_stack *out,
                       struct bh_err *err);

/* ---- step_*.c -------------------------------------------------------------------------------- */
/* One instruction, expanded or not as its kind wants. */
int build_step(struct build_site *site, const struct build_instruction *in, struct bh_err *err);
int build_step_meta(struct build_site *site, const struct build_instruction *in, struct bh_err *err);
int build_step_run(struct build_site *site, const struct build_instruction *in, struct bh_err *err);
int build_step_copy(struct build_site *site, const struct build_instruction *in, struct bh_err *err);
int build_step_workdir(struct build_site *site, const struct build_instruction *in, struct bh_err *err);

/* What a shell form becomes. */
int build_shell_args(struct build_site *site, const struct build_command *c, const char *script, struct bh_strlist *out,
                     struct bh_err *err);
/* A path as WORKDIR has it: joined with the folder the stage is in, cleaned. */
int build_path_join(const char *folder, const char *path, struct bh_arena *arena, const char **out, struct bh_err *err);

/* ---- cache.c --------------------------------------------------------------------------------- */
/* May this stage take results of earlier builds? */
bool build_cache_on(const struct build_site *site);
/* Here, or in an image of --cache-from. */
int build_cache_look(struct build_site *site, const struct bh_digest *key, bool *out_found, struct build_result *out,
                     struct bh_err *err);
/* r becomes what the cache has: when another build has just done the same, its result. */
int build_cache_keep(struct build_site *site, const struct bh_digest *key, struct build_result *r,
                     const char *description, struct bh_err *err);

/* ---- cache_from.c ---------------------------------------------------------------------------- */
int build_cache_from_load(struct build_job *job, struct bh_err *err);
/* The layer that a RUN with this row in the history has in one of those images. */
bool build_cache_from(const struct build_site *site, const char *text, struct build_result *out);
/* What one of those images tells of the step with this key; its layer is here then.  *out_name: of the image. */
bool build_cache_from_key(const struct build_site *site, const struct bh_digest *key, struct build_result *out,
                          const char **out_name);

/* ---- cache_to.c ------------------------------------------------------------------------------ */
/* Before anything is done: is what --cache-to says possible? */
int build_cache_to_check(const struct build_ask *ask, struct bh_arena *arena, struct bh_err *err);
/* type=inline: the image itself tells of the steps it is made of.  Its config is final but for that. */
int build_cache_to_inline(struct build_site *target, struct bh_err *err);
/* All others. */
int build_cache_to_export(struct build_site **targets, size_t n, struct bh_err *err);

/* ---- history.c: rows of the image's history --------------------------------------------------- */
/* Text as docker has it, without "# buildkit". */
int build_history_meta(struct build_site *site, const char *text, struct bh_err *err);
int build_history_layer(struct build_site *site, const char *text, const struct build_result *r, struct bh_err *err);

/* ---- names of what a step shows ---------------------------------------------------------------- */
/* "[builder 2/4] RUN make" */
struct build_vertex_ref build_vertex_begin(struct build_site *site, const struct build_instruction *in,
                                           const char *extra);

#endif
