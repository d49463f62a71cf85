/*
 * test_event.c - what a listener hears of a layer: every state, and of mere progress not too much.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "svc-registry/event.h"

struct heard {
    unsigned n;
    struct reg_event last;
    char layer[BH_DIGEST_SHORT_SIZE], status[2000], warning[2000];
    bool gone;
};

static int hear(void *arg, const struct reg_event *e, struct bh_err *err) {
    struct heard *h = arg;

    h->n++;
    h->last = *e;
    strncpy(h->layer, e->layer != NULL ? e->layer : "", sizeof h->layer - 1);
    strncpy(h->status, e->status != NULL ? e->status : "", sizeof h->status - 1);
    strncpy(h->warning, e->warning != NULL ? e->warning : "", sizeof h->warning - 1);
    return h->gone ? bh_err_set(err, BH_E_CANCELLED, "gone") : 0;
}

static void test_names_of_layers(void **state) {
    static const struct {
        const char *digest, *want;
    } rows[] = {
        {"sha256:0123456789abcdef0123456789abcdef", "0123456789ab"}, {"sha256:01", "01"}, {"plain", "plain"}, {"", ""}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reg_line line;

        reg_line_init(&line, NULL, 0, rows[i].digest);
        assert_string_equal(line.layer, rows[i].want);
    }
}

static void test_progress_is_thinned_and_states_are_not(void **state) {
    struct heard h = {0};
    const struct reg_listener listener = {.tell = hear, .arg = &h};
    struct bh_err err = BH_ERR_INIT;
    struct reg_line line;

    (void)state;
    reg_line_init(&line, &listener, 3, "sha256:0123456789abcdef");
    for (uint64_t at = 1; at < 1000; at++)
        reg_line_progress(&line, REG_LAYER_DOWNLOADING, at, 1000);
    assert_true(h.n >= 1 && h.n < 20);
    assert_true(h.last.droppable);
    reg_line_progress(&line, REG_LAYER_DOWNLOADING, 1000, 1000); /* the end is always told */
    assert_int_equal(h.last.current, 1000);
    h.n = 0;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(reg_line_state(&line, REG_LAYER_VERIFYING, &err), 0);
    assert_int_equal(h.n, 5);
    assert_false(h.last.droppable);
    assert_int_equal(h.last.number, 3);
    assert_string_equal(h.layer, "0123456789ab");
    reg_line_progress(&line, REG_LAYER_RETRYING, 0, 4);
    assert_int_equal(h.n, 6);
    assert_false(h.last.droppable);
}

static void test_lines_and_a_listener_that_is_gone(void **state) {
    struct heard h = {0};
    const struct reg_listener listener = {.tell = hear, .arg = &h};
    struct bh_err err = BH_ERR_INIT;
    char longer[3000];

    (void)state;
    assert_int_equal(reg_tell_status(&listener, 1, &err, "%s: %d", "a", 5), 0);
    assert_string_equal(h.status, "a: 5");
    assert_int_equal(reg_tell_warning(&listener, 1, &err, "%s", "careful"), 0);
    assert_string_equal(h.warning, "careful");
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(reg_tell_status(&listener, 1, &err, "%s", longer), 0);
    assert_true(strlen(h.status) < sizeof longer - 1);
    h.gone = true;
    assert_int_equal(reg_tell_status(&listener, 1, &err, "x"), BH_E_CANCELLED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_layers),
        cmocka_unit_test(test_progress_is_thinned_and_states_are_not),
        cmocka_unit_test(test_lines_and_a_listener_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
