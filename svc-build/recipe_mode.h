/*
 * recipe_mode.h - the value of COPY --chmod and ADD --chmod.
 *
 * Room: build.  Pure.  "755", "0644", or clauses as of chmod(1): "u=rwX,go=rX", "+x", "g-w,o=g".
 */
#ifndef BUILD_RECIPE_MODE_H
#define BUILD_RECIPE_MODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define BUILD_MODE_STEPS_MAX 64

/* One "g-w" after the other. */
struct build_mode_step {
    uint16_t who;  /* bits of the mode that it may change */
    char op;       /* '+', '-', '=' */
    uint16_t perm; /* rwx in the lowest three bits */
    bool x_if_any; /* X */
    bool set_id, sticky;
    char copy; /* 'u', 'g', 'o': take perm from there; '\0' */
};

struct build_mode {
    bool absolute;
    uint16_t bits; /* absolute: the mode */
    struct build_mode_step steps[BUILD_MODE_STEPS_MAX];
    size_t n_steps;
};

/* BH_E_INVALID in docker's words, BH_E_LIMIT. */
int build_mode_parse(const char *text, struct build_mode *out, struct bh_err *err);
/* The mode (12 bits) of a file that had `old`. */
uint16_t build_mode_apply(const struct build_mode *mode, uint16_t old, bool is_dir);

#endif
