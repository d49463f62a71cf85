/*
 * tmpl_pipe.c - the inside of actions: operands, commands, pipelines, declared variables.
 *
 * Room: client.  The lower half of the parser; tmpl_parse.c has the statements.  Literals are
 * converted and judged here, functions must exist, variables must have been declared.
 */
#include "tmpl/tmpl_parse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

int tmpl_advance(struct tmpl_parse *p) {
    p->last_end = p->tok.at ? p->tok.at + p->tok.n : p->lx.text;
    return tmpl_lex_next(&p->lx, &p->tok);
}

int tmpl_fail_here(struct tmpl_parse *p, const char *context) {
    int shown = p->tok.n > 40 ? 40 : (int)p->tok.n;

    if (p->tok.kind == TMPL_T_END)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "unexpected end of the template in %s", context);
    return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "unexpected \"%s%.*s\" in %s",
                         p->tok.kind == TMPL_T_FIELD ? "." : "", shown, p->tok.at, context);
}

bool tmpl_is_word(const struct tmpl_parse *p, const char *word) {
    return p->tok.kind == TMPL_T_WORD && p->tok.n == strlen(word) && memcmp(p->tok.at, word, p->tok.n) == 0;
}

int tmpl_deeper(struct tmpl_parse *p) {
    if (++p->depth > TMPL_NEST_MAX)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_LIMIT, "nested deeper than %d", TMPL_NEST_MAX);
    return 0;
}

void *tmpl_take(struct tmpl_parse *p, size_t n) {
    void *m = bh_arena_alloc(&p->t->arena, n);

    if (!m) {
        bh_err_set(p->err, BH_E_LIMIT, "template: too many parts");
        return NULL;
    }
    memset(m, 0, n);
    return m;
}

int tmpl_new_node(struct tmpl_parse *p, enum tmpl_kind kind, struct tmpl_node **out) {
    struct tmpl_node *n = tmpl_take(p, sizeof *n);

    if (!n)
        return BH_E_LIMIT;
    n->kind = kind;
    n->at = p->tok.kind == TMPL_T_FIELD ? p->tok.at - 1 : p->tok.at;
    n->len = (size_t)(p->tok.at + p->tok.n - n->at);
    *out = n;
    return 0;
}

static int new_name(struct tmpl_parse *p, struct tmpl_name **out) {
    struct tmpl_name *n = tmpl_take(p, sizeof *n);

    if (!n)
        return BH_E_LIMIT;
    n->s = p->tok.at;
    n->n = p->tok.n;
    *out = n;
    return 0;
}

void tmpl_close_span(struct tmpl_parse *p, struct tmpl_node *n) {
    n->len = (size_t)(p->last_end - n->at);
}

/* ---- variables ---- */

static bool var_known(const struct tmpl_parse *p, const struct tmpl_tok *tok) {
    if (tok->n == 1)
        return true; /* $ */
    for (size_t i = p->var_count; i-- > p->var_base;)
        if (p->vars[i]->n == tok->n && memcmp(p->vars[i]->s, tok->at, tok->n) == 0)
            return true;
    return false;
}

static int var_add(struct tmpl_parse *p, struct tmpl_name *name) {
    if (p->var_count == BH_ARRAY_LEN(p->vars))
        return tmpl_lex_fail(&p->lx, name->s, BH_E_LIMIT, "more than %zu variables", BH_ARRAY_LEN(p->vars));
    p->vars[p->var_count++] = name;
    return 0;
}

/* ---- operands ---- */

static int literal(struct tmpl_parse *p, struct tmpl_node *n, json_t *value) {
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

static int parse_number(struct tmpl_parse *p, struct tmpl_node *n) {
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

static int parse_quoted(struct tmpl_parse *p, struct tmpl_node *n) {
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

static int parse_word(struct tmpl_parse *p, struct tmpl_node *n) {
    if (tmpl_is_word(p, "true") || tmpl_is_word(p, "false"))
        return literal(p, n, json_boolean(p->tok.at[0] == 't'));
    if (tmpl_is_word(p, "nil")) {
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
static int parse_names(struct tmpl_parse *p, struct tmpl_name **tail) {
    while (p->tok.kind == TMPL_T_FIELD && !p->tok.spaced) {
        if (new_name(p, tail) < 0 || tmpl_advance(p) < 0)
            return p->err->code;
        tail = &(*tail)->next;
    }
    return 0;
}

static int parse_paren(struct tmpl_parse *p, struct tmpl_node *n) {
    const char *open = p->tok.at;

    if (tmpl_deeper(p) < 0 || tmpl_advance(p) < 0 || tmpl_parse_pipe(p, "parenthesized pipeline", false, &n->first) < 0)
        return p->err->code;
    if (p->tok.kind != TMPL_T_RPAREN)
        return tmpl_lex_fail(&p->lx, open, BH_E_INVALID, "unclosed left paren");
    p->depth--;
    n->kind = TMPL_N_CHAIN;
    return 0;
}

static int operand_first(struct tmpl_parse *p, struct tmpl_node *n) {
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

static bool starts_operand(const struct tmpl_parse *p) {
    return p->tok.kind >= TMPL_T_DOT || p->tok.kind == TMPL_T_LPAREN;
}

static int parse_operand(struct tmpl_parse *p, struct tmpl_node **out) {
    struct tmpl_node *n;

    if (tmpl_new_node(p, TMPL_N_DOT, &n) < 0 || operand_first(p, n) < 0 || tmpl_advance(p) < 0)
        return p->err->code;
    if (p->tok.kind == TMPL_T_FIELD && !p->tok.spaced) {
        bool chains = n->kind == TMPL_N_FIELD || n->kind == TMPL_N_VAR || n->kind == TMPL_N_CHAIN;

        if (!chains)
            return tmpl_fail_here(p, "operand: a field cannot follow a literal or a function");
        if (parse_names(p, n->names ? &n->names->next : &n->names) < 0)
            return p->err->code;
    }
    tmpl_close_span(p, n);
    *out = n;
    return 0;
}

/* ---- commands and pipelines ---- */

static int parse_command(struct tmpl_parse *p, struct tmpl_node **out) {
    struct tmpl_node *n, **tail;

    if (tmpl_new_node(p, TMPL_N_COMMAND, &n) < 0)
        return p->err->code;
    tail = &n->first;
    while (starts_operand(p)) {
        if (n->count > 0 && !p->tok.spaced && p->tok.kind != TMPL_T_LPAREN)
            return tmpl_fail_here(p, "operand: a blank is missing");
        if (parse_operand(p, tail) < 0)
            return p->err->code;
        tail = &(*tail)->next;
        n->count++;
    }
    tmpl_close_span(p, n);
    if (n->first && n->first->kind == TMPL_N_FUNC)
        n->first->len = n->len; /* messages show the call, not just its name */
    *out = n;
    return 0;
}

static int parse_commands(struct tmpl_parse *p, struct tmpl_node *pipe, const char *context) {
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
        if (tmpl_advance(p) < 0)
            return p->err->code;
    }
    if (pipe->count == 0)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "missing value for %s", context);
    return 0;
}

/* "$x :=", "$x =", in range also "$i, $e :=".  It takes a look behind the variable: a copy of the
 * lexer is put back if no declaration follows. */
static int parse_decl(struct tmpl_parse *p, struct tmpl_node *pipe, bool range) {
    struct tmpl_lex saved_lx = p->lx;
    struct tmpl_tok saved = p->tok;
    const char *saved_end = p->last_end;
    struct tmpl_name **tail = &pipe->names;

    while (p->tok.kind == TMPL_T_VAR) {
        if (new_name(p, tail) < 0 || tmpl_advance(p) < 0)
            return p->err->code;
        tail = &(*tail)->next;
        if (p->tok.kind == TMPL_T_DECLARE || p->tok.kind == TMPL_T_ASSIGN) {
            pipe->assign = p->tok.kind == TMPL_T_ASSIGN;
            return tmpl_advance(p);
        }
        if (p->tok.kind != TMPL_T_COMMA || !range || tail != &pipe->names->next)
            break; /* two names at most */
        if (tmpl_advance(p) < 0)
            return p->err->code;
        if (p->tok.kind != TMPL_T_VAR)
            return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "range can only initialize variables");
    }
    if (pipe->names && pipe->names->next && p->tok.kind != TMPL_T_COMMA)
        return tmpl_fail_here(p, "range: := or = must follow two variables");
    if (p->tok.kind == TMPL_T_COMMA)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "%s",
                             range ? "too many declarations in range" : "two variables are only for range");
    p->lx = saved_lx;
    p->tok = saved;
    p->last_end = saved_end;
    pipe->names = NULL;
    return 0;
}

static int bind_names(struct tmpl_parse *p, struct tmpl_node *pipe) {
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

int tmpl_parse_pipe(struct tmpl_parse *p, const char *context, bool range, struct tmpl_node **out) {
    struct tmpl_node *n;

    if (tmpl_new_node(p, TMPL_N_PIPE, &n) < 0)
        return p->err->code;
    if (p->tok.kind == TMPL_T_VAR && parse_decl(p, n, range) < 0)
        return p->err->code;
    if (parse_commands(p, n, context) < 0 || bind_names(p, n) < 0)
        return p->err->code;
    tmpl_close_span(p, n);
    *out = n;
    return 0;
}
