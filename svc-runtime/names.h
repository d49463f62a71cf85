/*
 * names.h - names of containers: which are allowed, and one made up when none was given.
 *
 * Room: runtime.  Pure but for getrandom.
 */
#ifndef RT_NAMES_H
#define RT_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RT_NAME_MAX  255
#define RT_NAME_SIZE (RT_NAME_MAX + 1)

/* [a-zA-Z0-9][a-zA-Z0-9_.-]+ and at most RT_NAME_MAX bytes; a leading '/' is cut off, as docker does.
 * *out points into name. */
int rt_name_check(const char *name, const char **out, struct bh_err *err);
/* "brave_lovelace"; with attempt > 0 a digit is added, so that a full house still finds a name. */
void rt_name_random(char out[RT_NAME_SIZE], unsigned attempt);
/* The same from given numbers, for tests. */
void rt_name_make(char out[RT_NAME_SIZE], uint32_t a, uint32_t b, unsigned attempt);

#endif
