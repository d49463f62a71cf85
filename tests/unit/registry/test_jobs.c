/*
 * test_jobs.c - pieces of an operation: how many at once, in which order they begin, and how they end together.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "svc-registry/jobs.h"

struct seen {
    pthread_mutex_t lock;
    struct reg_stop *stop;
    size_t order[64], n;
    unsigned running, most;
    size_t fails_at; /* SIZE_MAX: none */
    bool wait_for_stop;
    unsigned kicks;
};

static void enter(struct seen *s, size_t i) {
    pthread_mutex_lock(&s->lock);
    s->order[s->n++] = i;
    s->running++;
    if (s->running > s->most)
        s->most = s->running;
    pthread_mutex_unlock(&s->lock);
}

static void leave(struct seen *s) {
    pthread_mutex_lock(&s->lock);
    s->running--;
    pthread_mutex_unlock(&s->lock);
}

static int work(void *arg, size_t i, struct bh_err *err) {
    struct seen *s = arg;
    int r = 0;

    enter(s, i);
    if (i == s->fails_at) {
        r = bh_err_set(err, BH_E_DATA_LOSS, "number %zu", i);
    } else if (s->wait_for_stop) {
        struct pollfd p = {.fd = s->stop->fd, .events = POLLIN};

        assert_int_equal(poll(&p, 1, 20000), 1);
        r = reg_stop_check(s->stop, err);
    } else {
        usleep(2000);
    }
    leave(s);
    return r;
}

static void kick(void *arg) {
    ((struct seen *)arg)->kicks++;
}

static void test_all_run_and_not_too_many_at_once(void **state) {
    static const struct {
        size_t n;
        unsigned width, most;
    } rows[] = {{0, 3, 0}, {1, 3, 1}, {10, 1, 1}, {10, 3, 3}, {10, 0, 1}, {40, 100, 32}};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct reg_stop stop;
        struct seen s = {.lock = PTHREAD_MUTEX_INITIALIZER, .stop = &stop, .fails_at = SIZE_MAX};
        bool had[64] = {false};

        assert_int_equal(reg_stop_init(&stop, -1, kick, &s, &err), 0);
        assert_int_equal(reg_jobs_run(rows[i].n, rows[i].width, work, &s, &stop, &err), 0);
        assert_false(reg_stop_is_set(&stop));
        reg_stop_fini(&stop);
        assert_int_equal(s.n, rows[i].n);
        assert_true(s.most <= rows[i].most);
        for (size_t k = 0; k < s.n; k++)
            had[s.order[k]] = true;
        for (size_t k = 0; k < rows[i].n; k++)
            assert_true(had[k]);
        assert_int_equal(s.kicks, 0);
    }
}

static void test_the_first_that_fails_ends_the_others(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct reg_stop stop;
    struct seen s = {.lock = PTHREAD_MUTEX_INITIALIZER, .stop = &stop, .fails_at = 2, .wait_for_stop = true};

    (void)state;
    assert_int_equal(reg_stop_init(&stop, -1, kick, &s, &err), 0);
    assert_int_equal(reg_jobs_run(20, 3, work, &s, &stop, &err), BH_E_DATA_LOSS);
    assert_string_equal(err.msg, "number 2");
    reg_stop_fini(&stop);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.kicks, 1);
}

static void *later(void *arg) {
    usleep(50000);
    assert_int_equal(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

static void test_a_cancelled_call_ends_all(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct reg_stop stop;
    struct seen s = {.lock = PTHREAD_MUTEX_INITIALIZER, .stop = &stop, .fails_at = SIZE_MAX, .wait_for_stop = true};
    pthread_t canceller;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(reg_stop_init(&stop, fds[0], kick, &s, &err), 0);
    assert_int_equal(pthread_create(&canceller, NULL, later, &fds[1]), 0);
    assert_int_equal(reg_jobs_run(20, 3, work, &s, &stop, &err), BH_E_CANCELLED);
    pthread_join(canceller, NULL);
    reg_stop_fini(&stop);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.kicks, 1);
    close(fds[0]);
    close(fds[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_run_and_not_too_many_at_once),
        cmocka_unit_test(test_the_first_that_fails_ends_the_others),
        cmocka_unit_test(test_a_cancelled_call_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
