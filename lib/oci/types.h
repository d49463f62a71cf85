/*
 * types.h - the small value types that manifests and configs are made of.
 *
 * Room: all that see images.  Everything pointed at belongs to the arena that the parser was given,
 * is NUL-terminated valid UTF-8 without NUL inside, and is never changed in place.
 */
#ifndef BH_OCI_TYPES_H
#define BH_OCI_TYPES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

/* A list that knows whether it was there: docker tells "Cmd": null from "Cmd": []. */
struct bh_strlist {
    bool present;
    size_t n;
    const char **v;
};

struct bh_pair {
    const char *key;
    const char *value;
};

/* Sorted by key (byte order), no key twice. */
struct bh_pairs {
    bool present;
    size_t n;
    struct bh_pair *v;
};

/* NULL if the key is not there. */
const char *bh_pairs_get(const struct bh_pairs *p, const char *key);
/* Insert or replace, keeping the order; key and value are copied into the arena. */
int bh_pairs_set(struct bh_pairs *p, struct bh_arena *arena, const char *key, const char *value, struct bh_err *err);
/* Append a copy. */
int bh_strlist_add(struct bh_strlist *l, struct bh_arena *arena, const char *s, struct bh_err *err);
/* Insert into a sorted list unless it is there (ExposedPorts, Volumes). */
int bh_strlist_add_sorted(struct bh_strlist *l, struct bh_arena *arena, const char *s, struct bh_err *err);
bool bh_strlist_has(const struct bh_strlist *l, const char *s);
/* Copy into the arena with the error set: "resource exhausted" names what. */
const char *bh_oci_strdup(struct bh_arena *arena, const char *s, size_t n, struct bh_err *err);
void *bh_oci_alloc(struct bh_arena *arena, size_t n, struct bh_err *err); /* zeroed */

#endif
