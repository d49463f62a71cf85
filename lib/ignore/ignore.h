/*
 * ignore.h - .dockerignore: which paths of a context are left out.
 *
 * Room: client (walks the context) and build (COPY, lint).  Pure.  A file of lines: '#' in column 1 is a
 * comment, blanks around a line are dropped, '!' takes paths back in, the last line that matches decides.
 * A folder that matches covers what is below it; a later '!' line takes single files below it back.
 * There is no difference between files and folders, and a pattern without a slash matches at the root only:
 * these are not the rules of .gitignore.  The text is a user's: size, lines and the cost of a match have limits.
 */
#ifndef BH_IGNORE_IGNORE_H
#define BH_IGNORE_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "ignore/pattern.h"

#define BH_IGNORE_FILE_MAX  ((size_t)1 << 20)
#define BH_IGNORE_LINES_MAX 10000 /* patterns */

struct bh_ignore; /* compiled; never changed, may be used by several threads at once */

/* text[0..n): the file.  what names it in errors, which have its line.  An empty file gives a matcher that
 * leaves nothing out.  BH_E_INVALID (reason "invalid-pattern"), BH_E_LIMIT. */
int bh_ignore_parse(const char *text, size_t n, const char *what, struct bh_ignore **out, struct bh_err *err);
/* A list of patterns, as COPY --exclude gives them. */
int bh_ignore_new(const char *const *patterns, size_t n, const char *what, struct bh_ignore **out, struct bh_err *err);
void bh_ignore_free(struct bh_ignore *ig); /* NULL is allowed */
#define BH_SCOPE_IGNORE __attribute__((cleanup(bh_scope_ignore)))
void bh_scope_ignore(struct bh_ignore **ig);

size_t bh_ignore_count(const struct bh_ignore *ig); /* patterns */
bool bh_ignore_has_negations(const struct bh_ignore *ig);

/* Is the path left out?  It is relative to the context, clean, without a slash at either end; "" and "." never are. */
bool bh_ignore_match(const struct bh_ignore *ig, const char *path);
/* For a folder that is left out: is everything below it left out too, so that a walk need not enter it? */
bool bh_ignore_prunes(const struct bh_ignore *ig, const char *dir);
/* Is everything at the root left out by one plain line ("*", "**")? */
bool bh_ignore_hides_root(const struct bh_ignore *ig);

/* The same question in a walk, without asking again for the folders above: `above` is what the call for the
 * folder wrote to `here` (NULL at the root); each is bh_ignore_count() bytes, here may be NULL. */
bool bh_ignore_walk(const struct bh_ignore *ig, const char *path, const unsigned char *above, unsigned char *here);

#endif
