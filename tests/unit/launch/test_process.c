/*
 * test_process.c - what a process of a container gets: capabilities, environment, limits; and how the monitor is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/mem.h"
#include "rightless/process.h"

static char *args[] = {"prog", "", "two words"};
static char *env[] = {"A=1", "PATH=/own", "NOVALUE", "B="};
static struct rt_ulimit ulimits[] = {{"nofile", 100, 200}, {"nosuch", 1, 1}, {"core", 5, UINT64_MAX}};

static struct lnc_user user = {.uid = 33, .gid = 44, .n_groups = 2, .groups = {7, 8}, .home = "/home/www"};
static struct rt_spec spec = {.args = {args, 3},
                              .env = {env, 4},
                              .cwd = "/srv",
                              .hostname = "box",
                              .ulimits = ulimits,
                              .n_ulimits = 3,
                              .caps = 0x20,
                              .tty_rows = 24,
                              .tty_cols = 80,
                              .flags = RT_NO_NEW_PRIVS};

static struct lnc_oci oci(void) {
    struct lnc_oci c = {.spec = &spec, .user = &user, .userns = true, .own_caps = 0x21};

    for (unsigned i = 0; i < LNC_LIMITS; i++)
        c.own_limits[i] = 150;
    return c;
}

static void capabilities(void **state) {
    struct lnc_oci c = oci();

    (void)state;
    assert_int_equal(lnc_process_caps(&c), 0x20);
    spec.caps = 0x70 | (uint64_t)1 << 60; /* what no kernel has is not asked for */
    assert_int_equal(lnc_process_caps(&c), 0x70);
    spec.flags |= RT_EXEC_PRIVILEGED;
    assert_int_equal(lnc_process_caps(&c), ((uint64_t)1 << 41) - 1);
    c.userns = false; /* with the host's ids: no more than launch has */
    assert_int_equal(lnc_process_caps(&c), 0x21);
    spec.flags &= ~(uint32_t)RT_EXEC_PRIVILEGED;
    spec.caps = 0x20;
}

static void score(void **state) {
    struct lnc_oci c = oci();

    (void)state;
    assert_false(lnc_process_oom(&c));
    c.own_oom = -500;
    assert_true(lnc_process_oom(&c));
    spec.oom_score_adj = -600; /* lowering ends a start in a user namespace */
    assert_false(lnc_process_oom(&c));
    c.userns = false;
    c.own_caps = 1u << 24;
    assert_true(lnc_process_oom(&c));
    spec.oom_score_adj = 0;
}

static void for_the_monitor(void **state) {
    static const char text[] = "/srv\0prog\0\0two words\0A=1\0PATH=/own\0B=\0HOSTNAME=box\0HOME=/home/www";
    struct lnc_oci c = oci();
    struct bh_buf b = BH_BUF_INIT;
    struct rt_enter e;

    (void)state;
    lnc_process_enter(&b, &c);
    assert_int_equal(b.len, sizeof(e) + sizeof(text));
    memcpy(&e, b.data, sizeof(e));
    assert_memory_equal(b.data + sizeof(e), text, sizeof(text));
    assert_true(e.version == RT_ENTER_VERSION && e.text_size == sizeof(text) && e.argc == 3 && e.envc == 5);
    assert_true(e.uid == 33 && e.gid == 44 && e.n_groups == 2 && e.groups[0] == 7 && e.groups[1] == 8);
    assert_true(e.caps == 0x20 && e.umask == 022 && e.flags & RT_NO_NEW_PRIVS && e.rows == 24 && e.cols == 80);
    assert_int_equal(e.n_limits, 2);
    assert_true(e.limits[0].which == RLIMIT_NOFILE && e.limits[0].soft == 100 && e.limits[0].hard == 150);
    assert_true(e.limits[1].which == RLIMIT_CORE && e.limits[1].soft == 5 && e.limits[1].hard == 150);
    bh_buf_fini(&b);
}

static void terminal(void **state) {
    struct lnc_oci c = oci();
    struct bh_buf b = BH_BUF_INIT;

    (void)state;
    spec.flags |= RT_TTY;
    spec.umask = 077;
    spec.cwd = "relative";
    lnc_process_enter(&b, &c);
    assert_int_equal(((const struct rt_enter *)(const void *)b.data)->umask, 077);
    assert_string_equal(b.data + sizeof(struct rt_enter), "/");
    assert_non_null(memmem(b.data, b.len, "\0TERM=xterm", 12));
    bh_buf_fini(&b);
    bh_buf_init(&b, sizeof(struct rt_enter) + 20); /* the file is too small: an error, no half of it */
    lnc_process_enter(&b, &c);
    assert_true(bh_buf_failed(&b));
    bh_buf_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(capabilities), cmocka_unit_test(score),
                                       cmocka_unit_test(for_the_monitor), cmocka_unit_test(terminal)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
