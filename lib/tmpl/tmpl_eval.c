/*
 * tmpl_eval.c - what a pipeline gives: fields, methods, variables, calls; errors and budgets of an execution.
 *
 * Room: client.  Every step is counted down.  Errors name the place and the piece of the template.
 * Values are owned by whoever holds the struct tmpl_val; every function that fills one leaves it
 * clear on failure.
 */
#include "tmpl/tmpl_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* Keys of these are the users': labels, ports, options of drivers, names of networks. */
const char *const bh_tmpl_open_maps[] = {
    "Labels",  "Annotations", "Options", "DriverOpts", "Ports", "Networks",    "ExposedPorts", "PortBindings",
    "Volumes", "Sysctls",     "Tmpfs",   "StorageOpt", "Data",  "IPAMOptions", "ExtraHosts",   NULL};

static int eval_arg(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *n, struct tmpl_val *out);

/* ---- errors, budgets, values ---- */

int tmpl_fail(struct tmpl_exec *x, const struct tmpl_node *at, int code, const char *fmt, ...) {
    unsigned line, column;
    char text[600];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tmpl_position(x->t->text, at->at, &line, &column);
    return bh_err_set(x->err, code, "template:%u:%u: at <%.*s%s>: %s", line, column, at->len > 60 ? 60 : (int)at->len,
                      at->at, at->len > 60 ? "..." : "", text);
}

int tmpl_step(struct tmpl_exec *x, const struct tmpl_node *at) {
    if (x->steps == 0)
        return tmpl_fail(x, at, BH_E_LIMIT, "the template takes too many steps");
    x->steps--;
    return 0;
}

int tmpl_charge(struct tmpl_exec *x, const struct tmpl_node *at, uint64_t n) {
    if (n > x->bytes)
        return tmpl_fail(x, at, BH_E_LIMIT, "the template makes too much text");
    x->bytes -= n;
    return 0;
}

bool tmpl_truth(const json_t *j) {
    switch (j ? json_typeof(j) : JSON_NULL) {
    case JSON_OBJECT:
        return json_object_size(j) > 0;
    case JSON_ARRAY:
        return json_array_size(j) > 0;
    case JSON_STRING:
        return json_string_length(j) > 0;
    case JSON_INTEGER:
        return json_integer_value(j) != 0;
    case JSON_REAL:
        return json_real_value(j) != 0.0;
    default:
        return json_is_true(j);
    }
}

void tmpl_val_clear(struct tmpl_val *v) {
    json_decref(v->j);
    *v = (struct tmpl_val){0};
}

struct tmpl_val tmpl_val_ref(const struct tmpl_val *v) {
    struct tmpl_val copy = *v;

    json_incref(copy.j);
    return copy;
}

const char *tmpl_type_name(const json_t *j) {
    static const char *const names[] = {"map", "list", "string", "int", "float64", "bool", "bool", "nil"};

    return names[j ? (size_t)json_typeof(j) : 7];
}

/* ---- variables ---- */

void tmpl_var_push(struct tmpl_exec *x, const char *s, size_t n, struct tmpl_val *take) {
    if (x->var_count == x->var_cap) {
        x->var_cap = x->var_cap ? x->var_cap * 2 : 16;
        x->vars = bh_xrealloc(x->vars, x->var_cap * sizeof *x->vars);
    }
    x->vars[x->var_count++] = (struct tmpl_var){s, n, *take};
    *take = (struct tmpl_val){0};
}

void tmpl_var_pop_to(struct tmpl_exec *x, size_t count) {
    while (x->var_count > count)
        tmpl_val_clear(&x->vars[--x->var_count].val);
}

/* The innermost of that name.  "$" is found at the start of the running template. */
static struct tmpl_var *var_find(struct tmpl_exec *x, const char *s, size_t n) {
    for (size_t i = x->var_count; i-- > 0;)
        if (x->vars[i].n == n && memcmp(x->vars[i].s, s, n) == 0)
            return &x->vars[i];
    return NULL;
}

int tmpl_var_set(struct tmpl_exec *x, const struct tmpl_node *pipe, const struct tmpl_name *name,
                 struct tmpl_val *take) {
    struct tmpl_var *var;

    if (!pipe->assign) {
        tmpl_var_push(x, name->s, name->n, take);
        return 0;
    }
    var = var_find(x, name->s, name->n);
    if (!var) {
        tmpl_val_clear(take);
        return tmpl_fail(x, pipe, BH_E_INVALID, "undefined variable");
    }
    tmpl_val_clear(&var->val);
    var->val = *take;
    *take = (struct tmpl_val){0};
    return 0;
}

/* ---- fields ---- */

static bool is_open_name(const struct tmpl_exec *x, const struct tmpl_name *name) {
    for (const char *const *m = x->opts->open_maps; m && *m; m++)
        if (strlen(*m) == name->n && memcmp(*m, name->s, name->n) == 0)
            return true;
    return false;
}

static const struct bh_tmpl_zero *find_zero(const struct tmpl_exec *x, const struct tmpl_name *name) {
    for (const struct bh_tmpl_zero *z = x->opts->zeros; z && z->name; z++)
        if (strlen(z->name) == name->n && memcmp(z->name, name->s, name->n) == 0)
            return z;
    return NULL;
}

static const struct bh_tmpl_method *find_method(const struct tmpl_exec *x, const struct tmpl_name *name) {
    for (const struct bh_tmpl_method *m = x->opts->methods; m && m->name; m++)
        if (strlen(m->name) == name->n && memcmp(m->name, name->s, name->n) == 0)
            return m;
    return NULL;
}

static int call_method(struct tmpl_exec *x, const struct tmpl_node *at, const struct bh_tmpl_method *m,
                       const json_t *receiver, size_t argc, struct tmpl_val *argv, struct tmpl_val *out) {
    json_t *args[16];
    json_t *result = NULL;

    if (argc < m->min_args || argc > m->max_args || argc > BH_ARRAY_LEN(args))
        return tmpl_fail(x, at, BH_E_INVALID, "wrong number of args for %s: want %zu%s got %zu", m->name, m->min_args,
                         m->max_args > m->min_args ? " or more" : "", argc);
    for (size_t i = 0; i < argc; i++)
        args[i] = argv[i].j;
    if (m->fn(m->user, receiver, argc, args, &result, x->err) < 0) {
        char why[400];

        snprintf(why, sizeof why, "%s", x->err->msg);
        return tmpl_fail(x, at, x->err->code, "error calling %s: %s", m->name, why);
    }
    *out = (struct tmpl_val){.j = result};
    return 0;
}

static int missing_key(struct tmpl_exec *x, const struct tmpl_node *at, const struct tmpl_val *from,
                       const struct tmpl_name *name, struct tmpl_val *out) {
    int n = name->n > 80 ? 80 : (int)name->n;

    *out = (struct tmpl_val){.undefined = true};
    if (from->open || x->lenient > 0 || (x->opts->flags & BH_TMPL_MISSING_OK))
        return 0;
    return tmpl_fail(x, at, BH_E_NOT_FOUND, "map has no entry for key \"%.*s\"", n, name->s);
}

/* One step of a chain.  argc counts the arguments that follow the last name. */
static int eval_field(struct tmpl_exec *x, const struct tmpl_node *at, const struct tmpl_val *from,
                      const struct tmpl_name *name, size_t argc, struct tmpl_val *argv, struct tmpl_val *out) {
    int shown = name->n > 80 ? 80 : (int)name->n;
    const struct bh_tmpl_method *m;
    const struct bh_tmpl_zero *z;
    json_t *hit;

    if (tmpl_step(x, at) < 0)
        return x->err->code;
    if (json_is_object(from->j) && (m = find_method(x, name)))
        return call_method(x, at, m, from->j, argc, argv, out);
    if (argc > 0)
        return tmpl_fail(x, at, BH_E_INVALID, "%.*s has arguments but cannot be invoked as function", shown, name->s);
    if (!from->j && (from->undefined || x->lenient > 0)) {
        *out = (struct tmpl_val){.undefined = true};
        return 0;
    }
    if (!from->j || json_is_null(from->j)) {
        if (x->lenient > 0 || (x->opts->flags & BH_TMPL_MISSING_OK)) {
            *out = (struct tmpl_val){.undefined = true};
            return 0;
        }
        return tmpl_fail(x, at, BH_E_NOT_FOUND, "nil data; no entry for key \"%.*s\"", shown, name->s);
    }
    if (!json_is_object(from->j))
        return tmpl_fail(x, at, BH_E_INVALID, "can't evaluate field %.*s in type %s", shown, name->s,
                         tmpl_type_name(from->j));
    hit = json_object_getn(from->j, name->s, name->n);
    z = from->open ? NULL : find_zero(x, name);
    if (!hit && !z)
        return missing_key(x, at, from, name, out);
    if (hit)
        json_incref(hit);
    else
        hit = json_loads(z->json, JSON_DECODE_ANY, NULL);
    *out = (struct tmpl_val){.j = hit, .open = is_open_name(x, name)};
    if (z && json_is_null(hit))
        out->shown = z->shown;
    return 0;
}

/* .A.B.C from a value; only the last one gets the arguments. */
static int eval_names(struct tmpl_exec *x, const struct tmpl_node *at, const struct tmpl_val *from,
                      const struct tmpl_name *names, size_t argc, struct tmpl_val *argv, struct tmpl_val *out) {
    struct tmpl_val here = tmpl_val_ref(from);

    for (; names; names = names->next) {
        struct tmpl_val next = {0};
        size_t count = names->next ? 0 : argc;

        if (eval_field(x, at, &here, names, count, argv, &next) < 0) {
            tmpl_val_clear(&here);
            return x->err->code;
        }
        tmpl_val_clear(&here);
        here = next;
    }
    *out = here;
    return 0;
}

/* ---- operands and commands ---- */

static int eval_var(struct tmpl_exec *x, const struct tmpl_node *n, size_t argc, struct tmpl_val *argv,
                    struct tmpl_val *out) {
    struct tmpl_var *var = var_find(x, n->s, n->n);

    if (!var)
        return tmpl_fail(x, n, BH_E_INVALID, "undefined variable: %.*s", n->n > 40 ? 40 : (int)n->n, n->s);
    return eval_names(x, n, &var->val, n->names, argc, argv, out);
}

static int eval_chain(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *n, size_t argc,
                      struct tmpl_val *argv, struct tmpl_val *out) {
    struct tmpl_val inner = {0};
    int rc;

    if (tmpl_eval_pipe(x, dot, n->first, &inner) < 0)
        return x->err->code;
    rc = eval_names(x, n, &inner, n->names, argc, argv, out);
    tmpl_val_clear(&inner);
    return rc;
}

static int eval_func(struct tmpl_exec *x, const struct tmpl_node *n, size_t argc, struct tmpl_val *argv,
                     struct tmpl_val *out) {
    const struct tmpl_func *f = n->func;
    int rc;

    if (argc < f->min_args || argc > f->max_args)
        return tmpl_fail(x, n, BH_E_INVALID, "wrong number of args for %s: want %s%u got %zu", f->name,
                         f->max_args == f->min_args ? ""
                         : argc < f->min_args       ? "at least "
                                                    : "at most ",
                         argc < f->min_args ? f->min_args : f->max_args, argc);
    if ((x->opts->flags & BH_TMPL_HEADINGS) && f->word) {
        *out = tmpl_val_ref(&argv[0]);
        return 0;
    }
    rc = f->fn(x, n, argc, argv, out);
    if (rc < 0)
        tmpl_val_clear(out);
    return rc;
}

/* and, or: the first argument that decides; the others are not evaluated. */
static int eval_logic(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *cmd,
                      const struct tmpl_val *final, struct tmpl_val *out) {
    bool stop_at = cmd->first->func->name[0] == 'o';
    const struct tmpl_node *n = cmd->first->next;

    if (!n && !final)
        return tmpl_fail(x, cmd->first, BH_E_INVALID, "wrong number of args for %s: want at least 1 got 0",
                         cmd->first->func->name);
    for (; n; n = n->next) {
        tmpl_val_clear(out);
        if (eval_arg(x, dot, n, out) < 0)
            return x->err->code;
        if (tmpl_truth(out->j) == stop_at)
            return 0;
    }
    if (final) {
        tmpl_val_clear(out);
        *out = tmpl_val_ref(final);
    }
    return 0;
}

static int call(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *n, size_t argc,
                struct tmpl_val *argv, struct tmpl_val *out) {
    switch (n->kind) {
    case TMPL_N_FIELD:
        return eval_names(x, n, dot, n->names, argc, argv, out);
    case TMPL_N_VAR:
        return eval_var(x, n, argc, argv, out);
    case TMPL_N_CHAIN:
        return eval_chain(x, dot, n, argc, argv, out);
    case TMPL_N_FUNC:
        return eval_func(x, n, argc, argv, out);
    default:
        if (argc > 0)
            return tmpl_fail(x, n, BH_E_INVALID, "can't give argument to non-function");
        if (n->kind == TMPL_N_NIL)
            return tmpl_fail(x, n, BH_E_INVALID, "nil is not a command");
        *out = n->kind == TMPL_N_DOT ? tmpl_val_ref(dot) : (struct tmpl_val){.j = json_incref(n->value)};
        return 0;
    }
}

/* An operand that is not the first of its command. */
static int eval_arg(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *n, struct tmpl_val *out) {
    *out = (struct tmpl_val){0};
    if (n->kind == TMPL_N_NIL)
        return 0;
    if (tmpl_step(x, n) < 0)
        return x->err->code;
    if (n->kind == TMPL_N_FUNC && !n->func->fn)
        return tmpl_fail(x, n, BH_E_INVALID, "wrong number of args for %s: want at least 1 got 0", n->func->name);
    return call(x, dot, n, 0, NULL, out);
}

/* final: what came through the pipe, or NULL; it is the last argument. */
static int eval_command(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *cmd,
                        const struct tmpl_val *final, struct tmpl_val *out) {
    size_t argc = 0, room = cmd->count + 1;
    struct tmpl_val few[8], *argv = few;
    int rc = tmpl_step(x, cmd);

    if (rc < 0)
        return rc;
    if (cmd->first->kind == TMPL_N_FUNC && !cmd->first->func->fn) {
        rc = eval_logic(x, dot, cmd, final, out);
        if (rc < 0)
            tmpl_val_clear(out);
        return rc;
    }
    if (room > BH_ARRAY_LEN(few))
        argv = bh_xcalloc(room, sizeof *argv);
    for (const struct tmpl_node *n = cmd->first->next; n && rc == 0; n = n->next) {
        rc = eval_arg(x, dot, n, &argv[argc]);
        argc += rc == 0;
    }
    if (rc == 0 && final)
        argv[argc++] = tmpl_val_ref(final);
    if (rc == 0)
        rc = call(x, dot, cmd->first, argc, argv, out);
    while (argc > 0)
        tmpl_val_clear(&argv[--argc]);
    if (argv != few)
        free(argv);
    return rc;
}

int tmpl_eval_commands(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *pipe, struct tmpl_val *out) {
    struct tmpl_val value = {0};

    for (const struct tmpl_node *c = pipe->first; c; c = c->next) {
        struct tmpl_val next = {0};

        if (eval_command(x, dot, c, c == pipe->first ? NULL : &value, &next) < 0) {
            tmpl_val_clear(&value);
            return x->err->code;
        }
        tmpl_val_clear(&value);
        value = next;
    }
    *out = value;
    return 0;
}

int tmpl_eval_pipe(struct tmpl_exec *x, struct tmpl_val *dot, const struct tmpl_node *pipe, struct tmpl_val *out) {
    struct tmpl_val copy;

    if (tmpl_eval_commands(x, dot, pipe, out) < 0)
        return x->err->code;
    if (!pipe->names)
        return 0;
    copy = tmpl_val_ref(out);
    if (tmpl_var_set(x, pipe, pipe->names, &copy) < 0) {
        tmpl_val_clear(out);
        return x->err->code;
    }
    return 0;
}
