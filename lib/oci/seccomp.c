/*
 * seccomp.c - see seccomp.h.  Owns the reading of seccomp profiles.
 * Room: the worker, on a user's bytes; the small tests of words also in store and runtime.
 * Trusts nothing.  Must refuse what crun or runc would take for something else, or would quietly leave out.
 */
#include "oci/seccomp.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/json.h"

#define WHAT     "seccomp profile"
#define NAME_MAX 64

#if defined(__x86_64__)
#define NATIVE "SCMP_ARCH_X86_64"
static const char *const go_names[] = {"amd64", NULL};
#elif defined(__aarch64__)
#define NATIVE "SCMP_ARCH_AARCH64"
static const char *const go_names[] = {"arm64", NULL};
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE "SCMP_ARCH_RISCV64"
static const char *const go_names[] = {"riscv64", NULL};
#elif defined(__powerpc64__)
#define NATIVE "SCMP_ARCH_PPC64LE"
static const char *const go_names[] = {"ppc64le", NULL};
#elif defined(__s390x__)
#define NATIVE "SCMP_ARCH_S390X"
static const char *const go_names[] = {"s390x", NULL};
#else
#define NATIVE ""
static const char *const go_names[] = {NULL};
#endif

static const char *const actions[] = {"SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
                                      "SCMP_ACT_TRAP",  "SCMP_ACT_ERRNO",        "SCMP_ACT_TRACE",
                                      "SCMP_ACT_ALLOW", "SCMP_ACT_LOG",          NULL};
static const char *const ops[] = {"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",        "SCMP_CMP_EQ",
                                  "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ", NULL};
static const char *const flag_names[] = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                                         "SECCOMP_FILTER_FLAG_SPEC_ALLOW", NULL};
static const char *const arches[] = {"SCMP_ARCH_X86",      "SCMP_ARCH_X86_64",      "SCMP_ARCH_X32",
                                     "SCMP_ARCH_ARM",      "SCMP_ARCH_AARCH64",     "SCMP_ARCH_MIPS",
                                     "SCMP_ARCH_MIPS64",   "SCMP_ARCH_MIPS64N32",   "SCMP_ARCH_MIPSEL",
                                     "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_PPC",         "SCMP_ARCH_PPC64",
                                     "SCMP_ARCH_PPC64LE",  "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_S390",
                                     "SCMP_ARCH_S390X",    "SCMP_ARCH_RISCV64",     "SCMP_ARCH_PARISC",
                                     "SCMP_ARCH_PARISC64", "SCMP_ARCH_LOONGARCH64", NULL};

static bool is_in(const char *const *list, const char *word) {
    for (; *list != NULL; list++)
        if (strcmp(*list, word) == 0)
            return true;
    return false;
}

bool bh_seccomp_action_known(const char *action) {
    return is_in(actions, action);
}

bool bh_seccomp_op_known(const char *op) {
    return is_in(ops, op);
}

bool bh_seccomp_flag_known(const char *flag) {
    return is_in(flag_names, flag);
}

bool bh_seccomp_arch_known(const char *arch) {
    return is_in(arches, arch);
}

bool bh_seccomp_name_ok(const char *name) {
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    return n > 0 && n <= NAME_MAX && name[n] == '\0';
}

bool bh_seccomp_lets(const char *action) {
    return strcmp(action, "SCMP_ACT_ALLOW") == 0 || strcmp(action, "SCMP_ACT_LOG") == 0 ||
           strcmp(action, "SCMP_ACT_TRACE") == 0;
}

/* A member that must be one of the words. */
static int word(const struct bh_json_at *at, const char *key, bool (*known)(const char *), struct bh_arena *arena,
                const char **out, struct bh_err *err) {
    if (bh_json_str(at, key, BH_TEXT_LINE, arena, out, err) != 0)
        return err->code;
    if (**out == '\0')
        return bh_json_fail(at, err, "\"%s\" is missing", key);
    if (known(*out))
        return 0;
    if (strcmp(*out, "SCMP_ACT_NOTIFY") == 0)
        return bh_json_fail(at, err, "%s: SCMP_ACT_NOTIFY needs a seccomp agent, which this engine has not", key);
    return bh_json_fail(at, err, "%s: \"%.64s\" is not known", key, *out);
}

static int words(const struct bh_json_at *at, const char *key, bool (*known)(const char *), struct bh_arena *arena,
                 struct bh_strlist *out, struct bh_err *err) {
    if (bh_json_strlist(at, key, BH_TEXT_LINE, 64, arena, out, err) != 0)
        return err->code;
    for (size_t i = 0; i < out->n; i++)
        if (!known(out->v[i]))
            return bh_json_fail(at, err, "%s[%zu]: \"%.64s\" is not known", key, i, out->v[i]);
    return 0;
}

/* Absent: EPERM, as the OCI runtimes take it. */
static int errno_of(const struct bh_json_at *at, const char *key, uint32_t *out, struct bh_err *err) {
    struct bh_json_at m;
    uint64_t n = BH_SECCOMP_EPERM;

    if (bh_json_member(at, key, &m) && bh_json_u64(at, key, true, BH_SECCOMP_ERRNO_MAX, &n, err) != 0)
        return err->code;
    *out = (uint32_t)n;
    return 0;
}

/* ---- one rule ----------------------------------------------------------------------------------- */

static int parse_kernel(const struct bh_json_at *at, struct bh_arena *arena, uint32_t *out, struct bh_err *err) {
    const char *text, *rest;
    uint64_t major = 0, minor = 0;

    if (bh_json_str(at, "minKernel", BH_TEXT_LINE, arena, &text, err) != 0 || *text == '\0')
        return err->code;
    rest = strchr(text, '.');
    if (rest != NULL) {
        char head[8];

        if ((size_t)(rest - text) < sizeof head) {
            memcpy(head, text, (size_t)(rest - text));
            head[rest - text] = '\0';
            if (bh_str_u64(head, &major) && bh_str_u64(rest + 1, &minor) && major > 0 && major < 1000 && minor < 1000) {
                *out = (uint32_t)(major << 16 | minor);
                return 0;
            }
        }
    }
    return bh_json_fail(at, err, "minKernel: \"%.32s\" is not of the form 4.8", text);
}

/* *fits: it is (includes), or is not (excludes), about this architecture. */
static int parse_when(const struct bh_json_at *rule, bool includes, struct bh_arena *arena, struct bh_seccomp_when *out,
                      bool *fits, struct bh_err *err) {
    static const char *const known[] = {"caps", "arches", "minKernel", NULL};
    struct bh_strlist named = {0};
    struct bh_json_at at;
    bool here = false;

    if (!bh_json_member(rule, includes ? "includes" : "excludes", &at))
        return 0;
    if (bh_json_need_object(&at, err) != 0 || bh_json_check_keys(&at, known, true, err) != 0 ||
        bh_json_strlist(&at, "caps", BH_TEXT_LINE, 64, arena, &out->caps, err) != 0 ||
        bh_json_strlist(&at, "arches", BH_TEXT_LINE, 64, arena, &named, err) != 0 ||
        parse_kernel(&at, arena, &out->kernel, err) != 0)
        return err->code;
    for (size_t i = 0; i < named.n; i++)
        here = here || is_in(go_names, named.v[i]);
    if (named.n > 0 && here != includes)
        *fits = false;
    return 0;
}

static int parse_arg(const struct bh_json_at *at, struct bh_arena *arena, struct bh_seccomp_arg *out,
                     struct bh_err *err) {
    static const char *const known[] = {"index", "value", "valueTwo", "op", NULL};
    uint64_t index = 0;

    if (bh_json_need_object(at, err) != 0 || bh_json_check_keys(at, known, true, err) != 0 ||
        bh_json_u64(at, "index", true, BH_SECCOMP_ARGS_MAX - 1, &index, err) != 0 ||
        bh_json_u64(at, "value", true, UINT64_MAX, &out->value, err) != 0 ||
        bh_json_u64(at, "valueTwo", false, UINT64_MAX, &out->value_two, err) != 0 ||
        word(at, "op", bh_seccomp_op_known, arena, &out->op, err) != 0)
        return err->code;
    out->index = (uint32_t)index;
    return 0;
}

static int parse_args(const struct bh_json_at *rule, struct bh_arena *arena, struct bh_seccomp_rule *out,
                      struct bh_err *err) {
    struct bh_json_at at;

    if (!bh_json_member(rule, "args", &at))
        return 0;
    if (bh_json_need_array(&at, BH_SECCOMP_ARGS_MAX, "of arguments", err) != 0)
        return err->code;
    out->n_args = json_array_size(at.v);
    out->args = bh_oci_alloc(arena, (out->n_args + 1) * sizeof *out->args, err);
    if (out->args == NULL)
        return err->code;
    for (size_t i = 0; i < out->n_args; i++) {
        struct bh_json_at e = bh_json_element(&at, i);

        if (parse_arg(&e, arena, &out->args[i], err) != 0)
            return err->code;
    }
    return 0;
}

/* "names", or docker's older "name". */
static int parse_names(const struct bh_json_at *at, struct bh_arena *arena, struct bh_strlist *out,
                       struct bh_err *err) {
    const char *one;

    if (bh_json_str(at, "name", BH_TEXT_LINE, arena, &one, err) != 0 ||
        bh_json_strlist(at, "names", BH_TEXT_LINE, BH_SECCOMP_NAMES_MAX, arena, out, err) != 0)
        return err->code;
    if (*one != '\0' && out->n > 0)
        return bh_json_fail(at, err, "it has both \"name\" and \"names\": use one of them");
    if (*one != '\0' && bh_strlist_add(out, arena, one, err) != 0)
        return err->code;
    if (out->n == 0)
        return bh_json_fail(at, err, "\"names\" is missing: the rule is about no system call");
    for (size_t i = 0; i < out->n; i++)
        if (!bh_seccomp_name_ok(out->v[i]))
            return bh_json_fail(at, err, "names[%zu]: \"%.64s\" is no name of a system call", i, out->v[i]);
    return 0;
}

static int parse_rule(const struct bh_json_at *at, struct bh_arena *arena, struct bh_seccomp_rule *out, bool *fits,
                      struct bh_err *err) {
    /* podman's own profile has "errno", the number's name, beside "errnoRet" */
    static const char *const known[] = {"names", "name",    "action",   "errnoRet", "errno",
                                        "args",  "comment", "includes", "excludes", NULL};

    if (bh_json_need_object(at, err) != 0 || bh_json_check_keys(at, known, true, err) != 0 ||
        parse_names(at, arena, &out->names, err) != 0 ||
        word(at, "action", bh_seccomp_action_known, arena, &out->action, err) != 0 ||
        errno_of(at, "errnoRet", &out->errno_ret, err) != 0 || parse_args(at, arena, out, err) != 0)
        return err->code;
    if (parse_when(at, true, arena, &out->includes, fits, err) != 0)
        return err->code;
    return parse_when(at, false, arena, &out->excludes, fits, err);
}

/* ---- the profile ---------------------------------------------------------------------------------- */

static int parse_rules(const struct bh_json_at *root, struct bh_arena *arena, struct bh_seccomp *out,
                       struct bh_err *err) {
    struct bh_json_at at;
    size_t names = 0;

    if (!bh_json_member(root, "syscalls", &at))
        return 0;
    if (bh_json_need_array(&at, BH_SECCOMP_RULES_MAX, "of rules", err) != 0)
        return err->code;
    out->rules = bh_oci_alloc(arena, (json_array_size(at.v) + 1) * sizeof *out->rules, err);
    if (out->rules == NULL)
        return err->code;
    for (size_t i = 0; i < json_array_size(at.v); i++) {
        struct bh_json_at e = bh_json_element(&at, i);
        struct bh_seccomp_rule rule = {0};
        bool fits = true;

        if (parse_rule(&e, arena, &rule, &fits, err) != 0)
            return err->code;
        names += rule.names.n;
        if (names > BH_SECCOMP_NAMES_MAX)
            return bh_err_set(err, BH_E_LIMIT, WHAT ": more than %d names of system calls", BH_SECCOMP_NAMES_MAX);
        if (fits)
            out->rules[out->n_rules++] = rule;
    }
    return 0;
}

/* The entry of this architecture: it and those that the kernel runs beside it. */
static int parse_arch_map(const struct bh_json_at *map, struct bh_arena *arena, struct bh_strlist *out,
                          struct bh_err *err) {
    static const char *const known[] = {"architecture", "subArchitectures", NULL};

    if (bh_json_need_array(map, 64, "of architectures", err) != 0)
        return err->code;
    for (size_t i = 0; i < json_array_size(map->v); i++) {
        struct bh_json_at e = bh_json_element(map, i);
        struct bh_strlist beside = {0};
        const char *main;

        if (bh_json_need_object(&e, err) != 0 || bh_json_check_keys(&e, known, true, err) != 0 ||
            word(&e, "architecture", bh_seccomp_arch_known, arena, &main, err) != 0 ||
            words(&e, "subArchitectures", bh_seccomp_arch_known, arena, &beside, err) != 0)
            return err->code;
        if (strcmp(main, NATIVE) != 0 || out->n > 0)
            continue;
        if (bh_strlist_add(out, arena, main, err) != 0)
            return err->code;
        for (size_t k = 0; k < beside.n; k++)
            if (bh_strlist_add(out, arena, beside.v[k], err) != 0)
                return err->code;
    }
    return 0;
}

static int parse_arches(const struct bh_json_at *root, struct bh_arena *arena, struct bh_strlist *out,
                        struct bh_err *err) {
    struct bh_json_at map;

    if (words(root, "architectures", bh_seccomp_arch_known, arena, out, err) != 0)
        return err->code;
    if (!bh_json_member(root, "archMap", &map))
        return 0;
    if (out->n > 0 && json_array_size(map.v) > 0)
        return bh_json_fail(root, err, "it has both \"architectures\" and \"archMap\": use one of them");
    return parse_arch_map(&map, arena, out, err);
}

int bh_seccomp_parse(const void *text, size_t n, struct bh_arena *arena, struct bh_seccomp *out, struct bh_err *err) {
    static const char *const known[] = {"defaultAction", "defaultErrnoRet", "defaultErrno", "archMap", "architectures",
                                        "syscalls",      "flags",           "comment",      "$schema", NULL};
    BH_SCOPE_JSON json_t *json = NULL;
    struct bh_seccomp got = {0};

    if (bh_json_parse(text, n, BH_SECCOMP_TEXT_MAX, WHAT, &json, err) != 0)
        return err->code;
    struct bh_json_at root = bh_json_root(json, WHAT);
    if (bh_json_need_object(&root, err) != 0 || bh_json_check_keys(&root, known, true, err) != 0 ||
        word(&root, "defaultAction", bh_seccomp_action_known, arena, &got.action, err) != 0 ||
        errno_of(&root, "defaultErrnoRet", &got.errno_ret, err) != 0 ||
        words(&root, "flags", bh_seccomp_flag_known, arena, &got.flags, err) != 0 ||
        parse_arches(&root, arena, &got.arches, err) != 0 || parse_rules(&root, arena, &got, err) != 0)
        return err->code;
    *out = got;
    return 0;
}
