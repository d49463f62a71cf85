/*
 * recipe_expand.h - variables: which a stage has, and words with them replaced.
 *
 * Room: build.  Pure; never looks at the process' own environment.  Values come from users and images; output and
 * time have limits.  Single quotes take everything as it is, in double quotes the escape character quotes only ", $
 * and itself.  $v ${v} ${v:-w} ${v-w} ${v:+w} ${v+w} ${v:?e} ${v?e} ${v#p} ${v##p} ${v%p} ${v%%p} ${v/p/r} ${v//p/r};
 * w and r are expanded themselves; p knows *, ? and backslash.  Positional and special parameters are empty.
 */
#ifndef BUILD_RECIPE_EXPAND_H
#define BUILD_RECIPE_EXPAND_H

#include "oci/types.h"
#include "recipe.h"

#define BUILD_EXPAND_MAX ((size_t)1 << 20) /* bytes of an expanded word */

/* --- one word --- */

/* Value of a name or NULL; called once for each use, also to note what is used. */
typedef const char *build_lookup_fn(void *user, const char *name);

enum build_expand_flags {
    BUILD_EXPAND_RAW_QUOTES = 1,  /* quotes stay */
    BUILD_EXPAND_RAW_ESCAPES = 2, /* escape characters stay */
    BUILD_EXPAND_SKIP_QUOTES = 4, /* quotes mean nothing (text of heredocs) */
    BUILD_EXPAND_KEEP_UNSET = 8,  /* $unset stays as it is */
};

struct build_expand {
    char escape; /* of the file */
    unsigned flags;
    build_lookup_fn *lookup; /* NULL: nothing is set */
    void *user;
    struct bh_arena *arena;
};

/* The reason of an error that no value of any variable mends. */
#define BUILD_VARIABLE_SYNTAX "variable-syntax"

/* BH_E_INVALID in docker's words: "failed to process "${A": syntax error: missing '}'"; BH_E_LIMIT. */
int build_expand_word(const struct build_expand *x, const char *word, const char **out, struct bh_err *err);
/* Splits at blanks outside quotes, also at those that come out of variables. */
int build_expand_words(const struct build_expand *x, const char *word, struct bh_strlist *out, struct bh_err *err);

/* --- what is set --- */

struct build_var {
    const char *name;
    const char *value; /* NULL: declared, has no value */
};

/* What the caller of a build gave, and where it runs.  Belongs to the caller and outlives what is made of it. */
struct build_inputs {
    const struct bh_pairs *build_args; /* --build-arg; NULL: none */
    const char *build_platform;        /* "linux/amd64": where steps run */
    const char *target_platform;       /* "linux/arm64/v8" */
    const char *target;                /* --target; NULL or "": the last stage */
    const char *const *contexts;       /* names of --build-context */
    size_t n_contexts;
};

/* ARGs in front of the first FROM, and those that are always there (TARGETPLATFORM, BUILDARCH, ...). */
struct build_globals {
    const struct build_inputs *in;
    struct bh_arena *arena;
    char escape;
    struct build_var *v;
    size_t n, cap;
    size_t n_fixed; /* of v: those that no ARG brought */
};

/* BH_E_INVALID with "line N: ..." in front. */
int build_globals_init(struct build_globals *g, const struct build_recipe *r, const struct build_inputs *in,
                       struct bh_arena *arena, struct bh_err *err);
const char *build_globals_get(const struct build_globals *g, const char *name);
/* http_proxy and its kin: usable in RUN without ARG when given as --build-arg; not in history or cache keys. */
bool build_arg_is_proxy(const char *name);
/* --build-arg that no ARG of the file takes and that has no meaning of its own, in the order of the pairs. */
int build_unused_args(const struct build_recipe *r, const struct build_inputs *in, struct bh_arena *arena,
                      struct bh_strlist *out, struct bh_err *err);

/* Where a stage stands: its environment and its ARGs.  Copy the struct to fork it (stages built FROM it start with
 * a copy); lists are never changed in place. */
struct build_scope {
    const struct build_globals *globals;
    struct bh_arena *arena;
    struct bh_strlist env;        /* KEY=value, as it will be in the image's config */
    const struct build_var *args; /* declared so far, in order, none twice */
    size_t n_args;
    void (*missed)(void *user, const char *name); /* told of each use of a variable without value; NULL: nobody */
    void *missed_user;
};

/* env: of the base image; not copied. */
void build_scope_init(struct build_scope *s, const struct build_globals *g, const struct bh_strlist *env,
                      struct bh_arena *arena);
/* env first, then args that have a value; NULL. */
const char *build_scope_get(const struct build_scope *s, const char *name);
/* An ARG instruction: build argument, else default, else global ARG. */
int build_scope_declare(struct build_scope *s, const struct build_instruction *arg, struct bh_err *err);
/* The pairs of an expanded ENV instruction. */
int build_scope_set_env(struct build_scope *s, const struct build_instruction *env, struct bh_err *err);
/* What a RUN step sees: env, declared ARGs, proxies.  keyed: without the proxies (cache key). */
int build_scope_run_env(const struct build_scope *s, bool keyed, struct bh_arena *arena, struct bh_strlist *out,
                        struct bh_err *err);
/* "NAME=value" of ARGs that have a value: the list of docker's "RUN |2 A=b C=d /bin/sh -c ..." in history. */
int build_scope_arg_list(const struct build_scope *s, struct bh_arena *arena, struct bh_strlist *out,
                         struct bh_err *err);

/* --- instructions --- */

/* Copy of an instruction with variables replaced by the rules of that instruction, quotes removed: ADD COPY (sources,
 * destination, chown, chmod, checksum, exclude, heredocs with an unquoted name), ENV, LABEL, EXPOSE (may give more
 * words), STOPSIGNAL, USER, VOLUME, WORKDIR.  Others are copied as they are; RUN mounts go through build_mount_read.
 * Errors begin with the line: "line 4: ...". */
int build_instruction_expand(const struct build_instruction *in, const struct build_scope *s,
                             struct build_instruction *out, struct bh_err *err);
/* s NULL: fields with variables are left out and nothing that depends on them is checked. */
int build_mount_read(const struct build_mount_text *text, const struct build_scope *s, struct bh_arena *arena,
                     struct build_mount *out, struct bh_err *err);

#endif
