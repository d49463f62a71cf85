/*
 * lookup.h - user, groups and home of a container's process out of its own passwd and group files.
 *
 * Room: a child of launch that has nothing but the container's own rights.  Both texts are the
 * image's.  The rules are docker's (GetExecUser): a number needs no entry, a name does; groups that
 * list the user are added unless a group was given.
 */
#ifndef RLS_LOOKUP_H
#define RLS_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/spec.h"

struct lnc_user {
    int32_t code; /* 0, or BH_E_INVALID with msg */
    uint32_t uid, gid, n_groups;
    uint32_t groups[256];
    char home[1024]; /* absolute */
    char msg[256];
};

/* user: "", "name", "uid", "name:group", "uid:gid"; add: names or numbers, may be NULL. */
void lnc_lookup_in(const char *passwd, size_t n_passwd, const char *group, size_t n_group, const char *user,
                   const struct rt_strings *add, struct lnc_user *out);

/* The same out of /etc/passwd and /etc/group of the root that it is in: regular files only, the first MiB of each,
 * 2 s at most.  arg: struct rt_spec; out: struct lnc_user. */
int lnc_lookup_work(const void *arg, void *out, struct bh_err *err);

#endif
