/*
 * recipe_check_from.c - the checks of FROM: names of stages, platforms, arguments.
 *
 * Room: build.  Pure.
 */
#include "recipe_check_int.h"

#include <string.h>

#include "oci/platform.h"
#include "oci/ref.h"

static void check_stage_name(struct build_checker *c, const struct build_stage *stage) {
    const struct build_instruction *in = stage->from;
    const struct build_word *name = &in->from.name;
    bool lower = build_is_lower(in->name);

    if (name->s == NULL)
        return;
    if (!build_is_lower(name->s))
        build_check_warn(c, BUILD_CHECK_StageNameCasing, name->at, name->length, NULL,
                         "Stage name '%s' should be lowercase", name->s);
    if ((lower || build_is_upper(in->name)) &&
        (lower ? !build_is_lower(in->from.as.s) : !build_is_upper(in->from.as.s)))
        build_check_warn(c, BUILD_CHECK_FromAsCasing, in->from.as.at, in->from.as.length, NULL,
                         "'%s' and '%s' keywords' casing do not match", in->from.as.s, in->name);
    if (strcmp(stage->name, "scratch") == 0 || strcmp(stage->name, "context") == 0)
        build_check_warn(c, BUILD_CHECK_ReservedStageName, name->at, name->length, NULL,
                         "Stage name should not use the same name as reserved stage \"%s\"", stage->name);
    for (size_t i = 0; i < stage->index; i++) {
        if (strcmp(c->r->stages[i].name, stage->name) == 0) {
            build_check_warn(c, BUILD_CHECK_DuplicateStageName, name->at, name->length, NULL,
                             "Duplicate stage name \"%s\", stage names should be unique", stage->name);
            break;
        }
    }
}

/* Uses of variables in a word of a FROM. */
struct from_uses {
    struct build_checker *c;
    const struct build_word *word;
    size_t matched, missed;
    bool target_platform;
};

static bool is_declared(const struct build_globals *g, const char *name) {
    for (size_t i = 0; i < g->n; i++) {
        if (strcmp(g->v[i].name, name) == 0)
            return true;
    }
    return false;
}

static const char *nearest_global(struct build_checker *c, const char *name) {
    const char *best = NULL;

    for (size_t i = 0; i < c->globals.n; i++) {
        const char *const pair[] = {best, c->globals.v[i].name};

        best = best == NULL ? build_nearest(name, pair + 1, 1) : build_nearest(name, pair, 2);
    }
    return best;
}

static const char *use_global(void *user, const char *name) {
    struct from_uses *uses = user;
    struct build_checker *c = uses->c;
    const char *value = build_globals_get(&c->globals, name);

    if (value != NULL) {
        uses->matched++;
        uses->target_platform = uses->target_platform || strcmp(name, "TARGETPLATFORM") == 0;
        return value;
    }
    uses->missed++;
    if (!is_declared(&c->globals, name))
        build_check_warn(c, BUILD_CHECK_UndefinedArgInFrom, uses->word->at, uses->word->length, nearest_global(c, name),
                         "FROM argument '%s' is not declared", name);
    return NULL;
}

/* NULL: it cannot be expanded, which is an error and not for us. */
static const char *expand_from(struct build_checker *c, const struct build_word *word, struct from_uses *uses) {
    struct build_expand x = {.escape = c->r->escape, .lookup = use_global, .user = uses, .arena = c->arena};
    struct bh_err ignored = BH_ERR_INIT;
    const char *out;

    *uses = (struct from_uses){.c = c, .word = word};
    return build_expand_word(&x, word->s, &out, &ignored) == 0 ? out : NULL;
}

static void check_platform(struct build_checker *c, const struct build_stage *stage) {
    const struct build_word *word = &stage->from->from.platform;
    struct bh_err ignored = BH_ERR_INIT;
    struct from_uses uses;
    struct bh_platform p;
    const char *text;

    if (word->s == NULL)
        return;
    text = expand_from(c, word, &uses);
    if (text == NULL)
        return;
    if (uses.matched == 1 && uses.missed == 0 && uses.target_platform &&
        strcmp(text, build_globals_get(&c->globals, "TARGETPLATFORM")) == 0)
        build_check_warn(c, BUILD_CHECK_RedundantTargetPlatform, word->at, word->length, NULL,
                         "Setting platform to predefined %s in FROM is redundant as this is the default behavior",
                         word->s);
    if (uses.matched + uses.missed == 0 && bh_platform_parse(text, &p, &ignored) == 0 &&
        strstr(stage->name, p.os) == NULL && strstr(stage->name, p.arch) == NULL)
        build_check_warn(c, BUILD_CHECK_FromPlatformFlagConstDisallowed, word->at, word->length, NULL,
                         "FROM --platform flag should not use constant value \"%s\"", text);
}

static const char *look_up_default(void *user, const char *name) {
    return build_globals_get(user, name);
}

/* Without any --build-arg the name of the base must be one. */
static void check_defaults(struct build_checker *c, const struct build_globals *defaults,
                           const struct build_stage *stage) {
    const struct build_word *word = &stage->from->from.base;
    struct build_expand x = {
        .escape = c->r->escape, .lookup = look_up_default, .user = (void *)defaults, .arena = c->arena};
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_ref ref;
    const char *name;

    if (strchr(word->s, '$') == NULL || build_expand_word(&x, word->s, &name, &ignored) != 0)
        return;
    if (bh_ref_parse(name, &ref, &ignored) != 0)
        build_check_warn(c, BUILD_CHECK_InvalidDefaultArgInFrom, word->at, word->length, NULL,
                         "Default value for ARG %s results in empty or invalid base image name", word->s);
}

void build_check_from(struct build_checker *c, const struct build_globals *defaults, const struct build_stage *stage) {
    check_stage_name(c, stage);
    check_platform(c, stage);
    if (defaults != NULL)
        check_defaults(c, defaults, stage);
}

const char *build_check_base(struct build_checker *c, const struct build_stage *stage) {
    struct from_uses uses;

    return expand_from(c, &stage->from->from.base, &uses);
}
