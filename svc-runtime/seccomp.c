/*
 * seccomp.c - see seccomp.h.
 *
 * Room: runtime.  Foreign: all of the profile.
 */
#include "svc-runtime/seccomp.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-runtime/caps.h"
#include "svc-runtime/spec_make.h"
#include "wire/seccomp_table.h"

uint32_t rt_seccomp_kernel(void) {
    unsigned major = 0, minor = 0;
    struct utsname u;

    if (uname(&u) != 0 || sscanf(u.release, "%5u.%5u", &major, &minor) != 2)
        return 0;
    return major << 16 | (minor & 0xffff);
}

/* ---- whose rule it is ----------------------------------------------------------------------------- */

static bool has_cap(const struct rt_spec *spec, const char *name) {
    int bit = -1;

    return bh_str_starts(name, "CAP_") && rt_cap_parse(name, &bit) && bit >= 0 && (spec->caps >> bit & 1) != 0;
}

static bool wanted(const struct bh_seccomp_rule *r, uint32_t kernel, const struct rt_spec *spec) {
    for (size_t i = 0; i < r->includes.caps.n; i++)
        if (!has_cap(spec, r->includes.caps.v[i]))
            return false;
    for (size_t i = 0; i < r->excludes.caps.n; i++)
        if (has_cap(spec, r->excludes.caps.v[i]))
            return false;
    return kernel >= r->includes.kernel && (r->excludes.kernel == 0 || kernel < r->excludes.kernel);
}

/* ---- what the default profile lets happen ----------------------------------------------------------- */

static bool in_list(const char *list, const char *name) {
    size_t n = strlen(name);

    for (const char *p = list; *p != 0; p += strcspn(p, " "), p += *p == ' ')
        if (strcspn(p, " ") == n && memcmp(p, name, n) == 0)
            return true;
    return false;
}

static bool free_call(const char *name, uint64_t caps) {
    if (in_list(seccomp_allowed, name))
        return true;
    for (size_t i = 0; i < BH_ARRAY_LEN(seccomp_with_cap); i++)
        if ((caps >> seccomp_with_cap[i].cap & 1) != 0 && in_list(seccomp_with_cap[i].calls, name))
            return true;
    return false;
}

/* The one condition that the default sets, or a value that it lets through. */
static bool bound_call(const char *name, const struct bh_seccomp_rule *r) {
    const struct bh_seccomp_arg *a = r->args;

    for (size_t i = 0; r->n_args == 1 && i < BH_ARRAY_LEN(seccomp_with_arg); i++)
        if (strcmp(seccomp_with_arg[i].call, name) == 0 && a->index == 0 && a->value == seccomp_with_arg[i].value &&
            a->value_two == 0 && strcmp(a->op, seccomp_with_arg[i].op) == 0)
            return true;
    return false;
}

static int denied(const char *what, struct bh_err *err) {
    bh_err_set(err, BH_E_DENIED,
               "--security-opt seccomp: the profile lets %s happen, which the default profile does not: that is for "
               "administrators",
               what);
    bh_err_reason(err, "administrator-only");
    return bh_err_hint(err, "leave it out of the profile, or ask an administrator of this engine");
}

static int check_rule(const struct bh_seccomp_rule *r, uint64_t caps, struct bh_err *err) {
    char what[120];

    if (!bh_seccomp_lets(r->action))
        return 0;
    for (size_t i = 0; i < r->names.n; i++) {
        if (free_call(r->names.v[i], caps) || bound_call(r->names.v[i], r))
            continue;
        snprintf(what, sizeof what, "\"%.64s\"%s", r->names.v[i], r->n_args > 0 ? " with these arguments" : "");
        return denied(what, err);
    }
    return 0;
}

static int check_right(const struct bh_seccomp *p, uint32_t kernel, const struct rt_spec *spec, struct bh_err *err) {
    if (bh_seccomp_lets(p->action))
        return denied("whatever it does not name", err);
    for (size_t i = 0; i < p->flags.n; i++)
        if (strcmp(p->flags.v[i], "SECCOMP_FILTER_FLAG_SPEC_ALLOW") == 0)
            return denied("speculation (SPEC_ALLOW)", err);
    for (size_t i = 0; i < p->n_rules; i++)
        if (wanted(&p->rules[i], kernel, spec) && check_rule(&p->rules[i], spec->caps, err) != 0)
            return err->code;
    return 0;
}

/* ---- once more, because a worker said so ------------------------------------------------------------- */

static bool all_known(const struct bh_strlist *list, bool (*known)(const char *)) {
    for (size_t i = 0; i < list->n; i++)
        if (!known(list->v[i]))
            return false;
    return true;
}

static bool rule_ok(const struct bh_seccomp_rule *r) {
    for (size_t i = 0; i < r->n_args && r->n_args <= RT_MAX_SECCOMP_ARGS; i++)
        if (r->args[i].index >= RT_MAX_SECCOMP_ARGS || !bh_seccomp_op_known(r->args[i].op))
            return false;
    return r->names.n > 0 && r->n_args <= RT_MAX_SECCOMP_ARGS && r->errno_ret <= BH_SECCOMP_ERRNO_MAX &&
           all_known(&r->names, bh_seccomp_name_ok) && bh_seccomp_action_known(r->action);
}

static int check_words(const struct bh_seccomp *p, struct bh_err *err) {
    bool ok = bh_seccomp_action_known(p->action) && p->errno_ret <= BH_SECCOMP_ERRNO_MAX &&
              p->n_rules <= RT_MAX_SECCOMP_RULES && all_known(&p->arches, bh_seccomp_arch_known) &&
              all_known(&p->flags, bh_seccomp_flag_known);

    for (size_t i = 0; ok && i < p->n_rules; i++)
        ok = rule_ok(&p->rules[i]);
    return ok ? 0 : bh_err_set(err, BH_E_INTERNAL, "seccomp profile: what was read of it cannot be");
}

/* ---- into the specification ----------------------------------------------------------------------------- */

static int rule_of(const struct bh_seccomp_rule *r, struct bh_arena *arena, struct rt_seccomp_rule *out,
                   struct bh_err *err) {
    out->args = bh_oci_alloc(arena, (r->n_args + 1) * sizeof *out->args, err);
    if (out->args == NULL || rt_strings_of(&r->names, arena, &out->names, err) != 0)
        return err->code;
    for (size_t i = 0; i < r->n_args; i++)
        out->args[i] = (struct rt_seccomp_arg){.index = r->args[i].index,
                                               .value = r->args[i].value,
                                               .value_two = r->args[i].value_two,
                                               .op = (char *)r->args[i].op};
    out->n_args = (uint32_t)r->n_args;
    out->action = (char *)r->action;
    out->errno_ret = r->errno_ret;
    return 0;
}

/* The filter of an exec session is set by another program than that of the container. */
static uint32_t filter_flags(const struct bh_strlist *names) {
    uint32_t flags = names->n > 0 ? RT_FILTER_STRICT : 0;

    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->v[i], "SECCOMP_FILTER_FLAG_SPEC_ALLOW") == 0)
            flags &= ~(uint32_t)RT_FILTER_STRICT;
        if (strcmp(names->v[i], "SECCOMP_FILTER_FLAG_LOG") == 0)
            flags |= RT_FILTER_LOG;
    }
    return flags;
}

int rt_seccomp_apply(const struct rt_caller *who, const struct bh_seccomp *p, uint32_t kernel, struct bh_arena *arena,
                     struct rt_spec *spec, struct bh_err *err) {
    struct rt_seccomp out = {.action = (char *)p->action, .errno_ret = p->errno_ret};

    if (check_words(p, err) != 0 || (!who->admin && check_right(p, kernel, spec, err) != 0) ||
        (who->admin && rt_strings_of(&p->arches, arena, &out.arches, err) != 0) ||
        rt_strings_of(&p->flags, arena, &out.flags, err) != 0)
        return err->code;
    out.rules = bh_oci_alloc(arena, (p->n_rules + 1) * sizeof *out.rules, err);
    if (out.rules == NULL)
        return err->code;
    for (size_t i = 0; i < p->n_rules; i++)
        if (wanted(&p->rules[i], kernel, spec) && rule_of(&p->rules[i], arena, &out.rules[out.n_rules++], err) != 0)
            return err->code;
    spec->seccomp = out;
    spec->flags |= filter_flags(&p->flags);
    return 0;
}
