/*
 * tmpl_parse.c - tokens into the tree: the statements; recursive descent, one token ahead.
 *
 * Room: client.  Nesting is counted, the tree's memory has a ceiling that follows from the length of
 * the text, so no text can use up the stack or the memory.  The inside of actions is tmpl_pipe.c's.
 */
#include "tmpl/tmpl_parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Every token makes at most three nodes; the shortest token has one byte. */
#define ARENA_FOR(n) ((size_t)(n)*512 + 16384)

/* How a list of statements ended. */
enum stop { STOP_END_OF_TEXT, STOP_END, STOP_ELSE };

static int parse_list(struct tmpl_parse *p, struct tmpl_node **out, enum stop *out_stop);

/* ---- statements ---- */

static int expect_close(struct tmpl_parse *p, const char *context) {
    if (p->tok.kind != TMPL_T_CLOSE)
        return tmpl_fail_here(p, context);
    return tmpl_advance(p);
}

static int parse_branch(struct tmpl_parse *p, enum tmpl_kind kind, const char *word, struct tmpl_node **out);

/* Behind the word else: "}}" and a list, or "if", "with" and a branch that shares our end. */
static int parse_else(struct tmpl_parse *p, struct tmpl_node *n, const char *word) {
    enum stop stop;

    if (n->kind != TMPL_N_RANGE && tmpl_is_word(p, word)) {
        if (tmpl_deeper(p) < 0 || parse_branch(p, n->kind, word, &n->other) < 0)
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
static int parse_branch(struct tmpl_parse *p, enum tmpl_kind kind, const char *word, struct tmpl_node **out) {
    size_t vars = p->var_count;
    struct tmpl_node *n;
    enum stop stop;

    if (tmpl_new_node(p, kind, &n) < 0 || tmpl_advance(p) < 0 ||
        tmpl_parse_pipe(p, word, kind == TMPL_N_RANGE, &n->pipe) < 0)
        return p->err->code;
    tmpl_close_span(p, n);
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

static int parse_break(struct tmpl_parse *p, enum tmpl_kind kind, const char *word, struct tmpl_node **out) {
    if (p->loops == 0)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "{{%s}} outside {{range}}", word);
    if (tmpl_new_node(p, kind, out) < 0 || tmpl_advance(p) < 0)
        return p->err->code;
    return expect_close(p, word);
}

/* The quoted name of template, define and block. */
static int parse_name(struct tmpl_parse *p, struct tmpl_node *n, const char *context) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    char *copy;

    if (p->tok.kind != TMPL_T_STRING && p->tok.kind != TMPL_T_RAW)
        return tmpl_fail_here(p, context);
    if (!tmpl_unquote(p->tok.at, p->tok.n, &b))
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "bad escape in the name of a template");
    copy = tmpl_take(p, b.len + 1);
    if (!copy)
        return BH_E_LIMIT;
    memcpy(copy, bh_buf_str(&b), b.len);
    n->s = copy;
    n->n = b.len;
    return tmpl_advance(p);
}

static int parse_template(struct tmpl_parse *p, struct tmpl_node **out) {
    struct tmpl_node *n;

    if (tmpl_new_node(p, TMPL_N_TEMPLATE, &n) < 0 || tmpl_advance(p) < 0 || parse_name(p, n, "template: its name") < 0)
        return p->err->code;
    if (p->tok.kind != TMPL_T_CLOSE && tmpl_parse_pipe(p, "template", false, &n->pipe) < 0)
        return p->err->code;
    tmpl_close_span(p, n);
    *out = n;
    return expect_close(p, "template");
}

static int add_def(struct tmpl_parse *p, const struct tmpl_node *named, struct tmpl_node *body) {
    struct tmpl_def *d;

    for (d = p->t->defs; d; d = d->next)
        if (d->n == named->n && memcmp(d->name, named->s, d->n) == 0)
            return tmpl_lex_fail(&p->lx, named->at, BH_E_INVALID, "multiple definition of template \"%.*s\"",
                                 d->n > 40 ? 40 : (int)d->n, d->name);
    d = tmpl_take(p, sizeof *d);
    if (!d)
        return BH_E_LIMIT;
    *d = (struct tmpl_def){p->t->defs, named->s, named->n, body};
    p->t->defs = d;
    return 0;
}

/* The list up to {{end}}, in a scope that sees no variable but $. */
static int parse_body(struct tmpl_parse *p, const struct tmpl_node *named, const char *word) {
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

static int parse_define(struct tmpl_parse *p) {
    struct tmpl_node *n;

    if (p->depth > 1)
        return tmpl_lex_fail(&p->lx, p->tok.at, BH_E_INVALID, "unexpected {{define}}");
    if (tmpl_new_node(p, TMPL_N_TEMPLATE, &n) < 0 || tmpl_advance(p) < 0 || parse_name(p, n, "define: its name") < 0 ||
        expect_close(p, "define") < 0)
        return p->err->code;
    return parse_body(p, n, "define");
}

static int parse_block(struct tmpl_parse *p, struct tmpl_node **out) {
    struct tmpl_node *n;

    if (tmpl_new_node(p, TMPL_N_TEMPLATE, &n) < 0 || tmpl_advance(p) < 0 || parse_name(p, n, "block: its name") < 0 ||
        tmpl_parse_pipe(p, "block", false, &n->pipe) < 0 || expect_close(p, "block") < 0)
        return p->err->code;
    *out = n;
    return parse_body(p, n, "block");
}

static int parse_action(struct tmpl_parse *p, struct tmpl_node **out) {
    struct tmpl_node *n;

    if (tmpl_new_node(p, TMPL_N_ACTION, &n) < 0 || tmpl_parse_pipe(p, "command", false, &n->pipe) < 0)
        return p->err->code;
    tmpl_close_span(p, n);
    *out = n;
    return expect_close(p, "command");
}

/* Behind "{{".  *out stays NULL for a statement that leaves no node. */
static int parse_statement(struct tmpl_parse *p, struct tmpl_node **out) {
    if (tmpl_is_word(p, "if"))
        return parse_branch(p, TMPL_N_IF, "if", out);
    if (tmpl_is_word(p, "with"))
        return parse_branch(p, TMPL_N_WITH, "with", out);
    if (tmpl_is_word(p, "range"))
        return parse_branch(p, TMPL_N_RANGE, "range", out);
    if (tmpl_is_word(p, "break"))
        return parse_break(p, TMPL_N_BREAK, "break", out);
    if (tmpl_is_word(p, "continue"))
        return parse_break(p, TMPL_N_CONTINUE, "continue", out);
    if (tmpl_is_word(p, "template"))
        return parse_template(p, out);
    if (tmpl_is_word(p, "define"))
        return parse_define(p);
    if (tmpl_is_word(p, "block"))
        return parse_block(p, out);
    return parse_action(p, out);
}

/* Text with \t and \n typed as two characters. */
static int parse_text(struct tmpl_parse *p, struct tmpl_node **out) {
    struct tmpl_node *n;
    char *copy;

    if (tmpl_new_node(p, TMPL_N_TEXT, &n) < 0)
        return p->err->code;
    n->s = p->tok.at;
    n->n = p->tok.n;
    if ((p->flags & BH_TMPL_ESCAPES) && memchr(n->s, '\\', n->n)) {
        copy = tmpl_take(p, n->n);
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
    return tmpl_advance(p);
}

/* Statements up to {{end}} or {{else}}, whose closing "}}" is not taken, or the end of the text. */
static int parse_statements(struct tmpl_parse *p, struct tmpl_node **tail, enum stop *out_stop) {
    while (p->tok.kind != TMPL_T_END) {
        if (p->tok.kind == TMPL_T_TEXT) {
            if (parse_text(p, tail) < 0)
                return p->err->code;
        } else {
            if (tmpl_advance(p) < 0) /* the "{{" */
                return p->err->code;
            if (tmpl_is_word(p, "end") || tmpl_is_word(p, "else")) {
                *out_stop = p->tok.n == 3 ? STOP_END : STOP_ELSE;
                return tmpl_advance(p);
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

static int parse_list(struct tmpl_parse *p, struct tmpl_node **out, enum stop *out_stop) {
    if (tmpl_deeper(p) < 0 || parse_statements(p, out, out_stop) < 0)
        return p->err->code;
    p->depth--;
    return 0;
}

static int parse_all(struct tmpl_parse *p) {
    enum stop stop;

    if (tmpl_advance(p) < 0)
        return p->err->code;
    if (parse_list(p, &p->t->body, &stop) < 0)
        return p->err->code;
    if (stop != STOP_END_OF_TEXT)
        return tmpl_lex_fail(&p->lx, p->last_end, BH_E_INVALID, "unexpected {{%s}}", stop == STOP_END ? "end" : "else");
    return 0;
}

int bh_tmpl_parse(const char *text, size_t n, unsigned flags, struct bh_tmpl **out, struct bh_err *err) {
    struct bh_tmpl *t;
    struct tmpl_parse p;

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
