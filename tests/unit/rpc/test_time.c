/*
 * test_time.c - what happens after 20 and 60 seconds, with clocks that are put back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "echo.h"
#include "rawsp.h"
#include "rpc/server_priv.h"

typedef Bulkhead__Test__V1__EchoRequest request;

static struct echo echo;
static struct raw_reply r;
static int fd;

static int set_up(void **state) {
    (void)state;
    echo_start(&echo, 0);
    fd = raw_connect(echo.dir);
    return raw_greet(fd);
}

static int tear_down(void **state) {
    (void)state;
    close(fd);
    echo_stop(&echo);
    return 0;
}

static void send_kind(uint32_t id, Bulkhead__Rpc__V1__Kind kind, uint64_t seq, bool end) {
    bh_envelope env = BH_ENVELOPE_INIT;

    env.kind = kind;
    env.call = 9;
    env.seq = seq;
    env.end = end;
    assert_int_equal(raw_send_frame(fd, id, &env, NULL, 0), 0);
}

static void open_stream(const char *method, uint64_t count) {
    request q = BULKHEAD__TEST__V1__ECHO_REQUEST__INIT;
    bh_envelope env = BH_ENVELOPE_INIT;
    uint8_t packed[64];

    q.count = count;
    env.kind = BH_KIND(OPEN);
    env.call = 9;
    env.method = (char *)method;
    env.stream = true;
    assert_int_equal(raw_send_frame(fd, 1, &env, packed, bulkhead__test__v1__echo_request__pack(&q, packed)), 0);
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->kind, BH_KIND(ACCEPTED));
}

/* Everything that the only call remembers happened `seconds` earlier; the timekeeper looks again. */
static void earlier(int seconds) {
    struct bh_server *s = echo.server;
    int64_t by = seconds * BH_NSEC;

    pthread_mutex_lock(&s->lock);
    assert_non_null(s->calls);
    for (unsigned i = 0; i < BH_WINDOW; i++)
        s->calls->pull[i].since -= by;
    s->calls->active -= by;
    s->calls->finished -= by;
    bh_server_wake(s, bh_mono_ns());
    pthread_mutex_unlock(&s->lock);
}

static unsigned calls(void) {
    struct bh_server *s = echo.server;
    unsigned n;

    pthread_mutex_lock(&s->lock);
    n = s->n_calls;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static void wait_calls(unsigned want) {
    for (int i = 0; i < 300 && calls() != want; i++)
        usleep(10000);
    assert_int_equal(calls(), want);
}

static void no_pull_is_held_for_ever(void **state) {
    (void)state;
    open_stream(ECHO_METHOD("Chat"), 0);
    send_kind(2, BH_KIND(PULL), 0, false);
    usleep(50000);
    send_kind(3, BH_KIND(PULL), 5, false);
    usleep(50000);
    earlier(21);
    for (int i = 0; i < 2; i++) {
        assert_true(raw_recv(fd, &r));
        assert_int_equal(r.frame.env->kind, BH_KIND(IDLE));
        assert_int_equal(r.frame.env->seq, r.id == 2 ? 0 : 5);
    }
    send_kind(4, BH_KIND(PULL), 0, false); /* the same number again is right now */
    send_kind(5, BH_KIND(PUSH), 0, true);
    assert_true(raw_recv(fd, &r));
    assert_true(r.frame.env->kind == BH_KIND(ACK) || r.frame.env->kind == BH_KIND(DONE));
    assert_true(raw_recv(fd, &r));
    assert_true(r.frame.env->kind == BH_KIND(ACK) || r.frame.env->kind == BH_KIND(DONE));
}

static void a_forgotten_stream_is_cancelled(void **state) {
    (void)state;
    open_stream(ECHO_METHOD("Chat"), 0);
    earlier(40);
    send_kind(2, BH_KIND(HELLO), 0, false); /* with the call's id: still wanted */
    assert_true(raw_recv(fd, &r));
    earlier(40);
    usleep(100000);
    send_kind(3, BH_KIND(HELLO), 0, false);
    assert_true(raw_recv(fd, &r));
    earlier(61);
    usleep(100000);
    send_kind(4, BH_KIND(PULL), 0, false);
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->kind, BH_KIND(DONE));
    assert_int_equal(r.frame.env->status, 1);
}

static void the_end_is_remembered_for_a_minute(void **state) {
    (void)state;
    open_stream(ECHO_METHOD("Count"), 0);
    usleep(100000);
    earlier(30);
    for (uint32_t i = 0; i < 3; i++) { /* each question is answered */
        send_kind(2 + i, BH_KIND(PULL), i, false);
        assert_true(raw_recv(fd, &r));
        assert_int_equal(r.frame.env->kind, BH_KIND(DONE));
        assert_int_equal(r.frame.env->status, 0);
    }
    earlier(61);
    wait_calls(0);
    send_kind(9, BH_KIND(PULL), 0, false);
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->status, 5);
}

static void cancel_and_last_pull_forget(void **state) {
    (void)state;
    open_stream(ECHO_METHOD("Count"), 0);
    assert_int_equal(calls(), 1);
    send_kind(2, BH_KIND(CANCEL), 0, false);
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->kind, BH_KIND(ACK));
    wait_calls(0);
    open_stream(ECHO_METHOD("Count"), 0);
    send_kind(3, BH_KIND(PULL), 0, true);
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->kind, BH_KIND(DONE));
    wait_calls(0);
}

/* After a burst the threads of handlers go. */
static void threads_end_after_idling(void **state) {
    struct bh_server *s = echo.server;
    unsigned threads = 1;

    (void)state;
    open_stream(ECHO_METHOD("Count"), 0);
    for (int i = 0; i < 1200 && threads > 0; i++) {
        usleep(10000);
        pthread_mutex_lock(&s->lock);
        threads = s->pool.threads;
        pthread_mutex_unlock(&s->lock);
    }
    assert_int_equal(threads, 0);
}

static void *nothing(void *arg) {
    return arg;
}

/* A service that nobody can reach any more ends, so that it is started again. */
static void an_unreachable_service_ends(void **state) {
    struct bh_server *s = echo.server;
    char path[96];

    (void)state;
    snprintf(path, sizeof path, "%s/rpc.sock", echo.dir);
    assert_int_equal(unlink(path), 0);
    pthread_mutex_lock(&s->lock);
    s->last_join -= 30 * BH_NSEC;
    pthread_mutex_unlock(&s->lock);
    pthread_join(echo.thread, NULL);
    assert_int_equal(echo.rc, BH_E_UNAVAILABLE);
    pthread_create(&echo.thread, NULL, nothing, NULL); /* for tear_down to join */
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(no_pull_is_held_for_ever),    T(a_forgotten_stream_is_cancelled), T(the_end_is_remembered_for_a_minute),
        T(cancel_and_last_pull_forget), T(threads_end_after_idling),        T(an_unreachable_service_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
