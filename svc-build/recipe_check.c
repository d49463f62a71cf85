/*
 * recipe_check.c - see recipe_check.h.  Follows the stages as a build would, with the variables that are known without
 * an image, and has each instruction checked.
 *
 * Room: build.  Pure.  recipe_rules.c knows which checks are on.
 */
#include "recipe_check_int.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

void build_check_warn(struct build_checker *c, enum build_check check, struct build_pos at, size_t n,
                      const char *suggestion, const char *fmt, ...) {
    char text[512];
    va_list ap;

    if (!build_rules_on(&c->here, check))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    build_note_suggest(c->notes, build_note_add(c->notes, BUILD_WARNING, build_check_name(check), at, n, "%s", text),
                       suggestion);
}

/* --- letter case --------------------------------------------------------------------------------- */

bool build_is_lower(const char *s) {
    for (; *s != '\0'; s++) {
        if (isupper((unsigned char)*s))
            return false;
    }
    return true;
}

bool build_is_upper(const char *s) {
    for (; *s != '\0'; s++) {
        if (islower((unsigned char)*s))
            return false;
    }
    return true;
}

static void count_case(const struct build_instruction *in, size_t *lower, size_t *upper) {
    *lower += build_is_lower(in->name);
    *upper += build_is_upper(in->name);
}

static void find_majority(struct build_checker *c) {
    size_t lower = 0, upper = 0;

    for (size_t i = 0; i < c->r->n_stages; i++) {
        count_case(c->r->stages[i].from, &lower, &upper);
        for (size_t k = 0; k < c->r->stages[i].n; k++)
            count_case(c->r->stages[i].v[k], &lower, &upper);
    }
    c->lower = lower > upper;
}

static void check_case(struct build_checker *c, const struct build_instruction *in) {
    if (c->lower ? !build_is_lower(in->name) : !build_is_upper(in->name))
        build_check_warn(c, BUILD_CHECK_ConsistentInstructionCasing, in->at, in->name_len, NULL,
                         "Command '%s' should match the case of the command majority (%s)", in->name,
                         c->lower ? "lowercase" : "uppercase");
}

/* --- variables ----------------------------------------------------------------------------------- */

/* Names that docker sets without an ARG, and PATH, which every base has. */
static bool is_ambient(const char *name) {
    return strcmp(name, "PATH") == 0 || bh_str_starts(name, "BUILDKIT_");
}

static bool is_arg(const struct build_scope *s, const char *name) {
    for (size_t i = 0; i < s->n_args; i++) {
        if (strcmp(s->args[i].name, name) == 0)
            return true;
    }
    return false;
}

static const char *nearest_variable(struct build_checker *c, const char *name) {
    const struct build_scope *s = &c->stage->scope;
    const char *best = NULL, *pair[2];

    for (size_t i = 0; i < s->n_args; i++) {
        pair[0] = best;
        pair[1] = s->args[i].name;
        best = best == NULL ? build_nearest(name, pair + 1, 1) : build_nearest(name, pair, 2);
    }
    for (size_t i = 0; i < s->env.n; i++) {
        const char *entry = s->env.v[i];
        char *key = bh_arena_strdup(c->arena, entry);

        if (key == NULL || strchr(key, '=') == NULL)
            continue;
        *strchr(key, '=') = '\0';
        pair[0] = best;
        pair[1] = key;
        best = best == NULL ? build_nearest(name, pair + 1, 1) : build_nearest(name, pair, 2);
    }
    return best;
}

/* "$name" or "${name" at s. */
static bool is_use(const char *s, const char *name, size_t n) {
    s += 1 + (s[1] == '{');
    return strncmp(s, name, n) == 0 && !isalnum((unsigned char)s[n]) && s[n] != '_';
}

/* Where the instruction uses a variable; its own place if that is not to be seen. */
static struct build_pos place_of(const struct build_checker *c, const char *name) {
    const struct build_notes *notes = c->notes;
    size_t n = strlen(name);

    for (uint32_t line = c->in->at.line; line <= c->in->last_line && line <= notes->n_lines; line++) {
        size_t from = notes->line_at[line - 1], to = notes->line_at[line];

        for (size_t i = from; i < to; i++) {
            if (notes->text[i] == '$' && is_use(notes->text + i, name, n))
                return (struct build_pos){line, (uint32_t)(i - from) + 1};
        }
    }
    return c->in->at;
}

/* One instruction says it once. */
static bool is_said(const struct build_checker *c, const char *message) {
    for (size_t i = c->first_note; i < c->notes->n; i++) {
        if (strcmp(c->notes->v[i].message, message) == 0)
            return true;
    }
    return false;
}

/* A name that the base image may have set is reported only when it looks like a slip. */
static void on_missed(void *user, const char *name) {
    struct build_checker *c = user;
    bool variable = isalpha((unsigned char)name[0]) || name[0] == '_';
    char message[300];
    const char *near;

    if (!variable || is_ambient(name) || is_arg(&c->stage->scope, name))
        return;
    near = nearest_variable(c, name);
    snprintf(message, sizeof message, "Usage of undefined variable '$%.200s'", name);
    if ((near == NULL && !c->stage->env_known) || is_said(c, message))
        return;
    build_check_warn(c, BUILD_CHECK_UndefinedVar, place_of(c, name), strlen(name) + 1, near, "%s", message);
}

/* --- instructions -------------------------------------------------------------------------------- */

static void enter(struct build_checker *c, const struct build_instruction *in) {
    c->in = in;
    c->first_note = c->notes->n;
    c->here = c->rules;
    build_rules_comments(&in->comments, &c->here);
}

/* err says where in front of what: "line 2: failed to ..". */
static void tell_syntax(struct build_checker *c, const struct build_instruction *in, const struct bh_err *err) {
    const char *what = bh_str_starts(err->msg, "line ") ? strstr(err->msg, ": ") : NULL;

    build_note_add(c->notes, BUILD_ERROR, BUILD_VARIABLE_SYNTAX, in->at, strlen(build_op_name(in->op)), "%s",
                   what != NULL ? what + 2 : err->msg);
}

/* BH_E_LIMIT.  Words that cannot be read are errors of the file; what depends on values is for the build to tell. */
static int follow(struct build_checker *c, const struct build_instruction *in, struct bh_err *err) {
    struct build_scope *s = &c->stage->scope;
    struct bh_err own = BH_ERR_INIT;
    struct build_instruction copy;
    int rc;

    enter(c, in);
    check_case(c, in);
    build_check_written(c, in);
    if (in->op == BUILD_ARG) {
        rc = build_scope_declare(s, in, &own);
    } else {
        rc = build_instruction_expand(in, s, &copy, &own);
        if (rc == 0)
            build_check_expanded(c, &copy);
        if (rc == 0 && in->op == BUILD_ENV)
            rc = build_scope_set_env(s, &copy, &own);
    }
    if (rc != 0 && strcmp(own.reason, BUILD_VARIABLE_SYNTAX) == 0)
        tell_syntax(c, in, &own);
    if (rc != BH_E_LIMIT)
        return 0;
    *err = own;
    return rc;
}

/* --- stages -------------------------------------------------------------------------------------- */

/* A stage begins as the stage or image below it ended. */
static void begin_stage(struct build_checker *c, const struct build_stage *stage, const char *base) {
    struct build_check_stage *now = c->stage = &c->stages[stage->index];
    long below = base != NULL ? build_recipe_stage(c->r, base, stage->index, false) : -1;
    const struct bh_strlist *env = c->input->image_env != NULL ? c->input->image_env[stage->index] : NULL;

    if (below >= 0) {
        *now = c->stages[below];
        memset(now->last, 0, sizeof now->last);
    } else {
        *now = (struct build_check_stage){.env_known = env != NULL || (base != NULL && strcmp(base, "scratch") == 0)};
        build_scope_init(&now->scope, &c->globals, env, c->arena);
    }
    now->scope.missed = on_missed;
    now->scope.missed_user = c;
}

static int check_stage(struct build_checker *c, const struct build_globals *defaults, const struct build_stage *stage,
                       struct bh_err *err) {
    enter(c, stage->from);
    check_case(c, stage->from);
    build_check_from(c, defaults, stage);
    build_check_description(c, stage->from);
    begin_stage(c, stage, build_check_base(c, stage));
    for (size_t k = 0; k < stage->n; k++) {
        if (follow(c, stage->v[k], err) != 0)
            return err->code;
    }
    return 0;
}

static void check_global_args(struct build_checker *c) {
    for (size_t i = 0; i < c->r->n_global_args; i++) {
        enter(c, c->r->global_args[i]);
        build_check_description(c, c->in);
    }
}

static void check_lines(struct build_checker *c) {
    c->here = c->rules;
    for (size_t i = 0; i < c->r->n_empty_lines; i++)
        build_check_warn(c, BUILD_CHECK_NoEmptyContinuation, c->r->empty_lines[i], 1, NULL, "Empty continuation line");
}

static bool read_rules(struct build_checker *c) {
    const char *bad = NULL;
    size_t n = 0;

    if (c->r->check.value == NULL || build_rules_read(c->r->check.value, &c->rules, &bad, &n))
        return true;
    build_note_hint(c->notes,
                    build_note_add(c->notes, BUILD_ERROR, "invalid-check", c->r->check.at, strlen(c->r->check.value),
                                   "invalid check option \"%.*s\"", (int)(n < 100 ? n : 100), bad),
                    "write # check=skip=NAME,NAME;error=true");
    return false;
}

int build_recipe_check(const struct build_recipe *r, const struct build_check_input *input, struct bh_arena *arena,
                       struct build_notes *notes, struct bh_err *err) {
    struct build_checker c = {.r = r, .input = input, .arena = arena, .notes = notes};
    struct build_inputs bare = *input->in;
    struct bh_err ignored = BH_ERR_INIT;
    struct build_globals defaults;
    bool has_defaults;

    if (!read_rules(&c))
        return 0;
    notes->warnings_fail = c.rules.fail;
    if (build_globals_init(&c.globals, r, input->in, arena, err) != 0)
        return err->code;
    bare.build_args = NULL;
    has_defaults = build_globals_init(&defaults, r, &bare, arena, &ignored) == 0;
    c.stages = bh_oci_alloc(arena, (r->n_stages + 1) * sizeof *c.stages, err);
    if (c.stages == NULL)
        return err->code;
    find_majority(&c);
    check_lines(&c);
    check_global_args(&c);
    for (size_t i = 0; i < r->n_stages; i++) {
        if (check_stage(&c, has_defaults ? &defaults : NULL, &r->stages[i], err) != 0)
            return err->code;
    }
    build_notes_sort(notes);
    return 0;
}
