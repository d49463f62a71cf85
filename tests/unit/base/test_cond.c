/*
 * test_cond.c - waiting by the monotonic clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/cond.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static bool done;

static void test_time_passes(void **state) {
    int64_t start = bh_mono_ns(), until = start + BH_NSEC / 50;

    (void)state;
    pthread_mutex_lock(&lock);
    while (bh_cond_wait_until(&changed, &lock, until))
        continue;
    assert_true(bh_mono_ns() >= until);
    assert_false(bh_cond_wait_until(&changed, &lock, start)); /* long past */
    pthread_mutex_unlock(&lock);
}

static void *wake(void *arg) {
    pthread_mutex_lock(&lock);
    done = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return arg;
}

/* Woken with a time that is far and with none. */
static void test_woken(void **state) {
    int64_t times[] = {bh_mono_ns() + 3600 * BH_NSEC, 0};

    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        pthread_t t;

        pthread_mutex_lock(&lock);
        done = false;
        assert_int_equal(pthread_create(&t, NULL, wake, NULL), 0);
        while (!done)
            assert_true(bh_cond_wait_until(&changed, &lock, times[i]));
        pthread_mutex_unlock(&lock);
        pthread_join(t, NULL);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_passes),
        cmocka_unit_test(test_woken),
    };

    bh_cond_init(&changed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
