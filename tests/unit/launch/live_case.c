/*
 * live_case.c - see live_case.h.
 */
#include "live_case.h"

#include <stdio.h>
#include <unistd.h>

struct live g;

static int setup(void **state) {
    const char *form = *state;

    if (!live_possible())
        return 0;
    live_start(&g, form);
    live_busybox(&g);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    if (!live_possible())
        return 0;
    live_stop(&g);
    live_remove(&g);
    return 0;
}

void need_live(void) {
    if (!live_possible())
        skip();
}

void forget(const char *id) {
    struct rt_launch_reply r;
    char path[256];

    live_simple(&g, RT_LAUNCH_DELETE, id, 0, 0, &r);
    if (r.code != 0)
        print_message("delete: %s\n", r.msg);
    assert_int_equal(r.code, 0);
    snprintf(path, sizeof(path), "%s/state/launch/containers/%s", g.root, id);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/state/monitor/%s", g.root, id);
    assert_int_not_equal(access(path, F_OK), 0);
}

void show(const struct live_run *r) {
    if (r->reply.code != 0)
        print_message("reply %d hint %d: %s (%s)\n", r->reply.code, r->reply.exit_hint, r->reply.msg, r->reply.hint);
    if (r->n_err > 0)
        print_message("stderr: %.2000s\n", r->err);
}

void run_sh(const char *id, char *script, unsigned flags, struct live_run *r) {
    struct rt_spec s = live_sh(script);

    s.flags |= flags;
    live_run(&g, id, "", &s, NULL, 0, r);
    show(r);
}

static int setup_erofs(void **state) {
    *state = "erofs";
    return setup(state);
}

static int setup_extracted(void **state) {
    *state = "extracted";
    return setup(state);
}

int live_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n) {
    int failed;

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    failed = _cmocka_run_group_tests("erofs", tests, n, setup_erofs, teardown);
    return failed + _cmocka_run_group_tests("extracted", tests, n, setup_extracted, teardown);
}
