/*
 * recipe_subst.h - the patterns of ${v#p}, ${v%p} and ${v/p/r}.
 *
 * Room: build, recipe_*.c alone.  Pure.  '*' is any text, '?' one character, a backslash quotes '*', '?', '\', and
 * '}' and '/'.  Both texts are a user's; the work is counted and has a ceiling.
 */
#ifndef BUILD_RECIPE_SUBST_H
#define BUILD_RECIPE_SUBST_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* value without the shortest (longest) part at its start (end) that matches. */
int build_subst_trim(const char *value, const char *pattern, bool suffix, bool longest, struct bh_buf *out,
                     struct bh_err *err);
/* value with the first longest match (all of them) replaced. */
int build_subst_replace(const char *value, const char *pattern, const char *by, bool all, struct bh_buf *out,
                        struct bh_err *err);

#endif
