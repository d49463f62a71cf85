/*
 * tmpl_int.h - what the files of lib/tmpl share: tokens, the tree, values, one execution.
 *
 * Room: as tmpl.h; not for other folders.  The tree lives in an arena that ends with the template.
 * Values are counted references; a struct tmpl_val is moved, never copied, except by tmpl_val_ref.
 */
#ifndef BH_TMPL_INT_H
#define BH_TMPL_INT_H

#include "base/arena.h"
#include "tmpl/tmpl.h"

#define TMPL_NEST_MAX  100 /* parentheses and control structures in one another */
#define TMPL_WALK_MAX  500 /* lists of statements under way, with {{template}} calls */
#define TMPL_PRINT_MAX 200 /* depth of a printed value; jansson's own limit is higher */

/* ---- tmpl_lex.c ---- */

enum tmpl_tok_kind {
    TMPL_T_END, /* of the text */
    TMPL_T_TEXT,
    TMPL_T_OPEN,
    TMPL_T_CLOSE,
    TMPL_T_LPAREN,
    TMPL_T_RPAREN,
    TMPL_T_PIPE,
    TMPL_T_COMMA,
    TMPL_T_DECLARE, /* := */
    TMPL_T_ASSIGN,  /* = */
    TMPL_T_DOT,
    TMPL_T_FIELD, /* .name; at and n are of the name */
    TMPL_T_VAR,   /* $name with the dollar */
    TMPL_T_WORD,  /* functions, keywords, true, false, nil */
    TMPL_T_NUMBER,
    TMPL_T_CHAR,   /* 'x' with quotes */
    TMPL_T_STRING, /* "x" with quotes */
    TMPL_T_RAW,    /* `x` with quotes */
};

struct tmpl_tok {
    enum tmpl_tok_kind kind;
    const char *at;
    size_t n;
    bool spaced; /* blanks before it: ".A .B" against ".A.B" */
};

struct tmpl_lex {
    const char *text, *end, *pos;
    bool inside;    /* of {{ }} */
    bool trim_next; /* the last action ended with -}} */
    struct bh_err *err;
};

/* 0 or BH_E_INVALID with err set. */
int tmpl_lex_next(struct tmpl_lex *lx, struct tmpl_tok *out);
/* Sets "template:LINE:COLUMN: ..." for the place `at`. */
int tmpl_lex_fail(struct tmpl_lex *lx, const char *at, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void tmpl_position(const char *text, const char *at, unsigned *out_line, unsigned *out_column);
/* Content of a quoted token; \n \t \xNN \uNNNN \NNN \" as in Go.  false: bad escape. */
bool tmpl_unquote(const char *s, size_t n, struct bh_buf *out);
/* One well-formed UTF-8 sequence of n bytes, and back. */
uint32_t tmpl_code_point(const char *s, size_t n);
void tmpl_add_utf8(struct bh_buf *out, uint32_t c);

/* ---- the tree ---- */

enum tmpl_kind {
    TMPL_N_TEXT,
    TMPL_N_ACTION, /* pipe */
    TMPL_N_IF,     /* pipe, first (body), other (else) */
    TMPL_N_WITH,
    TMPL_N_RANGE,
    TMPL_N_BREAK,
    TMPL_N_CONTINUE,
    TMPL_N_TEMPLATE, /* name, pipe or NULL */
    TMPL_N_PIPE,     /* first: commands; names: declared variables */
    TMPL_N_COMMAND,  /* first: operands */
    TMPL_N_DOT,
    TMPL_N_NIL,
    TMPL_N_LITERAL, /* value */
    TMPL_N_FIELD,   /* names: .A.B */
    TMPL_N_VAR,     /* name, names: $x.A.B */
    TMPL_N_CHAIN,   /* first (a pipe in parentheses), names: (...).A.B */
    TMPL_N_FUNC,
};

struct tmpl_name {
    struct tmpl_name *next;
    const char *s;
    size_t n;
};

struct tmpl_func;

struct tmpl_node {
    enum tmpl_kind kind;
    const char *at; /* its source, for messages */
    size_t len;
    struct tmpl_node *next;
    struct tmpl_node *first;
    struct tmpl_node *other;
    struct tmpl_node *pipe;
    struct tmpl_name *names;
    const char *s; /* text, name of a variable or template; not NUL-terminated */
    size_t n;
    size_t count; /* commands or operands below first */
    bool assign;  /* pipe: = and not := */
    json_t *value;
    const struct tmpl_func *func;
};

struct tmpl_def {
    struct tmpl_def *next;
    const char *name;
    size_t n;
    struct tmpl_node *body;
};

struct bh_tmpl {
    char *text;
    size_t len;
    struct bh_arena arena;
    struct tmpl_node *body;
    struct tmpl_def *defs;
    json_t *literals; /* array that owns the values of the literals */
};

/* ---- one execution, tmpl_eval.c ---- */

struct tmpl_val {
    json_t *j;         /* owned; NULL: no value */
    bool open;         /* an object with keys that users choose */
    bool undefined;    /* a key that was not there (only where that is no error) */
    const char *shown; /* of a null: what it prints; NULL as ever */
};

struct tmpl_var {
    const char *s;
    size_t n;
    struct tmpl_val val;
};

struct tmpl_exec {
    const struct bh_tmpl *t;
    const struct bh_tmpl_opts *opts;
    struct bh_buf *out;
    struct tmpl_var *vars;
    size_t var_count, var_cap;
    uint64_t steps, bytes; /* left */
    unsigned depth;
    unsigned lenient; /* inside of the condition of if or with: a missing key is no error */
    struct bh_err *err;
};

/* Error at a node: "template:1:3: at <.Foo>: ...". */
int tmpl_fail(struct tmpl_exec *x, const struct tmpl_node *at, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Take n from the budgets. */
int tmpl_step(struct tmpl_exec *x, const struct tmpl_node *at);
int tmpl_charge(struct tmpl_exec *x, const struct tmpl_node *at, uint64_t n);
bool tmpl_truth(const json_t *j);
const char *tmpl_type_name(const json_t *j);
void tmpl_val_clear(struct tmpl_val *v);
struct tmpl_val tmpl_val_ref(const struct tmpl_val *v);

/* Takes the value. */
void tmpl_var_push(struct tmpl_exec *x, const char *s, size_t n, struct tmpl_val *take);
void tmpl_var_pop_to(struct tmpl_exec *x, size_t count);
/* Declare or assign, as the pipe says; takes the value. */
int tmpl_var_set(struct tmpl_exec *x, const struct tmpl_node *pipe, const struct tmpl_name *name,
                 struct tmpl_val *take);

/* The value of a pipe, for its declared variable too. */
int tmpl_eval_pipe(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *pipe, struct tmpl_val *out);
/* The value of all its commands; declared variables are the caller's to set. */
int tmpl_eval_commands(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *pipe, struct tmpl_val *out);

/* ---- tmpl_func.c, tmpl_format.c ---- */

typedef int tmpl_func_fn(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                         struct tmpl_val *out);

struct tmpl_func {
    const char *name;
    unsigned min_args, max_args;
    tmpl_func_fn *fn; /* NULL: and, or (tmpl_eval.c evaluates their arguments one by one) */
    bool word;        /* among column headings it gives its first argument back */
};

const struct tmpl_func *tmpl_func_find(const char *s, size_t n);
/* What a buffer holds becomes a string value; the buffer is emptied. */
int tmpl_give_string(struct tmpl_exec *x, const struct tmpl_node *at, struct bh_buf *b, struct tmpl_val *out);
tmpl_func_fn tmpl_func_printf;

/* ---- tmpl_print.c ---- */

/* As fmt.Sprint and fmt.Sprintln of Go. */
void tmpl_print_all(struct bh_buf *out, size_t argc, const struct tmpl_val *argv, bool line);
/* %v of one value: nothing and null are <nil>. */
void tmpl_print_value(struct bh_buf *out, const json_t *j);
/* Shortest digits that read back as v.  verb 'v': with exponent from 1e+06 on; 'j': as in JSON, from 1e+21. */
void tmpl_print_real(struct bh_buf *out, double v, char verb);
void tmpl_print_quoted(struct bh_buf *out, const char *s, size_t n, char quote);
/* Keys of an object in byte order; NULL when it is empty; free() the array only. */
const char **tmpl_sorted_keys(const json_t *object, size_t *out_n);

#endif
