/*
 * recipe.h - a Dockerfile as a tree: stages of instructions, typed, with the place of every word.
 *
 * Room: build.  Pure: no I/O, no look at the environment.  The text is a user's; nothing in it is trusted and
 * every size has a limit below.  The parser reads the whole file and notes every error (recipe_note.h) before it
 * returns.  Words are kept as written, with quotes and variables: recipe_expand.h replaces them, recipe_stages.h says
 * what each stage stands on, recipe_check.h has the lint checks.
 * Everything belongs to the arena and is never changed after build_recipe_parse, so it can be read by many threads.
 * Source: Dockerfile reference; docs/internals/dockerfile.md.
 */
#ifndef BUILD_RECIPE_H
#define BUILD_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "recipe_note.h"

#define BUILD_RECIPE_MAX       ((size_t)1 << 20)  /* bytes of the file */
#define BUILD_RECIPE_LINE_MAX  65535              /* bytes of one line */
#define BUILD_RECIPE_ARENA     ((size_t)96 << 20) /* ceiling for the arena: no file within the limits needs more */
#define BUILD_INSTRUCTIONS_MAX 5000
#define BUILD_STAGES_MAX       500
#define BUILD_WORDS_MAX        20000 /* words of one instruction */
#define BUILD_FLAGS_MAX        256   /* flags of one instruction */
#define BUILD_HEREDOCS_MAX     64    /* of one instruction */

/* A word as written, NUL-terminated; s NULL: not given. */
struct build_word {
    const char *s;
    struct build_pos at;
    uint32_t length; /* in the file, in bytes: with quotes, cut at the end of its line */
};

struct build_words {
    struct build_word *v;
    size_t n;
};

/* <<NAME ... NAME */
struct build_heredoc {
    const char *name;
    const char *text;     /* the lines with their ends; without leading tabs if strip_tabs */
    const char *raw_text; /* with them */
    size_t text_len;      /* text may hold any byte but NUL */
    bool expand;          /* the name was not quoted */
    bool strip_tabs;      /* <<- */
    unsigned fd;
    struct build_pos at; /* of the first line of the text */
};

struct build_heredocs {
    struct build_heredoc *v;
    size_t n;
};

#define BUILD_OP_LIST(X)                                                                                               \
    X(ADD)                                                                                                             \
    X(ARG)                                                                                                             \
    X(CMD)                                                                                                             \
    X(COPY)                                                                                                            \
    X(ENTRYPOINT)                                                                                                      \
    X(ENV)                                                                                                             \
    X(EXPOSE)                                                                                                          \
    X(FROM)                                                                                                            \
    X(HEALTHCHECK)                                                                                                     \
    X(LABEL)                                                                                                           \
    X(MAINTAINER)                                                                                                      \
    X(ONBUILD)                                                                                                         \
    X(RUN)                                                                                                             \
    X(SHELL)                                                                                                           \
    X(STOPSIGNAL)                                                                                                      \
    X(USER)                                                                                                            \
    X(VOLUME)                                                                                                          \
    X(WORKDIR)

enum build_op {
#define X(name) BUILD_##name,
    BUILD_OP_LIST(X)
#undef X
        BUILD_OP_COUNT
};

/* "RUN" */
const char *build_op_name(enum build_op op);

struct build_pair {
    struct build_word key;
    struct build_word value; /* ARG: s NULL when there is no '=' */
    bool legacy;             /* "ENV key value" */
};

struct build_pairs {
    struct build_pair *v;
    size_t n;
};

/* RUN, CMD, ENTRYPOINT, HEALTHCHECK CMD, SHELL. */
struct build_command {
    bool exec; /* JSON form: args is the argv, maybe empty.  Else args is one word for the shell. */
    struct build_words args;
};

enum build_mount_type { BUILD_MOUNT_BIND, BUILD_MOUNT_CACHE, BUILD_MOUNT_TMPFS, BUILD_MOUNT_SECRET, BUILD_MOUNT_SSH };
enum build_sharing { BUILD_SHARED, BUILD_PRIVATE, BUILD_LOCKED };

/* One RUN --mount as written.  build_mount_read (recipe_expand.h) gives the typed form; the parser has
 * checked all fields that hold no variable. */
struct build_mount_text {
    struct build_word text; /* the value of the flag */
    struct build_pairs fields;
    const char *from; /* never holds a variable; NULL if not given */
};

/* RUN --mount, variables replaced. */
struct build_mount {
    enum build_mount_type type;
    const char *from;   /* stage, context or image; NULL: the build context (bind) or nothing (cache) */
    const char *source; /* "" if not given */
    const char *target; /* relative: to WORKDIR; "": WORKDIR itself (bind, cache, tmpfs), none (secret with env only),
                           the caller's choice (ssh); secret else: /run/secrets/ID; never "/" */
    bool read_only;
    uint64_t size;  /* tmpfs; 0: no limit */
    const char *id; /* cache: default target; secret: default source, then base name of target; ssh: "default" */
    enum build_sharing sharing;
    bool required;
    const char *env; /* secret: name of a variable that gets it; NULL if none */
    bool has_mode, has_uid, has_gid;
    uint32_t mode, uid, gid;
};

enum build_network { BUILD_NETWORK_DEFAULT, BUILD_NETWORK_NONE, BUILD_NETWORK_HOST };

struct build_run {
    struct build_command command;
    struct build_heredocs heredocs;
    const char *script; /* shell form: what the shell gets, heredocs in place; NULL in exec form */
    bool shebang;       /* script is a file that names its interpreter: run it as a file */
    struct build_mount_text *mounts;
    size_t n_mounts;
    enum build_network network;
    bool insecure; /* --security=insecure */
};

/* COPY and ADD. */
struct build_copy {
    struct build_words sources;  /* without heredocs */
    struct build_heredocs files; /* heredocs that are sources */
    struct build_word dest;
    struct build_word from; /* COPY; holds no variable */
    struct build_word chown, chmod;
    struct build_word checksum; /* ADD */
    struct build_words exclude;
    bool link, parents;
    bool has_keep_git_dir, keep_git_dir;
    bool has_unpack, unpack;
};

struct build_from {
    struct build_word base;
    struct build_word platform;
    struct build_word as;   /* the keyword, for lint */
    struct build_word name; /* as written */
};

struct build_health {
    bool none;
    struct build_command command;
    int64_t interval_ns, timeout_ns, start_period_ns, start_interval_ns; /* 0: not given */
    int64_t retries;                                                     /* 0: not given */
};

struct build_onbuild {
    const char *text;     /* what goes into the image, heredocs included; build_recipe_parse_trigger reads it again */
    struct build_word op; /* the instruction in it */
};

struct build_instruction {
    enum build_op op;
    const char *name; /* as written: "run" */
    struct build_pos at;
    uint32_t last_line; /* with heredocs */
    const char *text;   /* the instruction on one line: continuation joined, comments dropped, no heredoc bodies */
    size_t name_len;    /* of name, in text */
    struct build_words comments; /* the comment lines right above, without '#' */
    bool exec_broken;            /* looks like JSON form but is none */
    union {
        struct build_from from;
        struct build_run run;
        struct build_copy copy;       /* COPY, ADD */
        struct build_command command; /* CMD, ENTRYPOINT, SHELL */
        struct build_pairs pairs;     /* ENV, LABEL, ARG */
        struct build_words words;     /* EXPOSE, VOLUME */
        struct build_word word;       /* MAINTAINER, USER, WORKDIR, STOPSIGNAL */
        struct build_health health;
        struct build_onbuild onbuild;
    };
};

struct build_stage {
    size_t index;
    const char *name; /* lower case; "" if it has none */
    const struct build_instruction *from;
    struct build_instruction **v; /* those after FROM */
    size_t n, cap;
};

struct build_directive {
    const char *value; /* NULL if the directive is not there */
    struct build_pos at;
};

struct build_recipe {
    char escape; /* '\\' or '`' */
    struct build_directive syntax, escape_at, check;
    struct build_instruction **global_args; /* ARG before the first FROM */
    size_t n_global_args, cap_global_args;
    struct build_stage *stages;
    size_t n_stages, cap_stages;
    struct build_pos *empty_lines; /* blank lines inside an instruction */
    size_t n_empty_lines, cap_empty_lines;
};

/* Read text[0..n).  Everything that is wrong is added to notes.  Returns 0 when the file could be read to its end,
 * also with errors in it: ask build_notes_verdict.  *out then holds what was understood.
 * BH_E_LIMIT when it is too large or the arena is too small. */
int build_recipe_parse(const char *text, size_t n, struct bh_arena *arena, struct build_notes *notes,
                       struct build_recipe *out, struct bh_err *err);
/* One instruction that an image brought as ONBUILD.  Its words have the place `at` (the FROM). BH_E_INVALID (one
 * line, names the image's instruction), BH_E_LIMIT. */
int build_recipe_parse_trigger(const char *text, struct build_pos at, struct bh_arena *arena,
                               struct build_instruction **out, struct bh_err *err);

/* Stage of that name (any letter case) or number among the first n_stages, the last of several; -1 if none.
 * numbers: take "0" as an index, too. */
long build_recipe_stage(const struct build_recipe *r, const char *name, size_t n_stages, bool numbers);

#endif
