/*
 * recipe_scope.c - see recipe_expand.h.  Owns which variables a stage has: global ARGs, ARGs, ENV.
 * Room: build.  Pure.  Must never look at the process' own environment.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/platform.h"
#include "recipe_expand.h"

#define VARS_MAX 10000

static const char *find(const struct build_var *v, size_t n, const char *name, bool *out_found) {
    for (size_t i = n; i > 0; i--) {
        if (strcmp(v[i - 1].name, name) == 0) {
            *out_found = true;
            return v[i - 1].value;
        }
    }
    *out_found = false;
    return NULL;
}

static const char *given(const struct build_inputs *in, const char *name) {
    return in->build_args != NULL ? bh_pairs_get(in->build_args, name) : NULL;
}

/* --- global ARGs --------------------------------------------------------------------------------- */

static int put_global(struct build_globals *g, const char *name, const char *value, struct bh_err *err) {
    for (size_t i = 0; i < g->n; i++) {
        if (strcmp(g->v[i].name, name) == 0) {
            if (value != NULL)
                g->v[i].value = value;
            return 0;
        }
    }
    if (g->n >= VARS_MAX)
        return bh_err_set(err, BH_E_LIMIT, "there are more than %d ARGs", VARS_MAX);
    if (g->n == g->cap) {
        size_t cap = g->cap > 0 ? 2 * g->cap : 32;
        struct build_var *v = bh_oci_alloc(g->arena, cap * sizeof *v, err);

        if (v == NULL)
            return err->code;
        if (g->n > 0)
            memcpy(v, g->v, g->n * sizeof *v);
        g->v = v;
        g->cap = cap;
    }
    g->v[g->n++] = (struct build_var){name, value};
    return 0;
}

/* A variable that is there by itself; a --build-arg of the name takes its place. */
static int put_fixed(struct build_globals *g, const char *prefix, const char *name, const char *value,
                     struct bh_err *err) {
    char text[64];
    const char *key, *own, *copy;

    snprintf(text, sizeof text, "%s%s", prefix, name);
    own = given(g->in, text);
    key = bh_oci_strdup(g->arena, text, strlen(text), err);
    if (own == NULL)
        own = value;
    copy = bh_oci_strdup(g->arena, own, strlen(own), err);
    return key == NULL || copy == NULL ? err->code : put_global(g, key, copy, err);
}

static int put_platform(struct build_globals *g, const char *prefix, const char *text, struct bh_err *err) {
    char full[BH_PLATFORM_TEXT_SIZE];
    struct bh_platform p;

    if (bh_platform_parse(text, &p, err) != 0)
        return err->code;
    bh_platform_format(&p, full);
    if (put_fixed(g, prefix, "PLATFORM", full, err) != 0 || put_fixed(g, prefix, "OS", p.os, err) != 0 ||
        put_fixed(g, prefix, "OSVERSION", p.os_version, err) != 0 || put_fixed(g, prefix, "ARCH", p.arch, err) != 0)
        return err->code;
    return put_fixed(g, prefix, "VARIANT", p.variant, err);
}

static const char *look_up_global(void *user, const char *name) {
    return build_globals_get(user, name);
}

static int declare_global(struct build_globals *g, const struct build_pair *pair, struct bh_err *err) {
    struct build_expand x = {.escape = g->escape, .lookup = look_up_global, .user = g, .arena = g->arena};
    const char *value = given(g->in, pair->key.s);

    if (value == NULL && pair->value.s != NULL && build_expand_word(&x, pair->value.s, &value, err) != 0)
        return err->code;
    return put_global(g, pair->key.s, value, err);
}

int build_globals_init(struct build_globals *g, const struct build_recipe *r, const struct build_inputs *in,
                       struct bh_arena *arena, struct bh_err *err) {
    const char *stage = in->target != NULL && in->target[0] != '\0' ? in->target : "default";

    *g = (struct build_globals){.in = in, .arena = arena, .escape = r->escape};
    if (put_platform(g, "BUILD", in->build_platform, err) != 0 ||
        put_platform(g, "TARGET", in->target_platform, err) != 0 || put_fixed(g, "TARGET", "STAGE", stage, err) != 0)
        return err->code;
    g->n_fixed = g->n;
    for (size_t i = 0; i < r->n_global_args; i++) {
        const struct build_instruction *arg = r->global_args[i];

        for (size_t k = 0; k < arg->pairs.n; k++) {
            if (declare_global(g, &arg->pairs.v[k], err) != 0)
                return bh_err_prefix(err, "line %u", arg->at.line);
        }
    }
    return 0;
}

const char *build_globals_get(const struct build_globals *g, const char *name) {
    bool found;

    return find(g->v, g->n, name, &found);
}

bool build_arg_is_proxy(const char *name) {
    static const char *const names[] = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"};

    for (size_t i = 0; i < BH_ARRAY_LEN(names); i++) {
        bool upper = name[0] >= 'A' && name[0] <= 'Z';

        if (strcasecmp(name, names[i]) != 0)
            continue;
        for (const char *c = name; *c != '\0'; c++) {
            if (*c != '_' && (*c >= 'A' && *c <= 'Z') != upper)
                return false;
        }
        return true;
    }
    return false;
}

static bool declares(const struct build_instruction *in, const char *name) {
    for (size_t k = 0; in->op == BUILD_ARG && k < in->pairs.n; k++) {
        if (strcmp(in->pairs.v[k].key.s, name) == 0)
            return true;
    }
    return false;
}

static bool is_taken(const struct build_recipe *r, const char *name) {
    if (build_arg_is_proxy(name) || bh_str_starts(name, "BUILDKIT_") || strcmp(name, "SOURCE_DATE_EPOCH") == 0)
        return true;
    for (size_t i = 0; i < r->n_global_args; i++) {
        if (declares(r->global_args[i], name))
            return true;
    }
    for (size_t i = 0; i < r->n_stages; i++) {
        for (size_t k = 0; k < r->stages[i].n; k++) {
            if (declares(r->stages[i].v[k], name))
                return true;
        }
    }
    return false;
}

int build_unused_args(const struct build_recipe *r, const struct build_inputs *in, struct bh_arena *arena,
                      struct bh_strlist *out, struct bh_err *err) {
    struct bh_strlist l = {.present = true};

    for (size_t i = 0; in->build_args != NULL && i < in->build_args->n; i++) {
        const char *name = in->build_args->v[i].key;

        if (!is_taken(r, name) && bh_strlist_add(&l, arena, name, err) != 0)
            return err->code;
    }
    *out = l;
    return 0;
}

/* --- a stage ------------------------------------------------------------------------------------- */

void build_scope_init(struct build_scope *s, const struct build_globals *g, const struct bh_strlist *env,
                      struct bh_arena *arena) {
    *s = (struct build_scope){.globals = g, .arena = arena};
    if (env != NULL)
        s->env = *env;
}

const char *build_scope_get(const struct build_scope *s, const char *name) {
    const char *value = bh_env_get(&s->env, name);
    bool found;

    return value != NULL ? value : find(s->args, s->n_args, name, &found);
}

static const char *look_up_scope(void *user, const char *name) {
    const struct build_scope *s = user;
    const char *value = build_scope_get(s, name);

    if (value == NULL && s->missed != NULL)
        s->missed(s->missed_user, name);
    return value;
}

static struct build_expand expander(const struct build_scope *s) {
    return (struct build_expand){
        .escape = s->globals->escape, .lookup = look_up_scope, .user = (void *)s, .arena = s->arena};
}

/* The list is copied: a fork of the scope may still use the old one. */
static int put_arg(struct build_scope *s, const char *name, const char *value, struct bh_err *err) {
    struct build_var *v = bh_oci_alloc(s->arena, (s->n_args + 1) * sizeof *v, err);
    size_t i = 0;

    if (v == NULL)
        return err->code;
    if (s->n_args >= VARS_MAX)
        return bh_err_set(err, BH_E_LIMIT, "there are more than %d ARGs", VARS_MAX);
    if (s->n_args > 0)
        memcpy(v, s->args, s->n_args * sizeof *v);
    while (i < s->n_args && strcmp(v[i].name, name) != 0)
        i++;
    if (i == s->n_args || value != NULL)
        v[i] = (struct build_var){name, value};
    s->n_args += i == s->n_args;
    s->args = v;
    return 0;
}

static int declare(struct build_scope *s, const struct build_pair *pair, struct bh_err *err) {
    struct build_expand x = expander(s);
    const char *value = given(s->globals->in, pair->key.s);

    if (value == NULL && pair->value.s != NULL && build_expand_word(&x, pair->value.s, &value, err) != 0)
        return err->code;
    if (value == NULL)
        value = build_globals_get(s->globals, pair->key.s);
    return put_arg(s, pair->key.s, value, err);
}

int build_scope_declare(struct build_scope *s, const struct build_instruction *arg, struct bh_err *err) {
    for (size_t i = 0; i < arg->pairs.n; i++) {
        if (declare(s, &arg->pairs.v[i], err) != 0)
            return bh_err_prefix(err, "line %u", arg->at.line);
    }
    return 0;
}

int build_scope_set_env(struct build_scope *s, const struct build_instruction *env, struct bh_err *err) {
    for (size_t i = 0; i < env->pairs.n; i++) {
        const struct build_pair *pair = &env->pairs.v[i];

        if (bh_env_set(&s->env, s->arena, pair->key.s, pair->value.s, err) != 0)
            return bh_err_prefix(err, "line %u", env->at.line);
    }
    return 0;
}

static int add_arg(struct bh_strlist *out, struct bh_arena *arena, const char *name, const char *value,
                   struct bh_err *err) {
    BH_SCOPE_FREE char *text = bh_xasprintf("%s=%s", name, value);

    return bh_strlist_add(out, arena, text, err);
}

/* Proxies that were given and are not set otherwise. */
static int add_proxies(const struct build_scope *s, struct bh_arena *arena, struct bh_strlist *out,
                       struct bh_err *err) {
    const struct bh_pairs *given_args = s->globals->in->build_args;

    for (size_t i = 0; given_args != NULL && i < given_args->n; i++) {
        const char *name = given_args->v[i].key;

        if (build_arg_is_proxy(name) && bh_env_get(out, name) == NULL &&
            add_arg(out, arena, name, given_args->v[i].value, err) != 0)
            return err->code;
    }
    return 0;
}

int build_scope_run_env(const struct build_scope *s, bool keyed, struct bh_arena *arena, struct bh_strlist *out,
                        struct bh_err *err) {
    struct bh_strlist l = s->env;

    for (size_t i = 0; i < s->n_args; i++) {
        const struct build_var *arg = &s->args[i];

        if (arg->value == NULL || bh_env_get(&s->env, arg->name) != NULL)
            continue;
        if (add_arg(&l, arena, arg->name, arg->value, err) != 0)
            return err->code;
    }
    l.present = true;
    if (!keyed && add_proxies(s, arena, &l, err) != 0)
        return err->code;
    *out = l;
    return 0;
}

int build_scope_arg_list(const struct build_scope *s, struct bh_arena *arena, struct bh_strlist *out,
                         struct bh_err *err) {
    struct bh_strlist l = {.present = true};

    for (size_t i = 0; i < s->n_args; i++) {
        const struct build_var *arg = &s->args[i];

        if (arg->value != NULL && !build_arg_is_proxy(arg->name) && add_arg(&l, arena, arg->name, arg->value, err) != 0)
            return err->code;
    }
    *out = l;
    return 0;
}

/* --- instructions -------------------------------------------------------------------------------- */

/* Expands words of one instruction; errors stick. */
struct rewrite {
    struct build_expand x;
    struct bh_err *err;
    bool failed;
};

static void word(struct rewrite *w, struct build_word *in) {
    if (in->s != NULL && !w->failed)
        w->failed = build_expand_word(&w->x, in->s, &in->s, w->err) != 0;
}

static void words(struct rewrite *w, struct build_words *in) {
    struct build_word *v = w->failed ? NULL : bh_oci_alloc(w->x.arena, in->n * sizeof *v, w->err);

    w->failed = v == NULL;
    for (size_t i = 0; !w->failed && i < in->n; i++) {
        v[i] = in->v[i];
        word(w, &v[i]);
    }
    in->v = v;
}

static void pairs(struct rewrite *w, struct build_pairs *in) {
    struct build_pair *v = w->failed ? NULL : bh_oci_alloc(w->x.arena, in->n * sizeof *v, w->err);

    w->failed = v == NULL;
    for (size_t i = 0; !w->failed && i < in->n; i++) {
        v[i] = in->v[i];
        word(w, &v[i].key);
        word(w, &v[i].value);
    }
    in->v = v;
}

/* A variable may hold several words. */
static void split_words(struct rewrite *w, struct build_words *in) {
    struct build_words out = {0};

    for (size_t i = 0; !w->failed && i < in->n; i++) {
        struct bh_strlist l = {0};
        struct build_word *v = NULL;

        w->failed = build_expand_words(&w->x, in->v[i].s, &l, w->err) != 0;
        if (!w->failed && l.n + out.n > BUILD_WORDS_MAX) {
            bh_err_set(w->err, BH_E_LIMIT, "more than %d words come out of the variables", BUILD_WORDS_MAX);
            w->failed = true;
        }
        if (!w->failed)
            v = bh_oci_alloc(w->x.arena, (out.n + l.n) * sizeof *v, w->err);
        w->failed = v == NULL;
        if (w->failed)
            return;
        if (out.n > 0)
            memcpy(v, out.v, out.n * sizeof *v);
        for (size_t k = 0; k < l.n; k++) {
            v[out.n] = in->v[i];
            v[out.n++].s = l.v[k];
        }
        out.v = v;
    }
    *in = out;
}

/* Quotes mean nothing in the text of a heredoc, and only a backslash quotes '$'. */
static void heredocs(struct rewrite *w, struct build_heredocs *in) {
    struct build_heredoc *v = w->failed ? NULL : bh_oci_alloc(w->x.arena, in->n * sizeof *v, w->err);
    struct build_expand x = w->x;

    x.escape = '\\';
    x.flags |= BUILD_EXPAND_SKIP_QUOTES;
    w->failed = v == NULL;
    for (size_t i = 0; !w->failed && i < in->n; i++) {
        v[i] = in->v[i];
        if (!v[i].expand)
            continue;
        w->failed = build_expand_word(&x, v[i].text, &v[i].text, w->err) != 0;
        if (!w->failed)
            v[i].text_len = strlen(v[i].text);
    }
    in->v = v;
}

static void copy(struct rewrite *w, struct build_copy *c) {
    words(w, &c->sources);
    word(w, &c->dest);
    word(w, &c->chown);
    word(w, &c->chmod);
    word(w, &c->checksum);
    words(w, &c->exclude);
    heredocs(w, &c->files);
}

static int fail_empty(struct rewrite *w, const char *text) {
    w->failed = true;
    return bh_err_set(w->err, BH_E_INVALID, "%s", text);
}

/* What must not be empty once variables are replaced. */
static void check(struct rewrite *w, const struct build_instruction *in) {
    for (size_t i = 0; !w->failed && in->op == BUILD_VOLUME && i < in->words.n; i++) {
        if (in->words.v[i].s[0] == '\0')
            fail_empty(w, "VOLUME specified can not be an empty string");
    }
    for (size_t i = 0; !w->failed && (in->op == BUILD_ENV || in->op == BUILD_LABEL) && i < in->pairs.n; i++) {
        if (in->pairs.v[i].key.s[0] == '\0')
            fail_empty(w, in->op == BUILD_ENV ? "ENV names can not be blank" : "LABEL names can not be blank");
    }
}

int build_instruction_expand(const struct build_instruction *in, const struct build_scope *s,
                             struct build_instruction *out, struct bh_err *err) {
    struct rewrite w = {.x = expander(s), .err = err};
    struct build_instruction copied = *in;

    switch (in->op) {
    case BUILD_ADD:
    case BUILD_COPY:
        copy(&w, &copied.copy);
        break;
    case BUILD_ENV:
    case BUILD_LABEL:
        pairs(&w, &copied.pairs);
        break;
    case BUILD_EXPOSE:
        split_words(&w, &copied.words);
        break;
    case BUILD_VOLUME:
        words(&w, &copied.words);
        break;
    case BUILD_STOPSIGNAL:
    case BUILD_USER:
    case BUILD_WORKDIR:
        word(&w, &copied.word);
        break;
    default:
        break;
    }
    if (!w.failed)
        check(&w, &copied);
    if (w.failed)
        return bh_err_prefix(err, "line %u", in->at.line);
    *out = copied;
    return 0;
}
