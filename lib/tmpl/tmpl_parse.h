/*
 * tmpl_parse.h - what the two halves of the parser share: the state, tokens, new nodes.
 *
 * Room: as tmpl.h; only for tmpl_parse.c (statements) and tmpl_pipe.c (operands and pipelines).
 */
#ifndef BH_TMPL_PARSE_H
#define BH_TMPL_PARSE_H

#include "tmpl/tmpl_int.h"

struct tmpl_parse {
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

/* Takes the token ahead and reads the next one.  These return 0 or a code with the error set. */
int tmpl_advance(struct tmpl_parse *p);
int tmpl_fail_here(struct tmpl_parse *p, const char *context);
int tmpl_deeper(struct tmpl_parse *p);
int tmpl_new_node(struct tmpl_parse *p, enum tmpl_kind kind, struct tmpl_node **out);
bool tmpl_is_word(const struct tmpl_parse *p, const char *word);
/* Zeroed memory of the tree; NULL with the error set. */
void *tmpl_take(struct tmpl_parse *p, size_t n);
/* The source of a node reaches to the end of the last token taken. */
void tmpl_close_span(struct tmpl_parse *p, struct tmpl_node *n);
/* A pipeline up to the token that closes it, which is not taken. */
int tmpl_parse_pipe(struct tmpl_parse *p, const char *context, bool range, struct tmpl_node **out);

#endif
