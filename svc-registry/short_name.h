/*
 * short_name.h - what a user wrote -> the repository that is meant: an alias, or one of the search registries in order.
 *
 * Room: registry.  Nobody is ever asked which one was meant: names that are taken from somewhere are looked for at one
 * registry after the other, names that go somewhere mean the first.  Rules: docs/man/bulkheadd.8.scd, "REGISTRIES".
 */
#ifndef REG_SHORT_NAME_H
#define REG_SHORT_NAME_H

#include "oci/ref.h"
#include "svc-registry/conf.h"

#define REG_MAX_SEARCH 20 /* of unqualified-search-registries */

bool reg_has_domain(const char *text); /* does it begin with a host? */

/* All that a name may mean, in the order to try; one, unless it is a short name without an alias and there are several
 * search registries.  Each has a place, terms and credentials of its own. */
struct reg_meanings {
    struct bh_ref v[REG_MAX_SEARCH];
    size_t n;
    char note[256]; /* "" or one line on what was decided */
};
/* BH_E_INVALID: also a short name with more than one meaning while short-name-mode is enforcing. */
int reg_meanings_of(const struct reg_conf *conf, const char *text, struct reg_meanings *out, struct bh_err *err);
/* The first of them. */
int reg_complete(const struct reg_conf *conf, const char *text, struct bh_ref *out, char out_note[256],
                 struct bh_err *err);

/* Is this failure a reason to ask the next registry?  It does not have the name, does not let the caller see it, is not
 * allowed, or cannot be reached now. */
bool reg_meaning_next(const struct bh_err *err);
/* Asks for one meaning after the other until one is found; out_found (false before the call) is set when the name is
 * there, so that a failure is one of what it means.  *out_i, may be NULL: which.  After the last the error names every
 * registry that was tried, and why. */
typedef int reg_with_meaning(void *arg, const struct bh_ref *ref, bool *out_found, struct bh_err *err);
int reg_each_meaning(const struct reg_meanings *m, reg_with_meaning *ask, void *arg, size_t *out_i, struct bh_err *err);

#endif
