/*
 * tmpl_parse.c - tokens into the tree: recursive descent, one token ahead.
 *
 * Room: client.  Nesting is counted, the tree's memory has a ceiling that follows from the length of
 * the text, so no text can use up the stack or the memory.  Variables must have been declared, as in
 * Go; functions must exist.
 */
#include "tmpl/tmpl_int.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* Every token makes at most three nodes; the shortest token has one byte. */
#define ARENA_FOR(n) ((size_t)(n)*512 + 16384)

struct parse {
    struct bh_tmpl *t;
    struct tmpl_lex lx;
    struct tmpl_tok tok; /* the one ahead */
    const char *last_end;
    unsigned flags;
    unsigned depth, loops;
    struct tmpl_name *vars[512]; /* in scope from var_base on */
    size_t var_base, var_count;
    struct bh_err *err;
};

/* How a list of statements ended. */
enum stop { STOP_END_OF_TEXT, STOP_END, STOP_ELSE };

static int parse_pipe(struct parse *p, const char *context, bool range, struct tmpl_node **out);
static int parse_list(struct parse *p, struct tmpl_node **out, enum stop *out_stop);

static int advance(struct parse *p) {
    p->last_end = p->tok.at ? p->tok.at + p->tok.n : p->lx.text;
    return tmpl_lex_next(&p->lx, &p->tok);
}

static int fail_here(struct parse *p, const char *context) {
    int shown = p->tok.n > 40 ? 40 : (int)p->tok.n;

    if (p->tok.kind == TMPL_T_END)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "unexpected end of the template in %s", context);
    return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "unexpected \"%s%.*s\" in %s",
                         p->tok.kind == TMPL_T_FIELD ? "." : "", shown, p->tok.at, context);
}

static bool is_word(const struct parse *p, const char *word) {
    return p->tok.kind == TMPL_T_WORD && p->tok.n == strlen(word) && memcmp(p->tok.at, word, p->tok.n) == 0;
}

static int deeper(struct parse *p) {
    if (++p->depth > TMPL_NEST_MAX)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_LIMIT, "nested deeper than %d", TMPL_NEST_MAX);
    return 0;
}

static void *take(struct parse *p, size_t n) {
    void *m = bh_arena_alloc(&p->t->arena, n);

    if (!m) {
        bh_err_set(p->err, BH_E_LIMIT, "template: too many parts");
        return NULL;
    }
    memset(m, 0, n);
    return m;
}

static int new_node(struct parse *p, enum tmpl_kind kind, struct tmpl_node **out) {
    struct tmpl_node *n = take(p, sizeof *n);

    if (!n)
        return BH_E_LIMIT;
    n->kind = kind;
    n->at = p->tok.kind == TMPL_T_FIELD ? p->tok.at - 1 : p->tok.at;
    n->len = (size_t)(p->tok.at + p->tok.n - n->at);
    *out = n;
    return 0;
}

static int new_name(struct parse *p, struct tmpl_name **out) {
    struct tmpl_name *n = take(p, sizeof *n);

    if (!n)
        return BH_E_LIMIT;
    n->s = p->tok.at;
    n->n = p->tok.n;
    *out = n;
    return 0;
}

/* The source of a node reaches to the end of the last token taken. */
static void close_span(struct parse *p, struct tmpl_node *n) {
    n->len = (size_t)(p->last_end - n->at);
}

/* ---- variables ---- */

static bool var_known(const struct parse *p, const struct tmpl_tok *tok) {
    if (tok->n == 1)
        return true; /* $ */
    for (size_t i = p->var_count; i-- > p->var_base;)
        if (p->vars[i]->n == tok->n && memcmp(p->vars[i]->s, tok->at, tok->n) == 0)
            return true;
    return false;
}

static int var_add(struct parse *p, struct tmpl_name *name) {
    if (p->var_count == BH_ARRAY_LEN(p->vars))
        return tmpl_lex_fail(&p->lx, name->s, BH_E_LIMIT, "more than %zu variables", BH_ARRAY_LEN(p->vars));
    p->vars[p->var_count++] = name;
    return 0;
}

/* ---- operands ---- */

static int literal(struct parse *p, struct tmpl_node *n, json_t *value) {
    if (!value || json_array_append_new(p->t->literals, value) < 0)
        return tmpl_lex_fail(&p->lx, n->at, BH_E_INVALID, "bad literal");
    n->kind = TMPL_N_LITERAL;
    n->value = value;
    return 0;
}

static bool is_real(const char *s) {
    bool hex = strstr(s, "0x") || strstr(s, "0X");

    return strpbrk(s, hex ? ".pP" : ".eE") != NULL;
}

/* Go's integers: 0x, 0o, 0b, a leading 0 is octal, _ between digits. */
static bool read_int(const char *s, int64_t *out) {
    const char *d = s + (*s == '+' || *s == '-');
    int base = 10;
    char *end;

    if (d[0] == '0' && (d[1] == 'b' || d[1] == 'B'))
        base = 2, d += 2;
    else if (d[0] == '0' && (d[1] == 'o' || d[1] == 'O'))
        base = 8, d += 2;
    else if (d[0] == '0' && (d[1] == 'x' || d[1] == 'X'))
        base = 16, d += 2;
    else if (d[0] == '0' && d[1] != '\0')
        base = 8;
    if (*d == '\0' || *d == '+' || *d == '-' || *d == ' ')
        return false;
    errno = 0;
    *out = strtoll(d, &end, base);
    if (*s == '-')
        *out = -*out;
    return errno == 0 && *end == '\0';
}

static int parse_number(struct parse *p, struct tmpl_node *n) {
    char s[64], *end;
    size_t k = 0;
    int64_t i;
    double d;

    for (size_t j = 0; j < p->tok.n && k < sizeof s; j++)
        if (p->tok.at[j] != '_')
            s[k++] = p->tok.at[j];
    if (k == sizeof s)
        return tmpl_lex_fail(&p->lx, n->at, BH_E_INVALID, "bad number syntax: \"%.40s...\"", p->tok.at);
    s[k] = '\0';
    if (!is_real(s) && read_int(s, &i))
        return literal(p, n, json_integer(i));
    d = strtod(s, &end);
    if (k == 0 || !is_real(s) || *end != '\0' || !isfinite(d))
        return tmpl_lex_fail(&p->lx, n->at, BH_E_INVALID, "bad number syntax: \"%s\"", s);
    return literal(p, n, json_real(d));
}

static int parse_quoted(struct parse *p, struct tmpl_node *n) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    bool single = p->tok.kind == TMPL_T_CHAR, escapes = p->tok.kind == TMPL_T_RAW && (p->flags & BH_TMPL_ESCAPES);
    const char *s;

    if (!tmpl_unquote(p->tok.at, p->tok.n, &b))
        return tmpl_lex_fail(&p->lx, n->at, BH_E_INVALID, "bad escape in %.*s", p->tok.n > 40 ? 40 : (int)p->tok.n,
                             p->tok.at);
    s = bh_buf_str(&b);
    if (single) {
        size_t len = bh_utf8_len(s, b.len);

        if (b.len == 1)
            return literal(p, n, json_integer((unsigned char)s[0]));
        if (b.len == 0 || len != b.len)
            return tmpl_lex_fail(&p->lx, n->at, BH_E_INVALID, "malformed character constant");
        return literal(p, n, json_integer(tmpl_code_point(s, len)));
    }
    for (size_t i = 0; escapes && i + 1 < b.len; i++)
        if (s[i] == '\\' && (s[i + 1] == 't' || s[i + 1] == 'n')) {
            b.data[i] = s[i + 1] == 't' ? '\t' : '\n';
            memmove(b.data + i + 1, b.data + i + 2, b.len - i - 1);
            b.len--;
        }
    return literal(p, n, json_stringn_nocheck(s, b.len));
}

static int parse_word(struct parse *p, struct tmpl_node *n) {
    if (is_word(p, "true") || is_word(p, "false"))
        return literal(p, n, json_boolean(p->tok.at[0] == 't'));
    if (is_word(p, "nil")) {
        n->kind = TMPL_N_NIL;
        return 0;
    }
    n->kind = TMPL_N_FUNC;
    n->func = tmpl_func_find(p->tok.at, p->tok.n);
    if (!n->func)
        return tmpl_lex_fail(&p->lx, n->at, BH_E_INVALID, "function \"%.*s\" not defined",
                             p->tok.n > 40 ? 40 : (int)p->tok.n, p->tok.at);
    return 0;
}

/* .A.B.C while no blank stands between. */
static int parse_names(struct parse *p, struct tmpl_name **tail) {
    while (p->tok.kind == TMPL_T_FIELD && !p->tok.spaced) {
        if (new_name(p, tail) < 0 || advance(p) < 0)
            return p->err->code;
        tail = &(*tail)->next;
    }
    return 0;
}

static int parse_paren(struct parse *p, struct tmpl_node *n) {
    const char *open = p->tok.at;

    if (deeper(p) < 0 || advance(p) < 0 || parse_pipe(p, "parenthesized pipeline", false, &n->first) < 0)
        return p->err->code;
    if (p->tok.kind != TMPL_T_RPAREN)
        return tmpl_lex_fail(&p->lx, open, BH_E_INVALID, "unclosed left paren");
    p->depth--;
    n->kind = TMPL_N_CHAIN;
    return 0;
}

static int operand_first(struct parse *p, struct tmpl_node *n) {
    switch (p->tok.kind) {
    case TMPL_T_DOT:
        n->kind = TMPL_N_DOT;
        return 0;
    case TMPL_T_FIELD:
        n->kind = TMPL_N_FIELD;
        return new_name(p, &n->names);
    case TMPL_T_VAR:
        n->kind = TMPL_N_VAR;
        n->s = p->tok.at;
        n->n = p->tok.n;
        if (!var_known(p, &p->tok))
            return tmpl_lex_fail(&p->lx, n->at, BH_E_INVALID, "undefined variable \"%.*s\"",
                                 p->tok.n > 40 ? 40 : (int)p->tok.n, p->tok.at);
        return 0;
    case TMPL_T_NUMBER:
        return parse_number(p, n);
    case TMPL_T_STRING:
    case TMPL_T_RAW:
    case TMPL_T_CHAR:
        return parse_quoted(p, n);
    case TMPL_T_WORD:
        return parse_word(p, n);
    default:
        return parse_paren(p, n);
    }
}

static bool starts_operand(const struct parse *p) {
    return p->tok.kind >= TMPL_T_DOT || p->tok.kind == TMPL_T_LPAREN;
}

static int parse_operand(struct parse *p, struct tmpl_node **out) {
    struct tmpl_node *n;

    if (new_node(p, TMPL_N_DOT, &n) < 0 || operand_first(p, n) < 0 || advance(p) < 0)
        return p->err->code;
    if (p->tok.kind == TMPL_T_FIELD && !p->tok.spaced) {
        bool chains = n->kind == TMPL_N_FIELD || n->kind == TMPL_N_VAR || n->kind == TMPL_N_CHAIN;

        if (!chains)
            return fail_here(p, "operand: a field cannot follow a literal or a function");
        if (parse_names(p, n->names ? &n->names->next : &n->names) < 0)
            return p->err->code;
    }
    close_span(p, n);
    *out = n;
    return 0;
}

/* ---- commands and pipelines ---- */

static int parse_command(struct parse *p, struct tmpl_node **out) {
    struct tmpl_node *n, **tail;

    if (new_node(p, TMPL_N_COMMAND, &n) < 0)
        return p->err->code;
    tail = &n->first;
    while (starts_operand(p)) {
        if (n->count > 0 && !p->tok.spaced && p->tok.kind != TMPL_T_LPAREN)
            return fail_here(p, "operand: a blank is missing");
        if (parse_operand(p, tail) < 0)
            return p->err->code;
        tail = &(*tail)->next;
        n->count++;
    }
    close_span(p, n);
    if (n->first && n->first->kind == TMPL_N_FUNC)
        n->first->len = n->len; /* messages show the call, not just its name */
    *out = n;
    return 0;
}

static int parse_commands(struct parse *p, struct tmpl_node *pipe, const char *context) {
    struct tmpl_node **tail = &pipe->first;

    for (;;) {
        struct tmpl_node *c;

        if (parse_command(p, &c) < 0)
            return p->err->code;
        if (c->count == 0 && (pipe->count > 0 || p->tok.kind == TMPL_T_PIPE || pipe->names))
            return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "missing value for %s",
                                 pipe->count > 0 ? "command" : context);
        if (c->count == 0)
            break;
        if (pipe->count > 0 &&
            (c->first->kind == TMPL_N_LITERAL || c->first->kind == TMPL_N_DOT || c->first->kind == TMPL_N_NIL))
            return tmpl_lex_fail(&p->lx, c->at, BH_E_INVALID, "non executable command in pipeline stage %zu",
                                 pipe->count + 1);
        *tail = c;
        tail = &c->next;
        pipe->count++;
        if (p->tok.kind != TMPL_T_PIPE)
            break;
        if (advance(p) < 0)
            return p->err->code;
    }
    if (pipe->count == 0)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "missing value for %s", context);
    return 0;
}

/* "$x :=", "$x =", in range also "$i, $e :=".  It takes a look behind the variable: a copy of the
 * lexer is put back if no declaration follows. */
static int parse_decl(struct parse *p, struct tmpl_node *pipe, bool range) {
    struct tmpl_lex saved_lx = p->lx;
    struct tmpl_tok saved = p->tok;
    const char *saved_end = p->last_end;
    struct tmpl_name **tail = &pipe->names;

    while (p->tok.kind == TMPL_T_VAR) {
        if (new_name(p, tail) < 0 || advance(p) < 0)
            return p->err->code;
        tail = &(*tail)->next;
        if (p->tok.kind == TMPL_T_DECLARE || p->tok.kind == TMPL_T_ASSIGN) {
            pipe->assign = p->tok.kind == TMPL_T_ASSIGN;
            return advance(p);
        }
        if (p->tok.kind != TMPL_T_COMMA || !range || tail != &pipe->names->next)
            break; /* two names at most */
        if (advance(p) < 0)
            return p->err->code;
        if (p->tok.kind != TMPL_T_VAR)
            return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "range can only initialize variables");
    }
    if (pipe->names && pipe->names->next && p->tok.kind != TMPL_T_COMMA)
        return fail_here(p, "range: := or = must follow two variables");
    if (p->tok.kind == TMPL_T_COMMA)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "%s",
                             range ? "too many declarations in range" : "two variables are only for range");
    p->lx = saved_lx;
    p->tok = saved;
    p->last_end = saved_end;
    pipe->names = NULL;
    return 0;
}

static int bind_names(struct parse *p, struct tmpl_node *pipe) {
    for (struct tmpl_name *v = pipe->names; v; v = v->next) {
        struct tmpl_tok tok = {.at = v->s, .n = v->n};

        if (v->n == 1)
            return tmpl_lex_fail(&p->lx, v->s, BH_E_INVALID, "$ cannot be set");
        if (pipe->assign && !var_known(p, &tok))
            return tmpl_lex_fail(&p->lx, v->s, BH_E_INVALID, "undefined variable \"%.*s\"", v->n > 40 ? 40 : (int)v->n,
                                 v->s);
        if (!pipe->assign && var_add(p, v) < 0)
            return p->err->code;
    }
    return 0;
}

/* Does not take the closing token. */
static int parse_pipe(struct parse *p, const char *context, bool range, struct tmpl_node **out) {
    struct tmpl_node *n;

    if (new_node(p, TMPL_N_PIPE, &n) < 0)
        return p->err->code;
    if (p->tok.kind == TMPL_T_VAR && parse_decl(p, n, range) < 0)
        return p->err->code;
    if (parse_commands(p, n, context) < 0 || bind_names(p, n) < 0)
        return p->err->code;
    close_span(p, n);
    *out = n;
    return 0;
}

/* ---- statements ---- */

static int expect_close(struct parse *p, const char *context) {
    if (p->tok.kind != TMPL_T_CLOSE)
        return fail_here(p, context);
    return advance(p);
}

static int parse_branch(struct parse *p, enum tmpl_kind kind, const char *word, struct tmpl_node **out);

/* Behind the word else: "}}" and a list, or "if", "with" and a branch that shares our end. */
static int parse_else(struct parse *p, struct tmpl_node *n, const char *word) {
    enum stop stop;

    if (n->kind != TMPL_N_RANGE && is_word(p, word)) {
        if (deeper(p) < 0 || parse_branch(p, n->kind, word, &n->other) < 0)
            return p->err->code;
        p->depth--;
        return 0;
    }
    if (expect_close(p, "else") < 0 || parse_list(p, &n->other, &stop) < 0)
        return p->err->code;
    if (stop == STOP_ELSE)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "expected end; found {{else}}");
    if (stop == STOP_END_OF_TEXT)
        return tmpl_lex_fail(&p->lx, n->at, BH_E_INVALID, "{{%s}} without {{end}}", word);
    return expect_close(p, "end");
}

/* p->tok is the word itself; takes everything up to and with {{end}}. */
static int parse_branch(struct parse *p, enum tmpl_kind kind, const char *word, struct tmpl_node **out) {
    size_t vars = p->var_count;
    struct tmpl_node *n;
    enum stop stop;

    if (new_node(p, kind, &n) < 0 || advance(p) < 0 || parse_pipe(p, word, kind == TMPL_N_RANGE, &n->pipe) < 0)
        return p->err->code;
    close_span(p, n);
    p->loops += kind == TMPL_N_RANGE;
    if (expect_close(p, word) < 0 || parse_list(p, &n->first, &stop) < 0)
        return p->err->code;
    p->loops -= kind == TMPL_N_RANGE;
    if (stop == STOP_END_OF_TEXT)
        return tmpl_lex_fail(&p->lx, n->at, BH_E_INVALID, "{{%s}} without {{end}}", word);
    if ((stop == STOP_ELSE ? parse_else(p, n, word) : expect_close(p, "end")) < 0)
        return p->err->code;
    p->var_count = vars;
    *out = n;
    return 0;
}

static int parse_break(struct parse *p, enum tmpl_kind kind, const char *word, struct tmpl_node **out) {
    if (p->loops == 0)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "{{%s}} outside {{range}}", word);
    if (new_node(p, kind, out) < 0 || advance(p) < 0)
        return p->err->code;
    return expect_close(p, word);
}

/* The quoted name of template, define and block. */
static int parse_name(struct parse *p, struct tmpl_node *n, const char *context) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    char *copy;

    if (p->tok.kind != TMPL_T_STRING && p->tok.kind != TMPL_T_RAW)
        return fail_here(p, context);
    if (!tmpl_unquote(p->tok.at, p->tok.n, &b))
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "bad escape in the name of a template");
    copy = take(p, b.len + 1);
    if (!copy)
        return BH_E_LIMIT;
    memcpy(copy, bh_buf_str(&b), b.len);
    n->s = copy;
    n->n = b.len;
    return advance(p);
}

static int parse_template(struct parse *p, struct tmpl_node **out) {
    struct tmpl_node *n;

    if (new_node(p, TMPL_N_TEMPLATE, &n) < 0 || advance(p) < 0 || parse_name(p, n, "template: its name") < 0)
        return p->err->code;
    if (p->tok.kind != TMPL_T_CLOSE && parse_pipe(p, "template", false, &n->pipe) < 0)
        return p->err->code;
    close_span(p, n);
    *out = n;
    return expect_close(p, "template");
}

static int add_def(struct parse *p, const struct tmpl_node *named, struct tmpl_node *body) {
    struct tmpl_def *d;

    for (d = p->t->defs; d; d = d->next)
        if (d->n == named->n && memcmp(d->name, named->s, d->n) == 0)
            return tmpl_lex_fail(&p->lx, named->at, BH_E_INVALID, "multiple definition of template \"%.*s\"",
                                 d->n > 40 ? 40 : (int)d->n, d->name);
    d = take(p, sizeof *d);
    if (!d)
        return BH_E_LIMIT;
    *d = (struct tmpl_def){p->t->defs, named->s, named->n, body};
    p->t->defs = d;
    return 0;
}

/* The list up to {{end}}, in a scope that sees no variable but $. */
static int parse_body(struct parse *p, const struct tmpl_node *named, const char *word) {
    size_t vars = p->var_count, base = p->var_base;
    unsigned loops = p->loops;
    struct tmpl_node *body = NULL;
    enum stop stop;

    p->var_base = vars;
    p->loops = 0;
    if (parse_list(p, &body, &stop) < 0)
        return p->err->code;
    if (stop != STOP_END)
        return tmpl_lex_fail(&p->lx, named->at, BH_E_INVALID, "{{%s}} without {{end}}", word);
    p->var_count = vars;
    p->var_base = base;
    p->loops = loops;
    if (expect_close(p, "end") < 0)
        return p->err->code;
    return add_def(p, named, body);
}

static int parse_define(struct parse *p) {
    struct tmpl_node *n;

    if (p->depth > 1)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "unexpected {{define}}");
    if (new_node(p, TMPL_N_TEMPLATE, &n) < 0 || advance(p) < 0 || parse_name(p, n, "define: its name") < 0 ||
        expect_close(p, "define") < 0)
        return p->err->code;
    return parse_body(p, n, "define");
}

static int parse_block(struct parse *p, struct tmpl_node **out) {
    struct tmpl_node *n;

    if (new_node(p, TMPL_N_TEMPLATE, &n) < 0 || advance(p) < 0 || parse_name(p, n, "block: its name") < 0 ||
        parse_pipe(p, "block", false, &n->pipe) < 0 || expect_close(p, "block") < 0)
        return p->err->code;
    *out = n;
    return parse_body(p, n, "block");
}

static int parse_action(struct parse *p, struct tmpl_node **out) {
    struct tmpl_node *n;

    if (new_node(p, TMPL_N_ACTION, &n) < 0 || parse_pipe(p, "command", false, &n->pipe) < 0)
        return p->err->code;
    close_span(p, n);
    *out = n;
    return expect_close(p, "command");
}

/* Behind "{{".  *out stays NULL for a statement that leaves no node. */
static int parse_statement(struct parse *p, struct tmpl_node **out) {
    if (is_word(p, "if"))
        return parse_branch(p, TMPL_N_IF, "if", out);
    if (is_word(p, "with"))
        return parse_branch(p, TMPL_N_WITH, "with", out);
    if (is_word(p, "range"))
        return parse_branch(p, TMPL_N_RANGE, "range", out);
    if (is_word(p, "break"))
        return parse_break(p, TMPL_N_BREAK, "break", out);
    if (is_word(p, "continue"))
        return parse_break(p, TMPL_N_CONTINUE, "continue", out);
    if (is_word(p, "template"))
        return parse_template(p, out);
    if (is_word(p, "define"))
        return parse_define(p);
    if (is_word(p, "block"))
        return parse_block(p, out);
    return parse_action(p, out);
}

/* Text with \t and \n typed as two characters. */
static int parse_text(struct parse *p, struct tmpl_node **out) {
    struct tmpl_node *n;
    char *copy;

    if (new_node(p, TMPL_N_TEXT, &n) < 0)
        return p->err->code;
    n->s = p->tok.at;
    n->n = p->tok.n;
    if ((p->flags & BH_TMPL_ESCAPES) && memchr(n->s, '\\', n->n)) {
        copy = take(p, n->n);
        if (!copy)
            return BH_E_LIMIT;
        n->n = 0;
        for (size_t i = 0; i < p->tok.n; i++) {
            char after = i + 1 < p->tok.n ? p->tok.at[i + 1] : '\0';
            bool escape = p->tok.at[i] == '\\' && (after == 't' || after == 'n');

            copy[n->n++] = !escape ? p->tok.at[i] : after == 't' ? '\t' : '\n';
            i += escape;
        }
        n->s = copy;
    }
    *out = n;
    return advance(p);
}

/* Statements up to {{end}} or {{else}}, whose closing "}}" is not taken, or the end of the text. */
static int parse_statements(struct parse *p, struct tmpl_node **tail, enum stop *out_stop) {
    while (p->tok.kind != TMPL_T_END) {
        if (p->tok.kind == TMPL_T_TEXT) {
            if (parse_text(p, tail) < 0)
                return p->err->code;
        } else {
            if (advance(p) < 0) /* the "{{" */
                return p->err->code;
            if (is_word(p, "end") || is_word(p, "else")) {
                *out_stop = p->tok.n == 3 ? STOP_END : STOP_ELSE;
                return advance(p);
            }
            if (parse_statement(p, tail) < 0)
                return p->err->code;
        }
        while (*tail)
            tail = &(*tail)->next;
    }
    *out_stop = STOP_END_OF_TEXT;
    return 0;
}

static int parse_list(struct parse *p, struct tmpl_node **out, enum stop *out_stop) {
    if (deeper(p) < 0 || parse_statements(p, out, out_stop) < 0)
        return p->err->code;
    p->depth--;
    return 0;
}

static int parse_all(struct parse *p) {
    enum stop stop;

    if (advance(p) < 0)
        return p->err->code;
    if (parse_list(p, &p->t->body, &stop) < 0)
        return p->err->code;
    if (stop != STOP_END_OF_TEXT)
        return tmpl_lex_fail(&p->lx, p->last_end, BH_E_INVALID, "unexpected {{%s}}", stop == STOP_END ? "end" : "else");
    return 0;
}

int bh_tmpl_parse(const char *text, size_t n, unsigned flags, struct bh_tmpl **out, struct bh_err *err) {
    struct bh_tmpl *t;
    struct parse p;

    if (n > BH_TMPL_TEXT_MAX)
        return bh_err_set(err, BH_E_LIMIT, "template: longer than %zu bytes", BH_TMPL_TEXT_MAX);
    t = bh_xcalloc(1, sizeof *t);
    t->text = bh_xmalloc(n + 1); /* it may hold NUL bytes */
    memcpy(t->text, text, n);
    t->text[n] = '\0';
    t->len = n;
    t->literals = json_array();
    bh_arena_init(&t->arena, ARENA_FOR(n));
    memset(&p, 0, sizeof p);
    p.t = t;
    p.lx = (struct tmpl_lex){.text = t->text, .end = t->text + n, .pos = t->text, .err = err};
    p.flags = flags;
    p.err = err;
    if (parse_all(&p) < 0) {
        bh_tmpl_free(t);
        return err->code;
    }
    *out = t;
    return 0;
}

void bh_tmpl_free(struct bh_tmpl *t) {
    if (!t)
        return;
    json_decref(t->literals);
    bh_arena_fini(&t->arena);
    free(t->text);
    free(t);
}
