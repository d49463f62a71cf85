/*
 * pattern.h - one pattern over paths, by the rules of .dockerignore.
 *
 * Room: client and build.  Pure.  '*' and '?' stop at '/', '**' does not, [a-z] [^a-z] are classes, a
 * backslash quotes.  A pattern without wildcards is a path.  It comes from a user: matching takes at most
 * length(pattern) x length(path) steps.  COPY --exclude and --parents use it too; a plain COPY source goes
 * by bh_glob_match of oci/ref.h, which knows no '**'.
 */
#ifndef BH_IGNORE_PATTERN_H
#define BH_IGNORE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define BH_PATTERN_MAX 4096 /* bytes of a pattern */

struct bh_pattern; /* compiled; may be used by several threads at once */

/* text is one that bh_path_clean made.  BH_E_INVALID (reason "invalid-pattern") if malformed, BH_E_LIMIT. */
int bh_pattern_new(const char *text, struct bh_pattern **out, struct bh_err *err);
void bh_pattern_free(struct bh_pattern *p);
const char *bh_pattern_text(const struct bh_pattern *p);

/* path: relative, clean, without a slash at either end. */
bool bh_pattern_match(const struct bh_pattern *p, const char *path);
/* Does it match the path or a folder above it? */
bool bh_pattern_match_above(const struct bh_pattern *p, const char *path);
/* Could it match anything below this folder?  "": the root. */
bool bh_pattern_may_match_below(const struct bh_pattern *p, const char *dir);

/* Remove "." and empty elements and resolve ".." in place, as Go's path.Clean: "a//b/../c/" -> "a/c", "" -> ".".
 * text has room for two bytes. */
void bh_path_clean(char *text);

#endif
