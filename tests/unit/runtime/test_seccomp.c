/*
 * test_seccomp.c - whose rules of a profile count, and what only an administrator may let happen.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../oci/arena.h"
#include "base/mem.h"
#include "svc-runtime/caps.h"
#include "svc-runtime/seccomp.h"

#define KERNEL (6u << 16 | 1)

static const struct rt_caller admin = {0, true}, user = {1000, false};

/* {"defaultAction": action, "syscalls": [rules]} for a container with caps. */
static int apply(const struct rt_caller *who, const char *action, const char *rules, uint64_t caps,
                 struct rt_spec *spec, struct bh_err *err) {
    char text[4096];
    struct bh_seccomp p;

    bh_err_clear(err);
    *spec = (struct rt_spec){.caps = caps};
    snprintf(text, sizeof text,
             "{\"defaultAction\":\"SCMP_ACT_%s\",\"architectures\":[\"SCMP_ARCH_X86\"],\"syscalls\":[%s]}", action,
             rules);
    if (bh_seccomp_parse(text, strlen(text), &arena, &p, err) != 0)
        fail_msg("%s: %s", text, err->msg);
    return rt_seccomp_apply(who, &p, KERNEL, &arena, spec, err);
}

/* An exec session has the filter set by us, with the flags that the OCI runtime took for the container. */
static void test_flags(void **state) {
    static const struct {
        const char *flags;
        uint32_t want;
    } rows[] = {
        {"", 0},
        {"\"SECCOMP_FILTER_FLAG_TSYNC\"", RT_FILTER_STRICT},
        {"\"SECCOMP_FILTER_FLAG_LOG\"", RT_FILTER_STRICT | RT_FILTER_LOG},
        {"\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\"", 0},
        {"\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\",\"SECCOMP_FILTER_FLAG_LOG\"", RT_FILTER_LOG},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct rt_spec spec = {.flags = RT_TTY};
        struct bh_seccomp p;
        char text[256];

        snprintf(text, sizeof text, "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"flags\":[%s]}", rows[i].flags);
        assert_int_equal(bh_seccomp_parse(text, strlen(text), &arena, &p, &err), 0);
        assert_int_equal(rt_seccomp_apply(&admin, &p, KERNEL, &arena, &spec, &err), 0);
        assert_int_equal(spec.flags, RT_TTY | rows[i].want);
    }
}

#define ONE(name, rest) "{\"names\":[\"" name "\"],\"action\":\"SCMP_ACT_ALLOW\"" rest "}"

static void test_wanted(void **state) {
    static const struct {
        const char *rest;
        unsigned n;
    } rows[] = {
        {"", 1},
        {",\"includes\":{\"caps\":[\"CAP_CHOWN\"]}", 1},
        {",\"includes\":{\"caps\":[\"CAP_CHOWN\",\"CAP_SYS_ADMIN\"]}", 0},
        {",\"includes\":{\"caps\":[\"CAP_NONESUCH\"]}", 0},
        {",\"includes\":{\"caps\":[\"ALL\"]}", 0},
        {",\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}", 1},
        {",\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\",\"CAP_CHOWN\"]}", 0},
        {",\"includes\":{\"minKernel\":\"6.1\"}", 1},
        {",\"includes\":{\"minKernel\":\"6.2\"}", 0},
        {",\"excludes\":{\"minKernel\":\"6.1\"}", 0},
        {",\"excludes\":{\"minKernel\":\"6.2\"}", 1},
    };
    struct bh_err err = BH_ERR_INIT;
    struct rt_spec spec;
    char text[256];

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        snprintf(text, sizeof text, ONE("read", "%s"), rows[i].rest);
        assert_int_equal(apply(&admin, "ERRNO", text, rt_caps_default(), &spec, &err), 0);
        assert_int_equal(spec.seccomp.n_rules, rows[i].n);
        assert_int_equal(spec.seccomp.arches.n, 1);
    }
}

static void test_right(void **state) {
    static const struct {
        const char *action, *rule;
        uint64_t more_caps;
        bool may;
    } rows[] = {
        {"ERRNO", ONE("read", ""), 0, true},
        {"ERRNO", ONE("read", ",\"args\":[{\"index\":1,\"value\":5,\"op\":\"SCMP_CMP_NE\"}]"), 0, true},
        {"KILL", "{\"names\":[\"bpf\",\"keyctl\"],\"action\":\"SCMP_ACT_ERRNO\"}", 0, true},
        {"ALLOW", "{\"names\":[\"mkdir\"],\"action\":\"SCMP_ACT_ERRNO\"}", 0, false},
        {"LOG", ONE("read", ""), 0, false},
        {"TRACE", ONE("read", ""), 0, false},
        {"ERRNO", ONE("keyctl", ""), 0, false},
        {"ERRNO", "{\"names\":[\"read\",\"keyctl\"],\"action\":\"SCMP_ACT_LOG\"}", 0, false},
        {"ERRNO", "{\"names\":[\"keyctl\"],\"action\":\"SCMP_ACT_TRACE\"}", 0, false},
        {"ERRNO", ONE("keyctl", ",\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}"), 0, true}, /* not this container's */
        {"ERRNO", ONE("chroot", ""), (uint64_t)1 << 18, true},
        {"ERRNO", ONE("reboot", ""), 0, false},
        {"ERRNO", ONE("clone", ""), 0, false},
        {"ERRNO", ONE("clone3", ""), 0, false},
        {"ERRNO",
         ONE("clone", ",\"args\":[{\"index\":0,\"value\":2114060288,\"valueTwo\":0,\"op\":\"SCMP_CMP_MASKED_EQ\"}]"), 0,
         true},
        {"ERRNO",
         ONE("clone",
             ",\"args\":[{\"index\":0,\"value\":2114060288,\"valueTwo\":131072,\"op\":\"SCMP_CMP_MASKED_EQ\"}]"),
         0, false},
        {"ERRNO", ONE("socket", ""), 0, false},
        {"ERRNO", ONE("socket", ",\"args\":[{\"index\":0,\"value\":38,\"op\":\"SCMP_CMP_LT\"}]"), 0, true},
        {"ERRNO", ONE("socket", ",\"args\":[{\"index\":0,\"value\":41,\"op\":\"SCMP_CMP_LT\"}]"), 0, false},
        {"ERRNO", ONE("socket", ",\"args\":[{\"index\":1,\"value\":38,\"op\":\"SCMP_CMP_LT\"}]"), 0, false},
    };
    struct bh_err err = BH_ERR_INIT;
    struct rt_spec spec;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        int r = apply(&user, rows[i].action, rows[i].rule, rt_caps_default() | rows[i].more_caps, &spec, &err);

        if (r != (rows[i].may ? 0 : BH_E_DENIED))
            fail_msg("%s %s: %d %s", rows[i].action, rows[i].rule, r, err.msg);
        assert_true(rows[i].may || strcmp(err.reason, "administrator-only") == 0);
        assert_int_equal(spec.seccomp.arches.n, 0); /* the native one alone */
        assert_int_equal(apply(&admin, rows[i].action, rows[i].rule, rt_caps_default(), &spec, &err), 0);
    }
}

/* What a worker that was taken over could say. */
static void test_words(void **state) {
    char *read[] = {"read"}, *odd[] = {"read\",\"x"};
    struct bh_seccomp_arg arg = {.index = 6, .op = "SCMP_CMP_EQ"};
    struct bh_seccomp_rule rules[] = {
        {.names = {true, 1, (const char **)odd}, .action = "SCMP_ACT_ALLOW"},
        {.names = {true, 1, (const char **)read}, .action = "SCMP_ACT_ANY"},
        {.names = {true, 1, (const char **)read}, .action = "SCMP_ACT_ALLOW", .errno_ret = 5000},
        {.names = {true, 1, (const char **)read}, .action = "SCMP_ACT_ALLOW", .args = &arg, .n_args = 1},
        {.names = {true, 1, (const char **)read}, .action = "SCMP_ACT_ALLOW", .args = &arg, .n_args = 7},
        {.action = "SCMP_ACT_ALLOW"},
    };
    struct bh_seccomp p = {.action = "SCMP_ACT_ERRNO", .n_rules = 1};
    struct bh_err err = BH_ERR_INIT;
    struct rt_spec spec = {0};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rules); i++) {
        p.rules = &rules[i];
        bh_err_clear(&err);
        assert_int_equal(rt_seccomp_apply(&admin, &p, KERNEL, &arena, &spec, &err), BH_E_INTERNAL);
    }
    assert_null(spec.seccomp.action);
    assert_true(rt_seccomp_kernel() >= 4u << 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_flags, start, stop),
                                       cmocka_unit_test_setup_teardown(test_wanted, start, stop),
                                       cmocka_unit_test_setup_teardown(test_right, start, stop),
                                       cmocka_unit_test_setup_teardown(test_words, start, stop)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
