/*
 * test_platform.c - names of platforms and the choice from a list.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "oci/platform.h"

static void test_parse(void **state) {
    static const struct {
        const char *text;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"linux/amd64", "linux/amd64"},
        {"linux/x86_64", "linux/amd64"},
        {"Linux/AMD64", "linux/amd64"},
        {"linux/amd64/v1", "linux/amd64"},
        {"linux/amd64/v3", "linux/amd64/v3"},
        {"linux/aarch64", "linux/arm64"},
        {"linux/arm64/v8", "linux/arm64"},
        {"linux/arm64/v9", "linux/arm64/v9"},
        {"linux/arm", "linux/arm/v7"},
        {"linux/arm/7", "linux/arm/v7"},
        {"linux/arm/v6", "linux/arm/v6"},
        {"linux/armhf", "linux/arm/v7"},
        {"linux/armel", "linux/arm/v6"},
        {"linux/i686", "linux/386"},
        {"linux/riscv64", "linux/riscv64"},
        {"windows/amd64", "windows/amd64"},
        {"macos/arm64", "darwin/arm64"},
        {"linux/strange-arch_1", "linux/strange-arch_1"},
        {"", NULL},
        {"/", NULL},
        {"linux/", NULL},
        {"/amd64", NULL},
        {"linux//v7", NULL},
        {"linux/arm/v7/x", NULL},
        {"linux/arm/", NULL},
        {"linux /amd64", NULL},
        {"linux/am\x1b"
         "d64",
         NULL},
        {"linux/\xc3\xa9", NULL},
        {"linux/0123456789012345678901234567890123", NULL},
    };
    struct bh_err err = BH_ERR_INIT;
    char text[BH_PLATFORM_TEXT_SIZE];
    struct bh_platform p, host;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        int r = bh_platform_parse(rows[i].text, &p, &err);

        if ((r == 0) != (rows[i].want != NULL))
            fail_msg("\"%s\": %d", rows[i].text, r);
        if (r != 0) {
            assert_string_equal(err.reason, "invalid-platform");
            continue;
        }
        bh_platform_format(&p, text);
        assert_string_equal(text, rows[i].want);
    }
    bh_platform_host(&host);
    assert_string_equal(host.os, "linux");
    assert_int_equal(bh_platform_parse("arm64", &p, &err), 0);
    assert_string_equal(p.os, "linux");
    assert_string_equal(p.arch, "arm64");
    assert_int_equal(bh_platform_parse("windows", &p, &err), 0);
    assert_string_equal(p.os, "windows");
    assert_string_equal(p.arch, host.arch);
}

static void test_rank(void **state) {
    static const struct {
        const char *want;
        const char *have;
        int rank;
    } rows[] = {
        {"linux/amd64", "linux/amd64", 0},       {"linux/amd64/v3", "linux/amd64/v3", 0},
        {"linux/amd64/v3", "linux/amd64/v2", 1}, {"linux/amd64/v3", "linux/amd64", 2},
        {"linux/amd64", "linux/amd64/v2", -1},   {"linux/arm/v7", "linux/arm/v6", 1},
        {"linux/arm/v8", "linux/arm/v5", 3},     {"linux/arm/v6", "linux/arm/v7", -1},
        {"linux/arm/v5", "linux/arm/v4", -1},    {"linux/arm64", "linux/arm64/v8", 0},
        {"linux/arm64", "linux/arm/v7", -1},     {"linux/arm64/v9", "linux/arm64", 1},
        {"linux/amd64", "windows/amd64", -1},    {"linux/386", "linux/amd64", -1},
        {"linux/386", "linux/386", 0},           {"linux/mips/a", "linux/mips/b", -1},
        {"linux/amd64/vx", "linux/amd64", -1},
    };
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_platform want, have;

        assert_int_equal(bh_platform_parse(rows[i].want, &want, &err), 0);
        assert_int_equal(bh_platform_parse(rows[i].have, &have, &err), 0);
        if (bh_platform_rank(&want, &have) != rows[i].rank)
            fail_msg("%s on %s: %d", rows[i].have, rows[i].want, bh_platform_rank(&want, &have));
    }
}

static void test_choose(void **state) {
    const struct bh_platform v5 = {.os = "linux", .arch = "arm", .variant = "v5"};
    const struct bh_platform v6 = {.os = "linux", .arch = "arm", .variant = "v6"};
    const struct bh_platform v6b = v6, amd = {.os = "linux", .arch = "x86_64"};
    const struct bh_platform *list[] = {&v5, NULL, &v6, &amd, &v6b};
    const struct bh_platform v7 = {.os = "linux", .arch = "arm", .variant = "v7"};
    const struct bh_platform s390 = {.os = "linux", .arch = "s390x"};

    (void)state;
    assert_int_equal(bh_platform_choose(&v7, list, 5), 2);
    assert_int_equal(bh_platform_choose(&amd, list, 5), 3);
    assert_int_equal(bh_platform_choose(&s390, list, 5), -1);
    assert_int_equal(bh_platform_choose(&amd, list, 0), -1);
}

static void test_long_variant(void **state) {
    struct bh_platform p = {.os = "linux", .arch = "arm", .variant = "1234567890123456789012345678901"};

    (void)state;
    bh_platform_normalize(&p); /* the v in front must not push the NUL out */
    assert_true(strlen(p.variant) < sizeof p.variant);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_rank),
                                       cmocka_unit_test(test_choose), cmocka_unit_test(test_long_variant)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
