/*
 * test_leave.c - a service notices that clients leave, however they leave.
 *
 * nng 1.5.2 can lose the end of a transfer when a connection closes at the wrong moment, and then never
 * ends another connection (docs/protocol.md, "Carrier").  test_leave ROUNDS does more of it.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "echo.h"
#include "rawsp.h"
#include "rpc/server_priv.h"

typedef Bulkhead__Test__V1__EchoRequest request;

static struct echo echo;
static int rounds = 20;

static int set_up(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    echo_start(&echo, 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    echo_stop(&echo);
    return 0;
}

static unsigned peers(void) {
    struct bh_server *s = echo.server;
    unsigned n;

    pthread_mutex_lock(&s->lock);
    n = HASH_COUNT(s->peers);
    pthread_mutex_unlock(&s->lock);
    return n;
}

static void all_gone(int round) {
    for (int i = 0; i < 300 && peers() > 0; i++)
        usleep(10000);
    if (peers() != 0)
        fail_msg("round %d: %u clients that have left are still there", round, peers());
}

static void hello(int fd, uint32_t id) {
    bh_envelope env = BH_ENVELOPE_INIT;

    env.kind = BH_KIND(HELLO);
    (void)raw_send_frame(fd, id, &env, NULL, 0);
}

/* Sends without reading until it is thrown out. */
static void flood(void **state) {
    (void)state;
    for (int r = 0; r < rounds; r++) {
        int fd = raw_connect(echo.dir);

        assert_int_equal(raw_greet(fd), 0);
        bh_set_nonblock(fd, true);
        for (uint32_t i = 0; i < 20000; i++) {
            struct pollfd v = {.fd = fd, .events = POLLOUT};

            hello(fd, i);
            if (poll(&v, 1, 0) == 1 && (v.revents & (POLLERR | POLLHUP)) != 0)
                break;
        }
        close(fd);
        all_gone(r);
    }
}

static void open_count(int fd, uint64_t call) {
    request q = BULKHEAD__TEST__V1__ECHO_REQUEST__INIT;
    bh_envelope env = BH_ENVELOPE_INIT;
    uint8_t packed[64];

    q.count = 1u << 30;
    q.ms = 1u << 20;
    env.kind = BH_KIND(OPEN);
    env.call = call;
    env.method = ECHO_METHOD("Count");
    env.stream = true;
    assert_int_equal(raw_send_frame(fd, 1, &env, packed, bulkhead__test__v1__echo_request__pack(&q, packed)), 0);
}

static void pull(int fd, uint64_t seq) {
    bh_envelope env = BH_ENVELOPE_INIT;

    env.kind = BH_KIND(PULL);
    env.call = 1;
    env.seq = seq;
    (void)raw_send_frame(fd, 2, &env, NULL, 0);
}

/* Reads a stream of large chunks and leaves in the middle: how = close or a half-close. */
static void leave_in_a_stream(bool half) {
    static uint8_t buf[64 << 10];
    static struct raw_reply accepted;

    for (int r = 0; r < rounds; r++) {
        int fd = raw_connect(echo.dir);
        size_t got = 0, stop = (size_t)(rand() % (4 << 20));

        assert_int_equal(raw_greet(fd), 0);
        open_count(fd, 1);
        assert_true(raw_recv(fd, &accepted));
        for (uint64_t i = 0; i < 6; i++)
            pull(fd, i);
        while (got < stop) {
            ssize_t n = read(fd, buf, sizeof buf);

            if (n <= 0)
                break;
            got += (size_t)n;
        }
        if (half) {
            shutdown(fd, SHUT_WR);
            while (read(fd, buf, sizeof buf) > 0)
                ;
        }
        close(fd);
        all_gone(r);
    }
}

static void close_in_a_stream(void **state) {
    (void)state;
    leave_in_a_stream(false);
}

static void half_close_in_a_stream(void **state) {
    (void)state;
    leave_in_a_stream(true);
}

/* The same while requests are still on their way in. */
static void close_while_sending(void **state) {
    static uint8_t garbage[64 << 10];

    (void)state;
    for (int r = 0; r < rounds; r++) {
        int fd = raw_connect(echo.dir);
        bh_envelope env = BH_ENVELOPE_INIT;

        assert_int_equal(raw_greet(fd), 0);
        env.kind = BH_KIND(PUSH);
        env.call = 1;
        for (uint32_t i = 0; i < (uint32_t)(rand() % 40); i++)
            (void)raw_send_frame(fd, i, &env, garbage, sizeof garbage);
        if (r % 2 == 0)
            (void)raw_send(fd, 1, "garbage", 7); /* ends the connection from the other side */
        for (uint32_t i = 0; i < (uint32_t)(rand() % 40); i++)
            (void)raw_send_frame(fd, i, &env, garbage, sizeof garbage);
        close(fd);
        all_gone(r);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* nng 1.5.2 forgets the message of an answer that was on its way when its connection closed. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libnng.so";
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        T(flood),
        T(close_in_a_stream),
        T(half_close_in_a_stream),
        T(close_while_sending),
    };

    if (argc > 1)
        rounds = atoi(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
