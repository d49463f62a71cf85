/*
 * test_seccomp.c - seccomp profiles: docker's forms are read, what could be misunderstood is refused with its place.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arena.h"
#include "base/mem.h"
#include "oci/seccomp.h"

#if defined(__x86_64__)
#define ARCH "SCMP_ARCH_X86_64"
#define GO   "amd64"
#else
#define ARCH "SCMP_ARCH_AARCH64"
#define GO   "arm64"
#endif
#define RULE(rest) "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{" rest "}]}"
#define ALLOW      "\"action\":\"SCMP_ACT_ALLOW\""

static struct bh_seccomp must(const char *text) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_seccomp p;

    if (bh_seccomp_parse(text, strlen(text), &arena, &p, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    return p;
}

static void test_full(void **state) {
    const struct bh_seccomp p = must(
        "{\"comment\":\"c\",\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"flags\":"
        "[\"SECCOMP_FILTER_FLAG_LOG\"],\"archMap\":[{\"architecture\":\"SCMP_ARCH_MIPS\"},{\"architecture\":\"" ARCH
        "\","
        "\"subArchitectures\":[\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"]}],\"syscalls\":["
        "{\"names\":[\"read\",\"write\"]," ALLOW ",\"comment\":\"\",\"args\":null,\"includes\":{},\"excludes\":{}},"
        "{\"name\":\"clone\"," ALLOW
        ",\"args\":[{\"index\":5,\"value\":2114060288,\"valueTwo\":7,\"op\":\"SCMP_CMP_MASKED_EQ\"}],"
        "\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"],\"arches\":[\"s390\"]}},"
        "{\"names\":[\"gone\"]," ALLOW ",\"includes\":{\"arches\":[\"mips\"]}},"
        "{\"names\":[\"gone\"]," ALLOW ",\"excludes\":{\"arches\":[\"" GO "\"]}},"
        "{\"names\":[\"ptrace\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":13,\"errno\":\"EACCES\","
        "\"includes\":{\"minKernel\":\"4.8\",\"arches\":[\"" GO "\"]}}]}");

    (void)state;
    assert_string_equal(p.action, "SCMP_ACT_ERRNO");
    assert_int_equal(p.errno_ret, 38);
    assert_int_equal(p.arches.n, 3);
    assert_string_equal(p.arches.v[0], ARCH);
    assert_string_equal(p.arches.v[2], "SCMP_ARCH_X32");
    assert_int_equal(p.flags.n, 1);
    assert_int_equal(p.n_rules, 3);
    assert_int_equal(p.rules[0].names.n, 2);
    assert_int_equal(p.rules[0].errno_ret, 1);
    assert_string_equal(p.rules[1].names.v[0], "clone");
    assert_int_equal(p.rules[1].n_args, 1);
    assert_int_equal(p.rules[1].args[0].index, 5);
    assert_int_equal(p.rules[1].args[0].value, 2114060288);
    assert_int_equal(p.rules[1].args[0].value_two, 7);
    assert_string_equal(p.rules[1].args[0].op, "SCMP_CMP_MASKED_EQ");
    assert_string_equal(p.rules[1].excludes.caps.v[0], "CAP_SYS_ADMIN");
    assert_int_equal(p.rules[2].errno_ret, 13);
    assert_int_equal(p.rules[2].includes.kernel, 4 << 16 | 8);
    assert_int_equal(must("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}").n_rules, 0);
}

static void test_refused(void **state) {
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "seccomp profile"},
        {"{", "JSON"},
        {"[]", "object"},
        {"{}", "\"defaultAction\" is missing"},
        {"{\"defaultAction\":\"ALLOW\"}", "\"ALLOW\" is not known"},
        {"{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", "agent"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\"}", "unknown key \"listenerPath\""},
        {"{\"DefaultAction\":\"SCMP_ACT_ALLOW\"}", "letter case"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultAction\":\"SCMP_ACT_ERRNO\"}", "duplicate"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":5000}", "larger"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"X\"]}", "flags[0]"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"x86\"]}", "architectures[0]"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86\"],\"archMap\":[{\"architecture\":"
         "\"SCMP_ARCH_X86\"}]}",
         "both \"architectures\" and \"archMap\""},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}", "syscalls"},
        {RULE(ALLOW), "\"names\" is missing"},
        {RULE("\"names\":[]," ALLOW), "\"names\" is missing"},
        {RULE("\"names\":[\"a b\"]," ALLOW), "names[0]"},
        {RULE("\"names\":[\"a\"],\"name\":\"b\"," ALLOW), "both \"name\" and \"names\""},
        {RULE("\"names\":[\"a\"]"), "\"action\" is missing"},
        {RULE("\"names\":[\"a\"]," ALLOW ",\"arg\":[]"), "unknown key \"arg\""},
        {RULE("\"names\":[\"a\"]," ALLOW ",\"args\":[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]"), "args[0]"},
        {RULE("\"names\":[\"a\"]," ALLOW ",\"args\":[{\"index\":0,\"value\":1,\"op\":\"EQ\"}]"), "\"EQ\""},
        {RULE("\"names\":[\"a\"]," ALLOW ",\"args\":[{\"index\":0,\"op\":\"SCMP_CMP_EQ\"}]"), "value"},
        {RULE("\"names\":[\"a\"]," ALLOW ",\"includes\":{\"minKernel\":\"4\"}"), "minKernel"},
        {RULE("\"names\":[\"a\"]," ALLOW ",\"includes\":{\"kernel\":\"4.8\"}"), "unknown key"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_seccomp p;

        if (bh_seccomp_parse(rows[i].text, strlen(rows[i].text), &arena, &p, &err) == 0)
            fail_msg("%s was taken", rows[i].text);
        if (strstr(err.msg, rows[i].says) == NULL || strstr(err.msg, "seccomp profile") == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].text, err.msg, rows[i].says);
    }
}

static void test_limits(void **state) {
    static const char head[] = "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[",
                      rule[] = "{\"names\":[\"a\"]," ALLOW "},";
    size_t n = sizeof head + (sizeof rule - 1) * (BH_SECCOMP_RULES_MAX + 1) + 3;
    char *text = bh_xcalloc(1, n), *long_text = bh_xcalloc(1, BH_SECCOMP_TEXT_MAX + 2);
    struct bh_err err = BH_ERR_INIT;
    struct bh_seccomp p;

    (void)state;
    strcpy(text, head);
    for (int i = 0; i < BH_SECCOMP_RULES_MAX + 1; i++)
        strcpy(text + strlen(head) + (size_t)i * (sizeof rule - 1), rule);
    strcpy(text + strlen(text) - 1, "]}");
    assert_int_equal(bh_seccomp_parse(text, strlen(text), &arena, &p, &err), BH_E_LIMIT);
    bh_err_clear(&err);
    memset(long_text, ' ', BH_SECCOMP_TEXT_MAX + 1);
    assert_int_equal(bh_seccomp_parse(long_text, BH_SECCOMP_TEXT_MAX + 1, &arena, &p, &err), BH_E_LIMIT);
    free(text);
    free(long_text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_full, start, stop),
                                       cmocka_unit_test_setup_teardown(test_refused, start, stop),
                                       cmocka_unit_test_setup_teardown(test_limits, start, stop)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
