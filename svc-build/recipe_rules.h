/*
 * recipe_rules.h - which lint checks are on, for a file or one instruction.
 *
 * Room: build, recipe_*.c alone.  Pure.
 */
#ifndef BUILD_RECIPE_RULES_H
#define BUILD_RECIPE_RULES_H

#include "recipe_check.h"

struct build_rules {
    bool skip[BUILD_CHECK_COUNT];
    bool experimental[BUILD_CHECK_COUNT];
    bool fail; /* error=true */
};

/* Add what a `check` value says; false: *out_bad is the option that is not understood. */
bool build_rules_read(const char *text, struct build_rules *rules, const char **out_bad, size_t *out_bad_len);
/* Add what "check=..." comments above an instruction say. */
void build_rules_comments(const struct build_words *comments, struct build_rules *rules);
bool build_rules_on(const struct build_rules *rules, enum build_check check);
const char *build_check_name(enum build_check check);

#endif
