/*
 * recipe_outline.h - what can be given to a build of one target: its arguments, as --call=outline shows them.
 *
 * Room: build.  Pure.
 */
#ifndef BUILD_RECIPE_OUTLINE_H
#define BUILD_RECIPE_OUTLINE_H

#include "recipe.h"
#include "recipe_expand.h"
#include "recipe_stages.h"

struct build_outline_arg {
    const char *name, *value, *description; /* "" if none */
    uint32_t line;
};
struct build_outline {
    struct build_outline_arg *v; /* by line, no name twice */
    size_t n, cap;
};

/* Of the target, of what it is built on and takes from.  An ARG in front of the first FROM counts when one of those
 * uses it; where a stage only takes it over, its own place counts. */
int build_outline_make(const struct build_recipe *r, const struct build_globals *g, const struct build_stages *stages,
                       struct bh_arena *arena, struct build_outline *out, struct bh_err *err);
/* What a comment "# NAME text" right above says; "". */
const char *build_outline_description(const struct build_words *comments, const char *name);

#endif
