/*
 * dump.h - a parsed Dockerfile as text, for tables of tests: one line for each instruction.
 */
#ifndef TEST_BUILD_DUMP_H
#define TEST_BUILD_DUMP_H

#include "base/buf.h"
#include "svc-build/recipe.h"

/* "run sh|echo hi|", "copy from=a |x|y| -> |z|" */
void dump_instruction(const struct build_instruction *in, struct bh_buf *out);
/* All of a recipe; stages are parted by a line "stage 0 name". */
void dump_recipe(const struct build_recipe *r, struct bh_buf *out);
/* "line:column+length code (suggestion)" of each note. */
void dump_notes(const struct build_notes *notes, struct bh_buf *out);
/* The notes of that Dockerfile, as dump_notes has them, and the words of the first; message NULL: any. */
void expect_notes(const char *text, const struct build_notes *notes, const char *want, const char *message);

#endif
