/*
 * test_traps.c - what is known to go wrong with nng 1.5.2, and what hostile clients do, each once.
 *
 * The service is a process of its own where it is killed or its memory is looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/fdpass.h"
#include "echo.h"
#include "rawsp.h"

typedef Bulkhead__Test__V1__EchoRequest request;
#define REQUEST BULKHEAD__TEST__V1__ECHO_REQUEST__INIT

static char dir[64];
static pid_t server;
static struct bh_conn *conn;

static int set_up(void **state) {
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    snprintf(dir, sizeof dir, "/tmp/bh-rpc-XXXXXX");
    if (mkdtemp(dir) == NULL || chmod(dir, 0755) != 0)
        return -1;
    server = echo_spawn(dir, NULL);
    return bh_conn_open(dir, &conn, &err);
}

static void remove_dir(void) {
    static const char *const names[] = {"rpc.sock", "fd.sock", "log"};

    for (unsigned i = 0; i < 3; i++) {
        char path[128];

        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static int tear_down(void **state) {
    (void)state;
    bh_conn_close(conn);
    if (server > 0)
        echo_kill(server);
    server = 0;
    remove_dir();
    return 0;
}

#define ok(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != 0)                                                                                               \
            fail_msg("%s: %d %s", #call, err.code, err.msg);                                                           \
    } while (0)

/* A client that has not been there before still gets in. */
static void still_accepts(void) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_conn *c;

    ok(bh_conn_open(dir, &c, &err));
    ok(echo_say(c, ECHO_METHOD("Say"), "in", 5000, 0, &err));
    bh_conn_close(c);
}

static void listener_survives(void **state) {
    static const char *const texts[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\xff\xff\xff\xff\xff\xff\xff\xff",
                                        "SSH-2.0-x\r\n", "hello, anybody there?"};
    struct linger reset = {.l_onoff = 1};

    (void)state;
    for (int i = 0; i < 1000; i++)
        close(raw_connect(dir));
    still_accepts();
    for (int i = 0; i < 200; i++) { /* with a reset instead of an end */
        int fd = raw_connect(dir);

        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    still_accepts();
    for (unsigned i = 0; i < 200; i++) {
        int fd = raw_connect(dir);

        (void)bh_write_all(fd, texts[i % 4], strlen(texts[i % 4]));
        close(fd);
    }
    still_accepts();
    for (size_t i = 0; i < 200; i++) { /* a greeting that stops half-way */
        int fd = raw_connect(dir);

        (void)bh_write_all(fd, "\0SP\0\0\x30\0\0", i % 8);
        close(fd);
    }
    still_accepts();
    for (unsigned i = 0; i < 200; i++) { /* garbage behind a good greeting */
        int fd = raw_connect(dir);

        if (raw_greet(fd) == 0)
            (void)raw_send(fd, i, texts[i % 4], strlen(texts[i % 4]));
        close(fd);
    }
    still_accepts();
}

static void garbage_costs_the_connection(void **state) {
    int fd = raw_connect(dir);

    (void)state;
    assert_int_equal(raw_greet(fd), 0);
    assert_int_equal(raw_send(fd, 1, "BH\1\0\377\377\0\0", 8), 0);
    assert_true(raw_closed(fd));
    close(fd);
    still_accepts();
}

static unsigned long status_kb(pid_t pid, const char *key) {
    char path[64], line[128];
    unsigned long kb = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0)
            kb = strtoul(line + strlen(key), NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    return kb;
}

/* Nine bytes that announce a gigabyte must not reserve one. */
static void length_is_limited(void **state) {
    static const uint8_t gigabyte[] = {1, 0, 0, 0, 0, 0x40, 0, 0, 0},
                         absurd[] = {1, 255, 255, 255, 255, 255, 255, 255, 255};
    unsigned long before;
    int fd;

    (void)state;
    still_accepts();
    before = status_kb(server, "VmSize:");
    fd = raw_connect(dir);
    assert_int_equal(raw_greet(fd), 0);
    assert_int_equal(bh_write_all(fd, gigabyte, sizeof gigabyte), 0);
    assert_true(raw_closed(fd));
    close(fd);
    assert_true(status_kb(server, "VmSize:") < before + (512 << 10));
    fd = raw_connect(dir);
    assert_int_equal(raw_greet(fd), 0);
    assert_int_equal(bh_write_all(fd, absurd, sizeof absurd), 0);
    assert_true(raw_closed(fd));
    close(fd);
    still_accepts();
}

static void send_hello(int fd, uint32_t id) {
    bh_envelope env = BH_ENVELOPE_INIT;

    env.kind = BH_KIND(HELLO);
    (void)raw_send_frame(fd, id, &env, NULL, 0);
}

/* Clients that send and never read: they lose their connection, honest ones notice nothing. */
static void never_reading_clients(void **state) {
    struct bh_err err = BH_ERR_INIT;
    int fd[3];

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    ok(echo_say(conn, ECHO_METHOD("Say"), "before", 5000, 0, &err));
    for (int i = 0; i < 3; i++) {
        int small = 4096;

        fd[i] = raw_connect(dir);
        assert_int_equal(raw_greet(fd[i]), 0);
        setsockopt(fd[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        bh_set_nonblock(fd[i], true);
    }
    for (uint32_t n = 0; n < 5000; n++) {
        for (int i = 0; i < 3; i++)
            send_hello(fd[i], n);
        if (n % 500 == 0)
            ok(echo_say(conn, ECHO_METHOD("Say"), "meanwhile", 5000, 0, &err));
    }
    ok(echo_say(conn, ECHO_METHOD("Say"), "after", 5000, 0, &err));
    for (int i = 0; i < 3; i++) {
        bh_set_nonblock(fd[i], false);
        assert_true(raw_closed(fd[i]));
        close(fd[i]);
    }
    assert_true(status_kb(server, "VmRSS:") < (200 << 10));
}

/* ---- restarts ---------------------------------------------------------------------------- */

static void restart(const char *log) {
    char path[96];

    if (server > 0)
        echo_kill(server);
    snprintf(path, sizeof path, "%s/fd.sock", dir);
    unlink(path); /* its return tells that the new one listens */
    server = echo_spawn(dir, log);
}

static unsigned executions(const char *log) {
    struct stat st;

    return stat(log, &st) == 0 ? (unsigned)st.st_size : 0;
}

struct slow {
    unsigned flags;
    int rc;
    int64_t took;
    const char *method;
};

static void *slow_call(void *arg) {
    struct slow *s = arg;
    struct bh_err err = BH_ERR_INIT;
    request q = REQUEST;
    ProtobufCMessage *m = NULL;
    int64_t start = bh_mono_ns();

    q.ms = 700;
    s->rc = bh_conn_call(conn, s->method, &q.base, ECHO_REPLY, 20000, s->flags, &m, &err);
    s->took = bh_mono_ns() - start;
    if (m != NULL)
        protobuf_c_message_free_unpacked(m, NULL);
    return NULL;
}

static void nothing_runs_twice(void **state) {
    struct slow once = {.method = ECHO_METHOD("Say")};
    struct slow again = {.method = ECHO_METHOD("Again"), .flags = BH_CALL_IDEMPOTENT};
    struct bh_err err = BH_ERR_INIT;
    char log[96];
    pthread_t id;
    uint64_t epoch;

    (void)state;
    snprintf(log, sizeof log, "%s/log", dir);
    bh_conn_close(conn);
    restart(log);
    ok(bh_conn_open(dir, &conn, &err));
    ok(echo_say(conn, ECHO_METHOD("Say"), "x", 5000, 0, &err));
    epoch = bh_conn_epoch(conn);
    for (int i = 0; i < 500 && epoch == 0; i++) { /* the answer to HELLO may come after that of the call */
        usleep(10000);
        epoch = bh_conn_epoch(conn);
    }
    assert_true(epoch != 0);
    assert_int_equal(executions(log), 1);
    pthread_create(&id, NULL, slow_call, &once);
    usleep(200000);
    restart(log);
    pthread_join(id, NULL);
    assert_int_equal(once.rc, BH_E_UNAVAILABLE);
    assert_true(once.took < BH_NSEC);
    ok(echo_say(conn, ECHO_METHOD("Say"), "x", 5000, 0, &err));
    usleep(300000);
    assert_int_equal(executions(log), 3); /* first, the killed one, the last: nothing was sent again */
    assert_true(bh_conn_epoch(conn) != epoch);

    pthread_create(&id, NULL, slow_call, &again);
    usleep(200000);
    restart(log);
    pthread_join(id, NULL);
    assert_int_equal(again.rc, 0); /* once more, because it may */
    assert_int_equal(executions(log), 5);
}

static void service_killed_in_a_stream(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_stream *s, *up;
    request q = REQUEST;
    const void *data;
    size_t n;
    int64_t start;
    int rc = 0;

    (void)state;
    q.count = 1u << 30;
    ok(bh_stream_open(conn, ECHO_METHOD("Count"), &q.base, NULL, &s, &err));
    ok(bh_stream_open(conn, ECHO_METHOD("Sum"), &q.base, NULL, &up, &err));
    for (int i = 0; i < 100; i++)
        ok(bh_stream_recv(s, &data, &n, &err));
    echo_kill(server);
    server = 0;
    start = bh_mono_ns();
    while (rc == 0 && bh_mono_ns() - start < 5 * BH_NSEC)
        rc = bh_stream_recv(s, &data, &n, &err);
    assert_int_equal(rc, BH_E_UNAVAILABLE);
    assert_int_equal(bh_stream_finish(s, NULL, NULL, &err), BH_E_UNAVAILABLE);
    bh_stream_free(s);
    for (rc = 0; rc == 0;)
        rc = bh_stream_send(up, "x", 1, &err);
    assert_int_equal(rc, BH_E_UNAVAILABLE);
    bh_stream_free(up);
    assert_true(bh_mono_ns() - start < BH_NSEC);
    restart(NULL);
    ok(echo_say(conn, ECHO_METHOD("Say"), "back", 10000, 0, &err));
}

static int listen_on(void) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/rpc.sock", dir);
    unlink(addr.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

/* A service that accepts and dies at once must not stop its clients from trying again. */
static void dialer_survives_flaps(void **state) {
    struct bh_err err = BH_ERR_INIT;
    int64_t until = bh_mono_ns() + 2 * BH_NSEC;
    unsigned flaps = 0;
    int fd;

    (void)state;
    ok(echo_say(conn, ECHO_METHOD("Say"), "x", 5000, 0, &err));
    echo_kill(server);
    fd = listen_on();
    while (bh_mono_ns() < until && flaps < 10) {
        int c = accept(fd, NULL, NULL);

        if (c >= 0) {
            flaps++;
            close(c);
        }
        usleep(1000);
    }
    assert_true(flaps > 0);
    close(fd);
    server = echo_spawn(dir, NULL);
    ok(echo_say(conn, ECHO_METHOD("Say"), "x", 10000, 0, &err));
}

/* ---- a service in this process, to look at what its handlers see -------------------------------- */

static struct echo echo;

static int set_up_here(void **state) {
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    echo_start(&echo, 0);
    snprintf(dir, sizeof dir, "%s", echo.dir);
    return bh_conn_open(dir, &conn, &err);
}

static int tear_down_here(void **state) {
    (void)state;
    bh_conn_close(conn);
    echo_stop(&echo);
    return 0;
}

static void open_call(int fd, uint32_t id, uint64_t call, const char *method, const request *q, unsigned fds) {
    bh_envelope env = BH_ENVELOPE_INIT;
    uint8_t packed[256];

    env.kind = BH_KIND(OPEN);
    env.call = call;
    env.method = (char *)method;
    env.stream = true;
    env.fds = fds;
    assert_int_equal(raw_send_frame(fd, id, &env, packed, bulkhead__test__v1__echo_request__pack(q, packed)), 0);
}

static void pull(int fd, uint32_t id, uint64_t call, uint64_t seq) {
    bh_envelope env = BH_ENVELOPE_INIT;

    env.kind = BH_KIND(PULL);
    env.call = call;
    env.seq = seq;
    assert_int_equal(raw_send_frame(fd, id, &env, NULL, 0), 0);
}

static void soon(atomic_uint *v, unsigned want) {
    for (int i = 0; i < 300 && atomic_load(v) != want; i++)
        usleep(10000);
    assert_int_equal(atomic_load(v), want);
}

static void client_gone_in_a_stream(void **state) {
    static struct raw_reply r;
    request q = REQUEST;
    int fd = raw_connect(dir);

    (void)state;
    q.count = 1u << 30;
    assert_int_equal(raw_greet(fd), 0);
    open_call(fd, 1, 77, ECHO_METHOD("Count"), &q, 0);
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->kind, BH_KIND(ACCEPTED));
    pull(fd, 2, 77, 0);
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->kind, BH_KIND(DATA));
    close(fd);
    soon(&echo.room.cancelled, 1);
}

static void window_is_kept(void **state) {
    static struct raw_reply r;
    request q = REQUEST;
    int fd = raw_connect(dir);

    (void)state;
    assert_int_equal(raw_greet(fd), 0);
    open_call(fd, 1, 5, ECHO_METHOD("Chat"), &q, 0);
    assert_true(raw_recv(fd, &r));
    pull(fd, 2, 5, 8); /* one past the window */
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.id, 2);
    assert_int_equal(r.frame.env->kind, BH_KIND(DONE));
    assert_int_equal(r.frame.env->status, 3);
    pull(fd, 3, 5, 0);
    pull(fd, 4, 5, 0); /* twice the same */
    assert_true(raw_recv(fd, &r));
    assert_true(r.id == 3 || r.id == 4); /* requests of one connection may overtake each other */
    assert_int_equal(r.frame.env->status, 3);
    pull(fd, 5, 6, 0); /* no such call */
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->status, 5);
    open_call(fd, 6, 5, ECHO_METHOD("Chat"), &q, 0); /* id in use */
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->status, 3);
    close(fd);
}

static void calls_are_limited(void **state) {
    static struct raw_reply r;
    request q = REQUEST;
    int fd = raw_connect(dir);

    (void)state;
    assert_int_equal(raw_greet(fd), 0);
    for (uint32_t i = 1; i <= 65; i++) {
        open_call(fd, i, i, ECHO_METHOD("Chat"), &q, 0);
        assert_true(raw_recv(fd, &r));
        assert_int_equal(r.frame.env->kind, i <= 64 ? BH_KIND(ACCEPTED) : BH_KIND(DONE));
    }
    assert_int_equal(r.frame.env->status, 8);
    close(fd);
}

static void refused_user(void **state) {
    static struct raw_reply r;
    request q = REQUEST;
    int fd;

    (void)state;
    if (geteuid() != 0)
        skip();
    fd = raw_connect_as(dir, 65534); /* roles_of: nobody */
    assert_true(fd >= 0);
    for (uint32_t i = 1; i <= 3; i++) {
        open_call(fd, i, i, ECHO_METHOD("Say"), &q, 0);
        assert_true(raw_recv(fd, &r));
        assert_int_equal(r.frame.env->kind, BH_KIND(DONE));
        assert_int_equal(r.frame.env->status, 7);
        assert_non_null(strstr(r.frame.env->message, "65534"));
    }
    assert_true(raw_closed(fd));
    close(fd);
    fd = raw_connect_as(dir, 65533); /* an ordinary user: not the administrator's methods */
    open_call(fd, 1, 1, ECHO_METHOD("Admin"), &q, 0);
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->status, 7);
    open_call(fd, 2, 2, ECHO_METHOD("Say"), &q, 0);
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->kind, BH_KIND(ACCEPTED));
    soon(&echo.room.runs, 1);
    close(fd);
}

/* ---- tokens ------------------------------------------------------------------------------ */

static int fd_connect(unsigned uid) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    (void)uid;
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/fd.sock", dir);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

static bool send_token(int to, const uint8_t *token, size_t n, int beside) {
    struct bh_err err = BH_ERR_INIT;

    return bh_fdpass_send(to, token, n, &beside, beside >= 0, &err) == BH_FDPASS_OK;
}

static bool fd_closed(int fd) {
    char c;

    return recv(fd, &c, 1, 0) == 0;
}

static void tokens(void **state) {
    static struct raw_reply r;
    request q = REQUEST;
    uint8_t token[16], wrong[16] = {0};
    int fd = raw_connect(dir), c, null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)state;
    assert_int_equal(raw_greet(fd), 0);
    open_call(fd, 1, 1, ECHO_METHOD("Fds"), &q, 1);
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->token.len, 16);
    memcpy(token, r.frame.env->token.data, 16);
    /* a wrong one, a short one */
    c = fd_connect(0);
    assert_true(send_token(c, wrong, 16, null));
    assert_true(fd_closed(c));
    close(c);
    c = fd_connect(0);
    assert_true(send_token(c, token, 15, null));
    assert_true(fd_closed(c));
    close(c);
    /* the right one, then the same again */
    c = fd_connect(0);
    assert_true(send_token(c, token, 16, null));
    pull(fd, 2, 1, 0);
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->kind, BH_KIND(DONE));
    assert_int_equal(r.frame.env->status, 0);
    close(c);
    c = fd_connect(0);
    assert_true(send_token(c, token, 16, null));
    assert_true(fd_closed(c));
    close(c);
    /* nobody comes with a token: 2 s for the connection, silence is no way to hold a place */
    c = fd_connect(0);
    assert_true(fd_closed(c));
    close(c);
    close(null);
    close(fd);
}

struct other {
    uint8_t token[16];
    bool closed;
};

static void *show_token_as_other(void *arg) {
    struct other *o = arg;
    int c;

    if (syscall(SYS_setresuid, 65533, 65533, 65533) != 0)
        return NULL;
    c = fd_connect(65533);
    if (send_token(c, o->token, 16, -1))
        o->closed = fd_closed(c);
    close(c);
    return NULL;
}

static void token_of_another_user(void **state) {
    static struct raw_reply r;
    struct other o = {0};
    request q = REQUEST;
    pthread_t id;
    int fd = raw_connect(dir);

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(raw_greet(fd), 0);
    open_call(fd, 1, 1, ECHO_METHOD("Fds"), &q, 1);
    assert_true(raw_recv(fd, &r));
    memcpy(o.token, r.frame.env->token.data, 16);
    pthread_create(&id, NULL, show_token_as_other, &o);
    pthread_join(id, NULL);
    assert_true(o.closed);
    soon(&echo.room.runs, 1);
    close(fd);
}

/* Ten seconds: the handler gives up, the token is worth nothing. */
static void token_expires(void **state) {
    static struct raw_reply r;
    request q = REQUEST;
    uint8_t token[16];
    int fd = raw_connect(dir), c;

    (void)state;
    assert_int_equal(raw_greet(fd), 0);
    open_call(fd, 1, 1, ECHO_METHOD("Fds"), &q, 1);
    assert_true(raw_recv(fd, &r));
    memcpy(token, r.frame.env->token.data, 16);
    sleep(10);
    c = fd_connect(0);
    usleep(50000);
    assert_true(send_token(c, token, 16, -1));
    assert_true(fd_closed(c));
    close(c);
    pull(fd, 2, 1, 0);
    assert_true(raw_recv(fd, &r));
    assert_int_equal(r.frame.env->kind, BH_KIND(DONE));
    assert_int_equal(r.frame.env->status, 4);
    close(fd);
}

static void stop_answers_running_calls(void **state) {
    struct slow s = {.method = ECHO_METHOD("Say")};
    pthread_t id;

    (void)state;
    pthread_create(&id, NULL, slow_call, &s);
    usleep(200000);
    bh_server_stop(echo.server);
    pthread_join(id, NULL);
    assert_int_equal(s.rc, 0);
}

#define CHILD(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define HERE(f)  cmocka_unit_test_setup_teardown(f, set_up_here, tear_down_here)

/* nng 1.5.2 forgets what was on its way when a connection closed; a server whose contexts it has not ended
 * within 2 s is left alone by bh_tserver_free. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libnng.so\nleak:bh_tserver_listen";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CHILD(listener_survives),
        CHILD(garbage_costs_the_connection),
        CHILD(length_is_limited),
        CHILD(never_reading_clients),
        CHILD(nothing_runs_twice),
        CHILD(service_killed_in_a_stream),
        CHILD(dialer_survives_flaps),
        HERE(client_gone_in_a_stream),
        HERE(window_is_kept),
        HERE(calls_are_limited),
        HERE(refused_user),
        HERE(tokens),
        HERE(token_of_another_user),
        HERE(token_expires),
        HERE(stop_answers_running_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
