/*
 * seccomp.h - a seccomp profile in docker's JSON form, as typed values.
 *
 * Room: worker (reads), store and runtime (what the worker made of it).  Pure.  Strict where docker is not: a member
 * that is not known is refused, because a misspelt "args" would silently open more than was meant. What depends on the
 * architecture is decided here, what depends on the container (capabilities) or on the kernel is not.
 */
#ifndef BH_OCI_SECCOMP_H
#define BH_OCI_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "oci/types.h"

#define BH_SECCOMP_TEXT_MAX  ((size_t)128 << 10) /* bytes of a profile; docker's own has 14 KiB */
#define BH_SECCOMP_RULES_MAX 2048
#define BH_SECCOMP_NAMES_MAX 16384 /* of system calls, in all rules together */
#define BH_SECCOMP_ARGS_MAX  6     /* as many as a system call has */
#define BH_SECCOMP_ERRNO_MAX 4095
#define BH_SECCOMP_EPERM     1 /* what runc and crun take when a profile names no number */

struct bh_seccomp_arg {
    uint32_t index;
    uint64_t value, value_two;
    const char *op; /* "SCMP_CMP_EQ" */
};

/* What a rule is bound to; all of it must hold (includes), or none of it may (excludes).  kernel: major << 16 | minor,
 * 0: not named. */
struct bh_seccomp_when {
    struct bh_strlist caps;
    uint32_t kernel;
};

struct bh_seccomp_rule {
    struct bh_strlist names;
    const char *action; /* "SCMP_ACT_ALLOW" */
    uint32_t errno_ret;
    struct bh_seccomp_arg *args;
    size_t n_args;
    struct bh_seccomp_when includes, excludes;
};

struct bh_seccomp {
    const char *action; /* of what no rule names */
    uint32_t errno_ret;
    struct bh_strlist arches; /* none: the native one */
    struct bh_strlist flags;
    struct bh_seccomp_rule *rules; /* those of other architectures are left out */
    size_t n_rules;
};

/* BH_E_INVALID or BH_E_LIMIT "seccomp profile: syscalls[3].action: ..".  Strings live in the arena. */
int bh_seccomp_parse(const void *text, size_t n, struct bh_arena *arena, struct bh_seccomp *out, struct bh_err *err);

/* It lets the system call happen (also when somebody is told of it). */
bool bh_seccomp_lets(const char *action);

/* Is the word one that a profile may hold in this place?  For rooms that do not believe the one before them. */
bool bh_seccomp_action_known(const char *action);
bool bh_seccomp_op_known(const char *op);
bool bh_seccomp_flag_known(const char *flag);
bool bh_seccomp_arch_known(const char *arch);
bool bh_seccomp_name_ok(const char *name); /* of a system call: letters, digits, '_' */

#endif
