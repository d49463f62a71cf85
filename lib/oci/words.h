/*
 * words.h - words, quotes and variables by the rules of a Dockerfile.
 *
 * Room: where instructions are read (store, runtime, build).  Pure.  The text is a user's: output is
 * capped, nesting too.  Single quotes take everything as it is; in double quotes a backslash quotes
 * only ", $ and itself; $name, ${name}, ${name:-w} ${name-w} ${name:+w} ${name+w} ${name:?e} ${name?e}
 * are replaced, positional and special parameters are empty.
 */
#ifndef BH_OCI_WORDS_H
#define BH_OCI_WORDS_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/types.h"

#define BH_WORDS_MAX ((size_t)1 << 20) /* bytes of an expanded word */

/* Split at blanks outside quotes; the words keep their quotes and backslashes. */
int bh_words_split(const char *text, struct bh_arena *arena, struct bh_strlist *out, struct bh_err *err);
/* Remove quotes and replace variables by their value in env (KEY=value entries). */
int bh_words_expand(const char *word, const struct bh_strlist *env, struct bh_arena *arena, const char **out,
                    struct bh_err *err);

#endif
