/*
 * test_spec.c - the specification survives its encoding; hostile bytes do not get past the decoder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/spec.h"

static char *words[] = {"sh", "-c", "", "\xff\xfe", "a b"};

static struct rt_spec full(void) {
    static struct rt_mount m[] = {{.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO, .source = "/a", .target = "/b"},
                                  {.kind = RT_MOUNT_TMPFS, .mode = 0700, .size = 4096, .source = "", .target = "/t"}};
    static struct rt_ulimit u[] = {{"nofile", 5, UINT64_MAX}};
    static struct rt_device d[] = {{"/dev/fuse", "/dev/f", "rw"}};

    return (struct rt_spec){.flags = RT_TTY | RT_INIT,
                            .args = {words, 5},
                            .env = {words, 2},
                            .cwd = "/w",
                            .user = "u:g",
                            .group_add = {words, 1},
                            .caps = 0x123456789a,
                            .hostname = "h",
                            .domainname = "d",
                            .extra_hosts = {words, 3},
                            .dns = {words, 1},
                            .sysctls = {words, 2},
                            .mounts = m,
                            .n_mounts = 2,
                            .ulimits = u,
                            .n_ulimits = 1,
                            .devices = d,
                            .n_devices = 1,
                            .shm_size = 7,
                            .oom_score_adj = -9,
                            .umask = 022,
                            .log_max_size = 8,
                            .log_max_files = 9,
                            .tty_rows = 10,
                            .tty_cols = 11,
                            .seccomp_profile = "p"};
}

static struct rt_spec with_files(void) {
    static struct rt_file f[] = {{"/run/secrets/a", "x\0y", 3, 0400, 1, 2, 0}, {"/b", "", 0, 0755, 0, 0, 1}};
    struct rt_spec s = full();

    s.files = f;
    s.n_files = 2;
    s.limits.memory = 1 << 30;
    s.limits.nano_cpus = 5;
    return s;
}

static void test_seccomp(void **state) {
    static char *names[] = {"read", "write"}, *arches[] = {"SCMP_ARCH_X86"};
    static struct rt_seccomp_arg args[] = {{1, 2, UINT64_MAX, "SCMP_CMP_EQ"}};
    static struct rt_seccomp_rule rules[] = {{{names, 2}, "SCMP_ACT_ALLOW", 1, args, 1},
                                             {{names, 1}, "SCMP_ACT_ERRNO", 13, NULL, 0}};
    struct rt_spec in = full(), out;
    struct bh_buf a;
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    in.seccomp = (struct rt_seccomp){"SCMP_ACT_ERRNO", 38, {arches, 1}, {NULL, 0}, rules, 2};
    bh_arena_init(&arena, 1 << 20);
    assert_int_equal(rt_spec_encode(&in, &a, &err), 0);
    assert_int_equal(rt_spec_decode(a.data, a.len, &arena, &out, &err), 0);
    assert_string_equal(out.seccomp.action, "SCMP_ACT_ERRNO");
    assert_int_equal(out.seccomp.errno_ret, 38);
    assert_string_equal(out.seccomp.arches.item[0], "SCMP_ARCH_X86");
    assert_int_equal(out.seccomp.n_rules, 2);
    assert_string_equal(out.seccomp.rules[0].names.item[1], "write");
    assert_int_equal(out.seccomp.rules[0].args[0].value_two, UINT64_MAX);
    assert_string_equal(out.seccomp.rules[0].args[0].op, "SCMP_CMP_EQ");
    assert_int_equal(out.seccomp.rules[1].errno_ret, 13);
    for (size_t n = a.len - 60; n < a.len; n++)
        assert_int_equal(rt_spec_decode(a.data, n, &arena, &out, &err), BH_E_INVALID);
    bh_buf_fini(&a);
    bh_arena_fini(&arena);
}

/* Old records have no files at their end. */
static void test_files(void **state) {
    const struct rt_spec in = with_files();
    struct rt_spec out, more = in;
    struct bh_buf a;
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    assert_int_equal(rt_spec_encode(&in, &a, &err), 0);
    assert_int_equal(rt_spec_decode(a.data, a.len, &arena, &out, &err), 0);
    assert_int_equal(out.n_files, 2);
    assert_string_equal(out.files[0].target, "/run/secrets/a");
    assert_int_equal(out.files[0].n, 3);
    assert_memory_equal(out.files[0].data, "x\0y", 3);
    assert_int_equal(out.files[0].gid, 2);
    assert_int_equal(out.files[1].mode, 0755);
    assert_int_equal(out.limits.memory, 1 << 30);
    assert_int_equal(out.limits.nano_cpus, 5);
    for (size_t n = a.len - 40; n < a.len; n++)
        assert_int_equal(rt_spec_decode(a.data, n, &arena, &out, &err), BH_E_INVALID);
    bh_buf_fini(&a);
    more.n_files = RT_MAX_FILES + 1;
    more.files = bh_xcalloc(more.n_files, sizeof *more.files);
    assert_int_equal(rt_spec_encode(&more, &a, &err), 0);
    assert_int_equal(rt_spec_decode(a.data, a.len, &arena, &out, &err), BH_E_INVALID);
    free(more.files);
    bh_buf_fini(&a);
    bh_arena_fini(&arena);
}

static struct rt_spec with_limits(void) {
    struct rt_spec s = full();

    s.limits = (struct rt_limits){.reservation = 1,
                                  .swap = -1,
                                  .shares = 2,
                                  .period = 3,
                                  .quota = -4,
                                  .pids = 5,
                                  .blkio_weight = 6,
                                  .flags = RT_LIMIT_SWAPPINESS,
                                  .swappiness = 7,
                                  .cpus = "0-2",
                                  .mems = "0"};
    return s;
}

/* Records from before there were limits are the same with their last part left out. */
static void test_limits(void **state) {
    const struct rt_spec in = with_limits(), old = with_files(), plain = full();
    struct rt_spec out;
    struct bh_buf a, b, c;
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    assert_int_equal(rt_spec_encode(&in, &a, &err), 0);
    assert_int_equal(rt_spec_encode(&old, &b, &err), 0);
    assert_int_equal(rt_spec_encode(&plain, &c, &err), 0);
    assert_int_equal(rt_spec_decode(a.data, a.len, &arena, &out, &err), 0);
    assert_int_equal(out.limits.reservation, 1);
    assert_int_equal(out.limits.swap, -1);
    assert_int_equal(out.limits.quota, -4);
    assert_int_equal(out.limits.pids, 5);
    assert_int_equal(out.limits.blkio_weight, 6);
    assert_int_equal(out.limits.swappiness, 7);
    assert_string_equal(out.limits.cpus, "0-2");
    assert_string_equal(out.limits.mems, "0");
    assert_int_equal(rt_spec_decode(b.data, b.len, &arena, &out, &err), 0);
    assert_int_equal(out.limits.pids, 0);
    assert_int_equal(rt_spec_decode(c.data, c.len, &arena, &out, &err), 0);
    assert_int_equal(out.limits.memory, 0);
    for (size_t n = c.len + 1; n < a.len; n++)
        assert_int_equal(rt_spec_decode(a.data, n, &arena, &out, &err), BH_E_INVALID);
    bh_buf_fini(&a);
    bh_buf_fini(&b);
    bh_buf_fini(&c);
    bh_arena_fini(&arena);
}

static void test_round_trip(void **state) {
    const struct rt_spec in = full();
    struct rt_spec out;
    struct bh_buf a, b;
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    assert_int_equal(rt_spec_encode(&in, &a, &err), 0);
    assert_int_equal(rt_spec_decode(a.data, a.len, &arena, &out, &err), 0);
    assert_int_equal(out.args.n, 5);
    assert_string_equal(out.args.item[3], "\xff\xfe");
    assert_string_equal(out.mounts[1].target, "/t");
    assert_true(out.ulimits[0].hard == UINT64_MAX);
    assert_int_equal(out.oom_score_adj, -9);
    assert_int_equal(rt_spec_encode(&out, &b, &err), 0);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    bh_buf_fini(&a);
    bh_buf_fini(&b);
    bh_arena_fini(&arena);
}

/* Every cut and every changed byte: refused or decoded, never a step outside. */
static void test_hostile(void **state) {
    const struct rt_spec in = full();
    struct bh_buf a;
    struct bh_err err = BH_ERR_INIT;
    char *copy;

    (void)state;
    assert_int_equal(rt_spec_encode(&in, &a, &err), 0);
    for (size_t n = 0; n < a.len; n++) {
        struct bh_arena arena;
        struct rt_spec out;

        bh_arena_init(&arena, 1 << 20);
        copy = bh_xmalloc(n + 1);
        memcpy(copy, a.data, n);
        assert_int_equal(rt_spec_decode(copy, n, &arena, &out, &err), BH_E_INVALID);
        free(copy);
        bh_arena_fini(&arena);
    }
    for (size_t i = 0; i < a.len * 8; i++) {
        struct bh_arena arena;
        struct rt_spec out;

        bh_arena_init(&arena, 1 << 20);
        copy = bh_xmalloc(a.len);
        memcpy(copy, a.data, a.len);
        copy[i / 8] = (char)(copy[i / 8] ^ (1 << (i % 8)));
        rt_spec_decode(copy, a.len, &arena, &out, &err);
        free(copy);
        bh_arena_fini(&arena);
    }
    bh_buf_fini(&a);
}

static void test_no_program(void **state) {
    struct rt_spec in = full(), out;
    struct bh_buf a;
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    in.args.n = 0;
    assert_int_equal(rt_spec_encode(&in, &a, &err), 0);
    assert_int_equal(rt_spec_decode(a.data, a.len, &arena, &out, &err), BH_E_INVALID);
    bh_buf_fini(&a);
    bh_arena_fini(&arena);
}

/* A spec that the room could never have encoded is told so instead of being sent cut. */
static void test_too_large(void **state) {
    struct rt_spec in = full();
    struct bh_buf a;
    struct bh_err err = BH_ERR_INIT;
    char *big = bh_xmalloc(3 << 20);
    char *args[1] = {big};

    (void)state;
    memset(big, 'x', (3 << 20) - 1);
    big[(3 << 20) - 1] = 0;
    in.args = (struct rt_strings){args, 1};
    assert_int_equal(rt_spec_encode(&in, &a, &err), BH_E_LIMIT);
    free(big);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_files),
                                       cmocka_unit_test(test_limits),     cmocka_unit_test(test_seccomp),
                                       cmocka_unit_test(test_hostile),    cmocka_unit_test(test_no_program),
                                       cmocka_unit_test(test_too_large)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
