/* Which state of a container follows which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-runtime/status.h"

static void table(void **state) {
    /* what each event makes of each state; -1: refused, nothing changes */
    static const int want[8][6] = {
        /*                  created     running    paused     exited      dead    removing */
        [RT_EV_STARTED] = {RT_RUNNING, -1, -1, RT_RUNNING, -1, -1},
        [RT_EV_START_FAILED] = {RT_CREATED, -1, -1, RT_EXITED, -1, -1},
        [RT_EV_EXITED] = {-1, RT_EXITED, RT_EXITED, -1, -1, -1},
        [RT_EV_LOST] = {-1, RT_EXITED, RT_EXITED, -1, -1, -1},
        [RT_EV_PAUSED] = {-1, RT_PAUSED, -1, -1, -1, -1},
        [RT_EV_UNPAUSED] = {-1, -1, RT_RUNNING, -1, -1, -1},
        [RT_EV_REMOVING] = {RT_REMOVING, -1, -1, RT_REMOVING, RT_REMOVING, -1},
        [RT_EV_REMOVE_FAILED] = {-1, -1, -1, -1, -1, RT_DEAD},
    };

    (void)state;
    for (int e = 0; e < 8; e++)
        for (int s = 0; s < 6; s++) {
            struct rt_status st = {.state = (enum rt_state)s, .pid = 7}, before = st;
            struct rt_event ev = {.type = (enum rt_event_type)e, .pid = 9, .exit_code = 3, .when_ns = 1000};
            bool ok = rt_status_apply(&st, &ev);

            assert_int_equal(ok, want[e][s] >= 0);
            if (ok)
                assert_int_equal((int)st.state, want[e][s]);
            else
                assert_memory_equal(&st, &before, sizeof st);
        }
}

static void one_life(void **state) {
    struct rt_status s = {.state = RT_CREATED};

    (void)state;
    assert_true(
        rt_status_apply(&s, &(struct rt_event){.type = RT_EV_START_FAILED, .exit_code = 127, .text = "not found"}));
    assert_int_equal(s.exit_code, 127);
    assert_string_equal(s.error, "not found");
    assert_int_equal(s.started_ns, 0);
    assert_true(
        rt_status_apply(&s, &(struct rt_event){.type = RT_EV_STARTED, .pid = 42, .when_ns = 10, .id_base = 1 << 28}));
    assert_string_equal(s.error, "");
    assert_int_equal(s.pid, 42);
    assert_true(rt_status_running(&s));
    assert_true(rt_status_apply(
        &s, &(struct rt_event){.type = RT_EV_EXITED, .exit_code = 137, .oom_killed = true, .when_ns = 20}));
    assert_int_equal(s.exit_code, 137);
    assert_int_equal(s.pid, 0);
    assert_true(s.oom_killed);
    assert_int_equal(s.finished_ns, 20);
    assert_false(rt_status_apply(&s, &(struct rt_event){.type = RT_EV_EXITED, .exit_code = 0})); /* told twice */
    assert_int_equal(s.exit_code, 137);
    assert_true(rt_status_apply(&s, &(struct rt_event){.type = RT_EV_STARTED, .pid = 43, .when_ns = 30}));
    assert_false(s.oom_killed);
    assert_int_equal(s.finished_ns, 0);
    assert_true(rt_status_apply(&s, &(struct rt_event){.type = RT_EV_LOST, .when_ns = 40, .text = "gone"}));
    assert_int_equal(s.exit_code, RT_EXIT_LOST);
    assert_string_equal(s.error, "gone");
}

static void long_text_is_cut(void **state) {
    struct rt_status s = {.state = RT_CREATED};
    char text[1000];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_true(rt_status_apply(&s, &(struct rt_event){.type = RT_EV_START_FAILED, .text = text}));
    assert_int_equal(strlen(s.error), sizeof s.error - 1);
}

static void words(void **state) {
    static const char *const known[] = {"created", "running", "paused", "restarting", "removing", "exited", "dead"};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(known); i++)
        assert_true(rt_state_word(known[i]));
    assert_false(rt_state_word("Running"));
    assert_false(rt_state_word(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(one_life),
                                       cmocka_unit_test(long_text_is_cut), cmocka_unit_test(words)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
