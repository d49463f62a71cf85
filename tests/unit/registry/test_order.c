/*
 * test_order.c - what images brought side by side tell comes one image after the other.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-registry/order.h"

static char said[4096];

static int hear(void *arg, const struct reg_event *e, struct bh_err *err) {
    const bool *deaf = arg;
    size_t at = strlen(said);

    if (*deaf)
        return bh_err_set(err, BH_E_CANCELLED, "gone");
    snprintf(said + at, sizeof said - at, "%s%s ", e->status != NULL ? e->status : "",
             e->layer != NULL ? e->layer : "");
    return 0;
}

static void tell(struct reg_order *o, size_t i, const char *text, bool droppable) {
    struct reg_event e = {.status = text, .droppable = droppable};
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(reg_tell(reg_order_of(o, i), &e, &err), 0);
}

static void test_order(void **state) {
    bool deaf = false;
    const struct reg_listener to = {.tell = hear, .arg = &deaf};
    struct reg_order *o = reg_order_new(&to, 4);
    char text[] = "b1";

    (void)state;
    said[0] = '\0';
    tell(o, 1, text, false);
    text[0] = 'x'; /* what is kept is a copy */
    tell(o, 1, "lost", true);
    tell(o, 0, "a1", false);
    tell(o, 0, "a2", true);
    tell(o, 2, "c1", false);
    assert_string_equal(said, "a1 a2 ");
    reg_order_end(o, 2);
    reg_order_end(o, 0);
    assert_string_equal(said, "a1 a2 b1 ");
    tell(o, 1, "b2", true);
    reg_order_end(o, 1);
    assert_string_equal(said, "a1 a2 b1 b2 c1 ");
    tell(o, 3, "d1", false);
    reg_order_end(o, 3);
    assert_string_equal(said, "a1 a2 b1 b2 c1 d1 ");
    reg_order_free(o);
}

/* A listener that is gone ends whoever tells it something; what was kept is freed. */
static void test_gone(void **state) {
    bool deaf = true;
    const struct reg_listener to = {.tell = hear, .arg = &deaf};
    struct reg_order *o = reg_order_new(&to, 3);
    struct reg_event e = {
        .status = "s", .layer = "l", .text = "t", .reference = "r", .id = "i", .digest = "d", .warning = "w"};
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    assert_int_equal(reg_tell(reg_order_of(o, 1), &e, &err), 0);
    assert_int_equal(reg_tell(reg_order_of(o, 2), &e, &err), 0);
    assert_int_equal(reg_tell(reg_order_of(o, 0), &e, &err), BH_E_CANCELLED);
    reg_order_end(o, 0);
    err = (struct bh_err)BH_ERR_INIT;
    assert_int_equal(reg_tell(reg_order_of(o, 1), &e, &err), BH_E_CANCELLED);
    reg_order_free(o);
}

static void *begin_last(void *arg) {
    reg_order_begin(arg, REG_ORDER_AHEAD);
    return NULL;
}

/* One that is too far ahead waits, so what is kept stays small. */
static void test_ahead(void **state) {
    bool deaf = false;
    const struct reg_listener to = {.tell = hear, .arg = &deaf};
    struct reg_order *o = reg_order_new(&to, REG_ORDER_AHEAD + 1);
    struct timespec now;
    pthread_t thread;

    (void)state;
    for (size_t i = 0; i < REG_ORDER_AHEAD; i++)
        reg_order_begin(o, i);
    assert_int_equal(pthread_create(&thread, NULL, begin_last, o), 0);
    for (size_t i = 1; i < REG_ORDER_AHEAD; i++)
        reg_order_end(o, i);
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_nsec += 50000000;
    now.tv_sec += now.tv_nsec / 1000000000;
    now.tv_nsec %= 1000000000;
    assert_int_not_equal(pthread_timedjoin_np(thread, NULL, &now), 0);
    reg_order_end(o, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    reg_order_free(o);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_gone),
                                       cmocka_unit_test(test_ahead)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
