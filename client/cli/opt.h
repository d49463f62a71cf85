/*
 * opt.h - the command table: one const row per command, one const row per option.
 *
 * Room: client.  From the rows come the parser, --help, the man pages, the completions and the JSON
 * dump, so that they cannot disagree.  The words that a user typed are trusted no further than
 * that; they are escaped when they are shown again.
 *
 * Rules of the command line, which are docker's:
 *   - no abbreviations; --flag, --flag=value, --flag value, --bool[=true|false]
 *   - -it, -p8080:80, -eA=b, -m=text; a long name after one dash is refused
 *   - commands with CLI_CMD_STOP end their flags at the first operand, the others mix
 *   - "--" ends the flags, "-" is an operand
 *   - global options come before the verb
 *   - a wrong flag exits 125, an unknown command or a wrong number of operands exits 1
 */
#ifndef BH_CLI_OPT_H
#define BH_CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/out.h"

#define CLI_EXIT_FAILED 1
#define CLI_EXIT_USAGE  125

enum cli_opt_kind {
    CLI_BOOL,     /* no value but =true or =false */
    CLI_STRING,   /* the last one counts */
    CLI_LIST,     /* all count, in the order given */
    CLI_INT,      /* decimal, may be negative */
    CLI_BYTES,    /* "64m"; see bh_str_bytes */
    CLI_DURATION, /* "1h30m"; see bh_duration_parse */
    CLI_FLOAT,    /* "1.5" */
};

enum cli_opt_flags {
    CLI_OPT_IGNORED = 1,  /* taken and without effect, as documented */
    CLI_OPT_LATER = 2,    /* known, not there yet: says so, exits 125 */
    CLI_OPT_HIDDEN = 4,   /* not shown in --help and completions */
    CLI_OPT_OPTIONAL = 8, /* the value may be left out: --flag is --flag=<implied> */
};

/* Rows of a table; a row without a name ends it.  Keep rows sorted by name. */
struct cli_opt {
    const char *name; /* long name, no dashes */
    char letter;      /* 0: none */
    enum cli_opt_kind kind;
    unsigned flags;
    const char *help;     /* one phrase, capital first, no full stop */
    const char *metavar;  /* NULL: by kind ("string", "list", "int", "bytes", "duration") */
    const char *def;      /* default as text, NULL: empty, 0, false */
    const char *implied;  /* CLI_OPT_OPTIONAL: the value when none is given */
    const char *complete; /* for completions: "image", "container", "file", "dir", or the values "a|b|c" */
};

struct cli_app;
struct cli_command;

/* What a parse gave.  Strings point into argv or into the table. */
struct cli_args {
    const struct cli_command *command;
    const char *called; /* the path as typed: "image ls", "images" */
    char **operands;    /* NULL-terminated */
    int operand_count;
    struct cli_given *given; /* in the order of the command line */
    size_t given_count;
};

struct cli_given {
    const struct cli_opt *opt;
    const char *value;
};

/* What every command gets. */
struct cli_ctx {
    const struct cli_app *app;
    struct cli_out *out;
    const char *host;      /* --host, else $BULKHEAD_HOST, else the app's default */
    const char *config;    /* --config folder, else $BULKHEAD_CONFIG, NULL: the user's default */
    const char *log_level; /* --log-level */
    bool debug;
    void *user; /* the program's own: the connection */
};

enum cli_command_flags {
    CLI_CMD_STOP = 1,   /* flags end at the first operand (run, exec, create) */
    CLI_CMD_LATER = 2,  /* known, not there yet: says so, exits 1; run may be NULL */
    CLI_CMD_HIDDEN = 4, /* not shown in --help, man and completions */
};

/* One command.  A row without a path ends the table.  A group ("image") needs no row: it is there
 * when a path starts with it; give it one with run = NULL and a summary to describe it. */
struct cli_command {
    const char *path;     /* "run", "image ls": the name that the man page has */
    const char *aliases;  /* other whole paths, ", " between them: "image list, images"; NULL: none */
    const char *operands; /* synopsis of the operands: "IMAGE [COMMAND] [ARG...]"; NULL: none */
    const char *summary;  /* one phrase */
    const char *text;     /* more for the man page, NULL: none */
    unsigned flags;
    int min_operands, max_operands; /* max -1: any number */
    const struct cli_opt *opts;     /* NULL: none */
    const struct cli_opt *more;     /* a second table, for rows that several commands share; NULL: none */
    const char *complete;           /* what the operands are: "image", "container", "file", "dir", NULL */
    int (*run)(struct cli_ctx *ctx, const struct cli_args *args); /* exit status */
};

struct cli_app {
    const char *name; /* "bulkhead" */
    const char *version;
    const char *summary;
    const char *default_host;
    const struct cli_command *commands;
};

/* Read the options before the verb, find the command, parse its arguments, run it; --help and
 * --version are answered here.  ctx->out and ctx->user are the caller's; the rest of ctx is filled
 * in.  Returns the exit status; every error has been printed. */
int cli_dispatch(const struct cli_app *app, struct cli_ctx *ctx, int argc, char **argv);

/* The parts of it, for tests and for the generators. */
/* Finds the command that argv (no program name, no global options) begins with; *out_words is how
 * many words its path has.  BH_E_NOT_FOUND with a "did you mean" hint. */
int cli_command_find(const struct cli_app *app, int argc, char *const *argv, const struct cli_command **out,
                     int *out_words, struct bh_err *err);
/* argv without the words of the path.  Free with cli_args_fini, also after an error.  The code of a
 * wrong flag is BH_E_INVALID with reason "usage" (exit 125); of a wrong count reason "operands". */
int cli_args_parse(const struct cli_app *app, const struct cli_command *cmd, int argc, char **argv,
                   struct cli_args *out, bool *out_help, struct bh_err *err);
void cli_args_fini(struct cli_args *args);

/* Values.  A name that the command's table does not have is our mistake and aborts. */
bool cli_given(const struct cli_args *args, const char *name); /* was it on the command line */
bool cli_bool(const struct cli_args *args, const char *name);
const char *cli_str(const struct cli_args *args, const char *name); /* default if not given; NULL if that is none */
int64_t cli_int(const struct cli_args *args, const char *name);
uint64_t cli_bytes(const struct cli_args *args, const char *name);
int64_t cli_duration_ns(const struct cli_args *args, const char *name);
double cli_float(const struct cli_args *args, const char *name);
/* The i-th value of a list option, NULL behind the last; cli_count says how many. */
size_t cli_count(const struct cli_args *args, const char *name);
const char *cli_item(const struct cli_args *args, const char *name, size_t i);

/* Edit distance (insert, delete, change, swap of neighbours), case does not count. */
size_t cli_edit_distance(const char *a, const char *b);

/* opt_help.c: width 0 does not wrap. */
void cli_help_command(const struct cli_app *app, const struct cli_command *cmd, const char *called, unsigned width,
                      struct bh_buf *out);
/* prefix: "" for the whole program, "image" for a group. */
void cli_help_group(const struct cli_app *app, const char *prefix, unsigned width, struct bh_buf *out);
bool cli_group_exists(const struct cli_app *app, const char *prefix);
/* Options of both tables, sorted by name, NULL behind the last; free() it. */
const struct cli_opt **cli_command_opts(const struct cli_command *cmd);
const char *cli_opt_metavar(const struct cli_opt *opt);

/* opt_doc.c: scdoc source of one man page, of the page of the whole program, and the JSON dump. */
void cli_doc_man(const struct cli_app *app, const struct cli_command *cmd, struct bh_buf *out);
void cli_doc_man_index(const struct cli_app *app, struct bh_buf *out);
void cli_doc_json(const struct cli_app *app, struct bh_buf *out);
/* opt_complete.c: shell is "bash", "zsh" or "fish"; BH_E_INVALID for another. */
int cli_doc_completion(const struct cli_app *app, const char *shell, struct bh_buf *out, struct bh_err *err);

/* Ready-made rows for the table of the program (both print on standard output):
 *   completion SHELL        hidden: __doc man DIR | json   (writes every man page's source to DIR) */
extern const struct cli_opt cli_opts_none[];
int cli_run_completion(struct cli_ctx *ctx, const struct cli_args *args);
int cli_run_doc(struct cli_ctx *ctx, const struct cli_args *args);
#define CLI_COMMANDS_BUILTIN                                                                                           \
    {.path = "completion",                                                                                             \
     .operands = "bash|zsh|fish",                                                                                      \
     .summary = "Write the completion script of a shell to standard output",                                           \
     .min_operands = 1,                                                                                                \
     .max_operands = 1,                                                                                                \
     .complete = "bash|zsh|fish",                                                                                      \
     .run = cli_run_completion},                                                                                       \
    {                                                                                                                  \
        .path = "__doc", .operands = "man DIR | json", .summary = "Write the documents that the command table gives",  \
        .flags = CLI_CMD_HIDDEN, .min_operands = 1, .max_operands = 2, .run = cli_run_doc                              \
    }

#endif
