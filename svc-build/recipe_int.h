/*
 * recipe_int.h - between the parts of the parser: lines, words, flags, instructions.
 *
 * Room: build, recipe_*.c alone.  Memory that runs out sets `failed` and the error and makes functions return NULL
 * or false; whoever loops looks at `failed`.  What is wrong with the text is a note and never stops the parser.
 */
#ifndef BUILD_RECIPE_INT_H
#define BUILD_RECIPE_INT_H

#include "oci/types.h"
#include "recipe.h"
#include "recipe_expand.h"

/* text[at..] came from here. */
struct build_segment {
    size_t at;
    struct build_pos pos;
};

/* An instruction with its continuation lines joined. */
struct build_line {
    char *text;
    size_t n;
    struct build_segment *segments;
    size_t n_segments, cap_segments;
    uint32_t first, last; /* lines of the file */
    struct build_words comments;
};

struct build_parser {
    struct bh_arena *arena;
    struct build_recipe *recipe;
    struct build_notes *notes;
    struct bh_err *err;
    bool failed;
    const char *text;
    size_t len, pos;
    uint32_t line; /* of the line read last */
    char escape;
    bool directives_over, after_shebang;
    struct build_word *comments;
    size_t n_comments, cap_comments;
    size_t n_instructions;
    struct build_stage *stage; /* NULL before the first FROM */
    bool stage_unclear;        /* something in front may have been meant as FROM */
};

/* --- memory (recipe_parse.c) --- */

void *build_need(struct build_parser *p, size_t n); /* zeroed */
char *build_keep(struct build_parser *p, const char *s, size_t n);
/* v with room for one more element behind n, copied when it had none; NULL. */
void *build_grow(struct build_parser *p, void *v, size_t n, size_t *cap, size_t size);

/* --- lines (recipe_lex.c) --- */

/* Index the lines of the file for the notes and drop the byte-order mark. */
bool build_lex_start(struct build_parser *p);
/* The next instruction; false at the end of the file or when memory is gone. */
bool build_lex_line(struct build_parser *p, struct build_line *out);
/* The text of a heredoc, up to and with the line of its name. */
bool build_lex_heredoc(struct build_parser *p, struct build_line *line, struct build_heredoc *doc);
struct build_pos build_line_pos(const struct build_line *line, size_t offset);
/* A directive `key = value` in a comment; `text` is behind the '#'. */
bool build_directive_split(const char *text, size_t n, const char **out_key, size_t *out_key_len,
                           const char **out_value, size_t *out_value_len);

/* --- words of one instruction (recipe_words.c) --- */

struct build_flag {
    const char *name;  /* "--from" without the dashes, NUL-terminated */
    const char *value; /* NULL without '=' */
    struct build_pos at, value_at;
    size_t length, value_length;
    bool used;
};

/* One instruction being read. */
struct build_request {
    struct build_parser *p;
    struct build_line *line;
    struct build_instruction *out;
    size_t args, args_len; /* range of line->text, trimmed, behind the flags */
    struct build_flag *flags;
    size_t n_flags, cap_flags;
    struct build_heredocs heredocs;
    size_t heredoc_words; /* of the line, found before the texts are read */
    bool bad;             /* it has an error */
};

bool build_is_space(char c);
/* Reads flags at the start of the arguments. */
bool build_take_flags(struct build_request *q);
const char *build_args(const struct build_request *q);
/* Split the arguments: at blanks; or as key=value words with quotes. */
bool build_split_blanks(struct build_request *q, struct build_words *out);
bool build_split_quoted(struct build_request *q, struct build_words *out);
/* The whole rest as one word; s NULL if empty. */
bool build_whole_word(struct build_request *q, size_t from, struct build_word *out);
/* JSON form: 1 taken, 0 it is something else, -1 noted or failed. */
int build_split_json(struct build_request *q, size_t from, struct build_words *out);
/* Does this word begin a heredoc?  1 yes, 0 no or memory is gone. */
int build_heredoc_word(struct build_parser *p, const char *word, struct build_heredoc *out);
bool build_find_heredocs(struct build_request *q);
struct build_word build_word_at(struct build_request *q, size_t offset, size_t n, const char *text);

/* --- notes of one instruction --- */

struct build_note *build_bad(struct build_request *q, const char *code, size_t offset, size_t n, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
struct build_note *build_bad_at(struct build_request *q, const char *code, struct build_pos at, size_t n,
                                const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* --- flags and mounts (recipe_flags.c, recipe_mount.c) --- */

enum build_flag_kind { BUILD_FLAG_TEXT, BUILD_FLAG_BOOL, BUILD_FLAG_LIST };

struct build_flag_spec {
    const char *name;
    enum build_flag_kind kind;
    size_t offset;     /* of a struct build_word, bool, or struct build_words */
    size_t has_offset; /* BOOL: of a bool that tells that it was given; 0: none */
};

/* Put all flags where the table says, below `base`; unknown ones, doubles and bad values are noted. */
void build_flags_read(struct build_request *q, const struct build_flag_spec *specs, size_t n, void *base);

/* Take --mount values apart and check what holds no variable. */
bool build_mount_parse(struct build_request *q, const struct build_word *value, struct build_mount_text *out);

/* --- instructions (recipe_parse.c, recipe_instr.c) --- */

typedef void build_instr_fn(struct build_request *q);
build_instr_fn build_instr_from, build_instr_run, build_instr_copy, build_instr_add, build_instr_command,
    build_instr_entrypoint, build_instr_shell, build_instr_env, build_instr_label, build_instr_arg, build_instr_expose,
    build_instr_volume, build_instr_word, build_instr_stopsignal, build_instr_health, build_instr_onbuild;

/* Does the instruction take heredocs? */
bool build_op_has_heredocs(enum build_op op);
/* -1: unknown */
int build_op_find(const char *name, size_t n);
/* Split "OP --flag args" of line->text[from..] and read it into q->out; notes errors.  onbuild: inside ONBUILD. */
bool build_read_instruction(struct build_parser *p, struct build_line *line, size_t from, bool onbuild,
                            struct build_instruction *out, struct build_request *q);

#endif
