/*
 * recipe_outline.c - see recipe_outline.h.
 *
 * Room: build.
 */
#include "recipe_outline.h"

#include <string.h>
#include <strings.h>

#define LOOKS_MAX 2048 /* of names among arguments: more than a person would read */

/* An argument in front of the first FROM. */
struct global {
    const struct build_instruction *in;
    const struct build_pair *pair;
    bool used;
};

struct outlining {
    const struct build_recipe *r;
    const struct build_globals *g;
    struct bh_arena *arena;
    struct build_outline *out;
    struct global *globals;
    size_t n_globals;
    unsigned looks;
    struct bh_err *err;
};

const char *build_outline_description(const struct build_words *comments, const char *name) {
    size_t n = strlen(name);

    for (size_t i = 0; n > 0 && i < comments->n; i++)
        if (strncasecmp(comments->v[i].s, name, n) == 0 && comments->v[i].s[n] == ' ')
            return comments->v[i].s + n + 1;
    return "";
}

static bool has(const struct build_outline *o, const char *name) {
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->v[i].name, name) == 0)
            return true;
    return false;
}

/* At its place by line. */
static int add(struct outlining *x, const struct build_instruction *in, const char *name, const char *value) {
    struct build_outline *o = x->out;
    size_t at = o->n;

    if (o->n == o->cap) {
        size_t cap = 2 * o->cap + 16;
        struct build_outline_arg *v = bh_oci_alloc(x->arena, cap * sizeof *v, x->err);

        if (v == NULL)
            return x->err->code;
        if (o->n > 0)
            memcpy(v, o->v, o->n * sizeof *v);
        o->v = v;
        o->cap = cap;
    }
    for (; at > 0 && o->v[at - 1].line > in->at.line; at--)
        o->v[at] = o->v[at - 1];
    o->v[at] = (struct build_outline_arg){.name = name,
                                          .value = value != NULL ? value : "",
                                          .description = build_outline_description(&in->comments, name),
                                          .line = in->at.line};
    o->n++;
    return 0;
}

/* ---- in front of the first FROM -------------------------------------------------------------- */

/* The last of several with this name counts. */
static struct global *global_of(struct outlining *x, const char *name) {
    if (x->looks == LOOKS_MAX)
        return NULL;
    x->looks++;
    for (size_t i = x->n_globals; i-- > 0;)
        if (strcmp(x->globals[i].pair->key.s, name) == 0)
            return &x->globals[i];
    return NULL;
}

static const char *note_use(void *user, const char *name) {
    struct outlining *x = user;
    struct global *g = global_of(x, name);

    if (g != NULL)
        g->used = true;
    return build_globals_get(x->g, name);
}

/* All arguments that a word has in it; a word that cannot be expanded was told before. */
static void use_word(struct outlining *x, const char *word) {
    const struct build_expand expand = {.escape = x->r->escape, .lookup = note_use, .user = x, .arena = x->arena};
    struct bh_err ignored = BH_ERR_INIT;
    const char *text;

    if (word != NULL)
        (void)build_expand_word(&expand, word, &text, &ignored);
}

static int find_globals(struct outlining *x) {
    const struct build_recipe *r = x->r;
    size_t n = 0;

    for (size_t i = 0; i < r->n_global_args; i++)
        n += r->global_args[i]->pairs.n;
    x->globals = bh_oci_alloc(x->arena, (n + 1) * sizeof *x->globals, x->err);
    if (x->globals == NULL)
        return x->err->code;
    for (size_t i = 0; i < r->n_global_args; i++)
        for (size_t k = 0; k < r->global_args[i]->pairs.n; k++)
            x->globals[x->n_globals++] = (struct global){r->global_args[i], &r->global_args[i]->pairs.v[k], false};
    return 0;
}

/* From the last to the first, because a default has only earlier ones in it. */
static int add_globals(struct outlining *x) {
    for (size_t i = x->n_globals; i-- > 0;) {
        const struct global *g = &x->globals[i];

        if (!g->used || has(x->out, g->pair->key.s))
            continue;
        use_word(x, g->pair->value.s);
        if (add(x, g->in, g->pair->key.s, build_globals_get(x->g, g->pair->key.s)) != 0)
            return x->err->code;
    }
    return 0;
}

/* ---- of a stage ------------------------------------------------------------------------------ */

static int use_arg(struct outlining *x, struct build_scope *scope, const struct build_instruction *in) {
    struct bh_err ignored = BH_ERR_INIT;
    bool declared = build_scope_declare(scope, in, &ignored) == 0;

    for (size_t i = 0; i < in->pairs.n && x->looks < LOOKS_MAX; i++) {
        const char *name = in->pairs.v[i].key.s, *text = in->pairs.v[i].value.s;
        bool given = x->g->in->build_args != NULL && bh_pairs_get(x->g->in->build_args, name) != NULL;
        struct global *g = global_of(x, name);

        if (text == NULL && !given && g != NULL)
            g->used = true;
        else if (!has(x->out, name) && add(x, in, name, declared ? build_scope_get(scope, name) : text) != 0)
            return x->err->code;
    }
    return 0;
}

/* The image that it is built on is not looked at: what that sets is not known here. */
static int use_stage(struct outlining *x, const struct build_stage *stage) {
    struct build_scope scope;

    build_scope_init(&scope, x->g, NULL, x->arena);
    use_word(x, stage->from->from.base.s);
    use_word(x, stage->from->from.platform.s);
    for (size_t i = 0; i < stage->n && x->looks < LOOKS_MAX; i++) {
        struct bh_err ignored = BH_ERR_INIT;
        struct build_instruction expanded;

        if (stage->v[i]->op == BUILD_ARG && use_arg(x, &scope, stage->v[i]) != 0)
            return x->err->code;
        x->looks += stage->v[i]->op == BUILD_ENV;
        if (stage->v[i]->op == BUILD_ENV && build_instruction_expand(stage->v[i], &scope, &expanded, &ignored) == 0)
            (void)build_scope_set_env(&scope, &expanded, &ignored);
    }
    return 0;
}

int build_outline_make(const struct build_recipe *r, const struct build_globals *g, const struct build_stages *stages,
                       struct bh_arena *arena, struct build_outline *out, struct bh_err *err) {
    struct outlining x = {.r = r, .g = g, .arena = arena, .out = out, .err = err};

    *out = (struct build_outline){0};
    if (find_globals(&x) != 0)
        return err->code;
    for (size_t i = stages->n; i-- > 0;) /* a stage needs only stages before it: the target's own words go first */
        if (stages->v[i].needed && use_stage(&x, &r->stages[i]) != 0)
            return err->code;
    return add_globals(&x);
}
