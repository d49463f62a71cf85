/*
 * test_remove_rules.c - docker's table of what rmi may remove, row by row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "svc-store/remove.h"

struct row {
    const char *what;
    struct store_remove_case facts;
    enum store_remove_verdict want;
};

#define BY_NAME .by_name = true
#define ONE     .single = true
#define FORCE   .force = true

static const struct row rows[] = {
    {"name, others remain", {BY_NAME, .names_left = true}, STORE_REMOVE_UNTAG},
    {"name, others remain, running", {BY_NAME, .names_left = true, .running = true}, STORE_REMOVE_UNTAG},
    {"name, others remain, children", {BY_NAME, .names_left = true, .children = true}, STORE_REMOVE_UNTAG},
    {"name, last, no container", {BY_NAME, ONE}, STORE_REMOVE_DELETE},
    {"name, last, children", {BY_NAME, ONE, .children = true}, STORE_REMOVE_UNTAG},
    {"name, last, stopped", {BY_NAME, ONE, .stopped = true}, STORE_REFUSE_NAME_USED},
    {"name, last, running", {BY_NAME, ONE, .running = true}, STORE_REFUSE_NAME_USED},
    {"name, last, stopped, force", {BY_NAME, ONE, FORCE, .stopped = true}, STORE_REMOVE_DELETE},
    {"name, last, running, force", {BY_NAME, ONE, FORCE, .running = true}, STORE_REMOVE_UNTAG},
    {"name, last, children, force", {BY_NAME, ONE, FORCE, .children = true}, STORE_REMOVE_UNTAG},
    {"id, one name", {ONE}, STORE_REMOVE_DELETE},
    {"id, two names", {.single = false}, STORE_REFUSE_REFERENCED},
    {"id, two names, force", {FORCE}, STORE_REMOVE_DELETE},
    {"id, stopped", {ONE, .stopped = true}, STORE_REFUSE_STOPPED},
    {"id, stopped, force", {ONE, FORCE, .stopped = true}, STORE_REMOVE_DELETE},
    {"id, running", {ONE, .running = true}, STORE_REFUSE_RUNNING},
    {"id, running, force", {ONE, FORCE, .running = true}, STORE_REFUSE_RUNNING},
    {"id, children", {ONE, .children = true}, STORE_REFUSE_CHILDREN},
    {"id, children, force", {ONE, FORCE, .children = true}, STORE_REFUSE_CHILDREN},
    {"id, two names, running", {.running = true}, STORE_REFUSE_RUNNING},
    {"id, two names, stopped", {.stopped = true}, STORE_REFUSE_REFERENCED},
};

static void each_row(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (store_remove_decide(&rows[i].facts) != rows[i].want)
            fail_msg("%s: verdict %d, wanted %d", rows[i].what, store_remove_decide(&rows[i].facts), rows[i].want);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_row)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
