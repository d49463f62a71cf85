/*
 * tmpl_exec.c - walks the tree and prints: text, actions, branches, loops, templates.
 *
 * Room: client.  Two budgets are counted down (steps, bytes) and calls of templates are counted, so
 * that every template ends.  What an action or a branch stands on, tmpl_eval.c finds.
 */
#include "tmpl/tmpl_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define STEPS_DEFAULT 2000000
#define BYTES_DEFAULT ((uint64_t)64 << 20)

enum flow { FLOW_NEXT = 0, FLOW_BREAK = 1, FLOW_CONTINUE = 2 }; /* what a list gives beside errors */

static int walk_list(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *n);

/* ---- statements ---- */

static int put(struct tmpl_exec *x, const struct tmpl_node *at, const char *s, size_t n) {
    if (tmpl_charge(x, at, n) < 0)
        return x->err->code;
    bh_buf_add(x->out, s, n);
    if (bh_buf_failed(x->out))
        return tmpl_fail(x, at, BH_E_LIMIT, "the output is too long");
    return 0;
}

static int walk_action(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *n) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    struct tmpl_val v = {0};
    int rc = tmpl_eval_pipe(x, dot, n->pipe, &v);

    if (rc == 0 && !n->pipe->names) {
        if (json_is_string(v.j)) {
            rc = put(x, n, json_string_value(v.j), json_string_length(v.j));
        } else {
            if (v.shown)
                bh_buf_adds(&b, v.shown);
            else
                bh_tmpl_print(&b, v.j);
            rc = put(x, n, bh_buf_str(&b), b.len);
        }
    }
    tmpl_val_clear(&v);
    return rc;
}

static int walk_if(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *n) {
    size_t vars = x->var_count;
    struct tmpl_val v = {0};
    bool truth;
    int rc;

    x->lenient++;
    rc = tmpl_eval_pipe(x, dot, n->pipe, &v);
    x->lenient--;
    if (rc == 0) {
        truth = tmpl_truth(v.j);
        rc = walk_list(x, truth && n->kind == TMPL_N_WITH ? &v : dot, truth ? n->first : n->other);
    }
    tmpl_val_clear(&v);
    tmpl_var_pop_to(x, vars);
    return rc;
}

/* One turn: variables, body.  Both values are taken.  FLOW_BREAK ends the loop. */
static int turn(struct tmpl_exec *x, const struct tmpl_node *n, struct tmpl_val *key, struct tmpl_val *elem) {
    const struct tmpl_name *names = n->pipe->names;
    struct tmpl_val dot = tmpl_val_ref(elem);
    size_t vars = x->var_count;
    int rc = tmpl_step(x, n);

    if (rc == 0 && names && names->next)
        rc = tmpl_var_set(x, n->pipe, names, key);
    if (rc == 0 && names)
        rc = tmpl_var_set(x, n->pipe, names->next ? names->next : names, elem);
    if (rc == 0)
        rc = walk_list(x, &dot, n->first);
    tmpl_var_pop_to(x, vars);
    tmpl_val_clear(key);
    tmpl_val_clear(elem);
    tmpl_val_clear(&dot);
    return rc == FLOW_CONTINUE ? FLOW_NEXT : rc;
}

static int range_list(struct tmpl_exec *x, const struct tmpl_node *n, const struct tmpl_val *over) {
    int rc = 0;

    for (size_t i = 0; i < json_array_size(over->j) && rc == 0; i++) {
        struct tmpl_val key = {.j = json_integer((json_int_t)i)};
        struct tmpl_val elem = {.j = json_incref(json_array_get(over->j, i))};

        rc = turn(x, n, &key, &elem);
    }
    return rc;
}

static int range_map(struct tmpl_exec *x, const struct tmpl_node *n, const struct tmpl_val *over) {
    size_t count;
    const char **keys BH_SCOPE_FREE = tmpl_sorted_keys(over->j, &count);
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        struct tmpl_val key = {.j = json_string_nocheck(keys[i])};
        struct tmpl_val elem = {.j = json_incref(json_object_get(over->j, keys[i]))};

        rc = turn(x, n, &key, &elem);
    }
    return rc;
}

static int range_int(struct tmpl_exec *x, const struct tmpl_node *n, json_int_t count) {
    int rc = 0;

    if (n->pipe->names && n->pipe->names->next)
        return tmpl_fail(x, n, BH_E_INVALID, "can't use an integer to iterate over more than one variable");
    for (json_int_t i = 0; i < count && rc == 0; i++) {
        struct tmpl_val key = {0}, elem = {.j = json_integer(i)};

        rc = turn(x, n, &key, &elem);
    }
    return rc;
}

/* A heading stands for the list that the rows have there: one turn. */
static int range_heading(struct tmpl_exec *x, const struct tmpl_node *n, const struct tmpl_val *over) {
    struct tmpl_val key = {.j = json_integer(0)}, elem = tmpl_val_ref(over);

    return turn(x, n, &key, &elem);
}

static int range_over(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *n,
                      const struct tmpl_val *over) {
    bool scalar = over->j && !json_is_null(over->j) && !json_is_array(over->j) && !json_is_object(over->j);

    if ((x->opts->flags & BH_TMPL_HEADINGS) && json_is_string(over->j))
        return range_heading(x, n, over);
    if (scalar && !json_is_integer(over->j))
        return tmpl_fail(x, n, BH_E_INVALID, "range can't iterate over a %s", tmpl_type_name(over->j));
    if (scalar ? json_integer_value(over->j) <= 0 : !tmpl_truth(over->j))
        return walk_list(x, dot, n->other);
    if (json_is_array(over->j))
        return range_list(x, n, over);
    if (json_is_object(over->j))
        return tmpl_charge(x, n, json_object_size(over->j) * sizeof(char *)) < 0 ? x->err->code : range_map(x, n, over);
    return range_int(x, n, json_integer_value(over->j));
}

static int walk_range(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *n) {
    size_t vars = x->var_count;
    struct tmpl_val over = {0};
    int rc = tmpl_eval_commands(x, dot, n->pipe, &over);
    bool ran = json_is_integer(over.j) ? json_integer_value(over.j) > 0 : tmpl_truth(over.j);

    if (rc == 0)
        rc = range_over(x, dot, n, &over);
    tmpl_val_clear(&over);
    tmpl_var_pop_to(x, vars);
    return rc == FLOW_BREAK && ran ? FLOW_NEXT : rc; /* {{else}} belongs to the loop outside */
}

static const struct tmpl_node *find_def(const struct tmpl_exec *x, const struct tmpl_node *n, bool *out_found) {
    for (const struct tmpl_def *d = x->t->defs; d; d = d->next)
        if (d->n == n->n && memcmp(d->name, n->s, d->n) == 0) {
            *out_found = true;
            return d->body;
        }
    *out_found = false;
    return NULL;
}

/* The template runs with its own variables: they are pushed on top and "$" hides the outer one. */
static int walk_template(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *n) {
    bool found;
    const struct tmpl_node *body = find_def(x, n, &found);
    struct tmpl_val arg = {0}, root;
    size_t vars;
    int rc;

    if (!found)
        return tmpl_fail(x, n, BH_E_INVALID, "template \"%.*s\" not defined", n->n > 40 ? 40 : (int)n->n, n->s);
    vars = x->var_count;
    if (n->pipe && tmpl_eval_pipe(x, dot, n->pipe, &arg) < 0)
        return x->err->code;
    root = tmpl_val_ref(&arg);
    tmpl_var_push(x, "$", 1, &root);
    rc = walk_list(x, &arg, body);
    tmpl_var_pop_to(x, vars);
    tmpl_val_clear(&arg);
    return rc;
}

static int walk(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *n) {
    switch (n->kind) {
    case TMPL_N_TEXT:
        return put(x, n, n->s, n->n);
    case TMPL_N_ACTION:
        return walk_action(x, dot, n);
    case TMPL_N_IF:
    case TMPL_N_WITH:
        return walk_if(x, dot, n);
    case TMPL_N_RANGE:
        return walk_range(x, dot, n);
    case TMPL_N_BREAK:
        return FLOW_BREAK;
    case TMPL_N_CONTINUE:
        return FLOW_CONTINUE;
    default:
        return walk_template(x, dot, n);
    }
}

static int walk_list(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *n) {
    int rc = 0;

    if (n && ++x->depth > TMPL_WALK_MAX)
        return tmpl_fail(x, n, BH_E_LIMIT, "templates call each other without end");
    for (const struct tmpl_node *s = n; s && rc == 0; s = s->next) {
        rc = tmpl_step(x, s);
        if (rc == 0)
            rc = walk(x, dot, s);
    }
    x->depth -= n != NULL;
    return rc;
}

int bh_tmpl_exec(const struct bh_tmpl *t, const json_t *data, const struct bh_tmpl_opts *opts, struct bh_buf *out,
                 struct bh_err *err) {
    static const struct bh_tmpl_opts none;
    struct tmpl_exec x = {.t = t, .opts = opts ? opts : &none, .out = out, .err = err};
    struct tmpl_val dot = {.j = json_incref((json_t *)(uintptr_t)data)}, root = tmpl_val_ref(&dot);
    int rc;

    x.steps = x.opts->max_steps ? x.opts->max_steps : STEPS_DEFAULT;
    x.bytes = x.opts->max_bytes ? x.opts->max_bytes : BYTES_DEFAULT;
    tmpl_var_push(&x, "$", 1, &root);
    rc = walk_list(&x, &dot, t->body);
    tmpl_var_pop_to(&x, 0);
    free(x.vars);
    tmpl_val_clear(&dot);
    return rc < 0 ? rc : 0;
}
