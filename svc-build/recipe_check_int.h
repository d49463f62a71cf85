/*
 * recipe_check_int.h - what the files of the lint checks share: the stage that is followed, and how to warn.
 *
 * Room: build.  Private to recipe_check*.c.
 */
#ifndef BUILD_RECIPE_CHECK_INT_H
#define BUILD_RECIPE_CHECK_INT_H

#include "recipe_check.h"
#include "recipe_rules.h"

/* What a stage leaves to those built on it. */
struct build_check_stage {
    struct build_scope scope;
    bool env_known; /* of the base image */
    bool shell_set, workdir_set;
    const struct build_instruction *last[BUILD_OP_COUNT]; /* CMD, ENTRYPOINT, HEALTHCHECK of this stage */
};

struct build_checker {
    const struct build_recipe *r;
    const struct build_check_input *input;
    struct bh_arena *arena;
    struct build_notes *notes;
    struct build_rules rules; /* of the file */
    struct build_rules here;  /* with what the comments above the instruction say */
    struct build_globals globals;
    struct build_check_stage *stages;
    struct build_check_stage *stage; /* the one that is followed */
    const struct build_instruction *in;
    size_t first_note; /* of this instruction */
    bool lower;        /* most instructions are in lower case */
};

/* At n bytes from there on, if the check is on here.  suggestion may be NULL. */
void build_check_warn(struct build_checker *c, enum build_check check, struct build_pos at, size_t n,
                      const char *suggestion, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
bool build_is_lower(const char *s);
bool build_is_upper(const char *s);

/* recipe_check_from.c.  defaults: the values without any --build-arg; NULL: not known. */
void build_check_from(struct build_checker *c, const struct build_globals *defaults, const struct build_stage *stage);
/* What stands behind FROM; NULL: it cannot be expanded, which is an error and not for us. */
const char *build_check_base(struct build_checker *c, const struct build_stage *stage);

/* recipe_check_instr.c: an instruction as it is written, and with its variables replaced. */
void build_check_written(struct build_checker *c, const struct build_instruction *in);
void build_check_expanded(struct build_checker *c, const struct build_instruction *in);
/* "# name what it is" above a stage or an ARG. */
void build_check_description(struct build_checker *c, const struct build_instruction *in);

#endif
