/*
 * echo.c - handlers and start-up of the test service.
 */
#include "echo.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

typedef Bulkhead__Test__V1__EchoRequest request;
typedef Bulkhead__Test__V1__EchoReply reply;
#define REPLY BULKHEAD__TEST__V1__ECHO_REPLY__INIT

static void ran(struct echo_room *r) {
    atomic_fetch_add(&r->runs, 1);
    if (r->log_fd >= 0)
        (void)!write(r->log_fd, "x", 1);
}

static int say(void *room, struct bh_call *call, const ProtobufCMessage *message, struct bh_err *err) {
    const request *q = (const request *)message;
    reply r = REPLY;

    ran(room);
    if (q->ms != 0)
        usleep(q->ms * 1000);
    if (q->status != 0) {
        bh_err_set(err, bh_err_from_wire(q->status), "say: %s", q->text);
        bh_err_reason(err, "as-asked");
        return bh_err_hint(err, "ask for something else");
    }
    r.text = q->text;
    r.count = q->count;
    r.data = q->data;
    return bh_call_reply(call, &r.base, err);
}

/* Waits until it is cancelled, or q->ms have passed. */
static int wait_method(void *room, struct bh_call *call, const ProtobufCMessage *message, struct bh_err *err) {
    const request *q = (const request *)message;
    struct echo_room *r = room;
    struct pollfd v = {.fd = bh_call_cancel_fd(call), .events = POLLIN};
    reply out = REPLY;

    ran(room);
    atomic_fetch_add(&r->waiting, 1);
    if (poll(&v, 1, q->ms != 0 ? (int)q->ms : -1) == 1 && bh_call_cancelled(call)) {
        atomic_fetch_add(&r->cancelled, 1);
        atomic_fetch_sub(&r->waiting, 1);
        return bh_err_set(err, BH_E_CANCELLED, "wait: cancelled");
    }
    atomic_fetch_sub(&r->waiting, 1);
    return bh_call_reply(call, &out.base, err);
}

/* q->count messages, or with q->data chunks of that many bytes. */
static int count(void *room, struct bh_call *call, const ProtobufCMessage *message, struct bh_err *err) {
    const request *q = (const request *)message;
    struct echo_room *r = room;
    void *chunk = q->ms != 0 ? bh_xcalloc(1, q->ms) : NULL;
    int rc = 0;

    ran(room);
    for (uint64_t i = 0; i < q->count && rc == 0; i++) {
        reply out = REPLY;

        out.count = i;
        out.text = q->text;
        rc = chunk != NULL ? bh_call_send_bytes(call, chunk, q->ms, err) : bh_call_send_msg(call, &out.base, err);
    }
    free(chunk);
    if (rc == BH_E_CANCELLED)
        atomic_fetch_add(&r->cancelled, 1);
    if (rc == 0 && q->status != 0)
        return bh_err_set(err, bh_err_from_wire(q->status), "count: %s", q->text);
    return rc;
}

static int sum(void *room, struct bh_call *call, const ProtobufCMessage *message, struct bh_err *err) {
    reply out = REPLY;
    const void *data;
    size_t n;

    (void)message;
    ran(room);
    for (;;) {
        if (bh_call_recv_bytes(call, &data, &n, err) != 0) {
            atomic_fetch_add(&((struct echo_room *)room)->cancelled, 1);
            return err->code;
        }
        if (data == NULL)
            break;
        for (size_t i = 0; i < n; i += 4096)
            out.count += ((const uint8_t *)data)[i] & 0;
        out.count += n;
    }
    return bh_call_reply(call, &out.base, err);
}

static int chat(void *room, struct bh_call *call, const ProtobufCMessage *message, struct bh_err *err) {
    const void *data;
    size_t n;

    (void)message;
    ran(room);
    for (;;) {
        if (bh_call_recv_bytes(call, &data, &n, err) != 0)
            return err->code;
        if (data == NULL)
            return 0;
        if (bh_call_send_bytes(call, data, n, err) != 0)
            return err->code;
    }
}

/* Takes descriptors if some were announced; gives q->count back (the first one that came, or /dev/null). */
static int fds(void *room, struct bh_call *call, const ProtobufCMessage *message, struct bh_err *err) {
    const request *q = (const request *)message;
    int in[BH_CALL_MAX_FDS], give[BH_CALL_MAX_FDS];
    reply out = REPLY;
    unsigned n = 0;
    int null, rc = 0;

    ran(room);
    if (bh_call_wants_fds(call) && bh_call_take_fds(call, in, BH_CALL_MAX_FDS, &n, err) != 0)
        return err->code;
    for (unsigned i = 0; i < n; i++)
        (void)!write(in[i], "hello", 5);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (unsigned i = 0; i < q->count && i < BH_CALL_MAX_FDS; i++)
        give[i] = n > 0 ? in[0] : null;
    if (q->count > 0)
        rc = bh_call_give_fds(call, give, (unsigned)q->count, err);
    for (unsigned i = 0; i < n; i++)
        close(in[i]);
    close(null);
    out.count = n;
    return rc != 0 ? rc : bh_call_reply(call, &out.base, err);
}

static const struct bh_method methods[] = {
    {"Say", BH_UNARY, BH_ROLE_ANY, 0, 0, 0, say},
    {"Again", BH_UNARY, BH_ROLE_ANY, 1 << 20, 0, BH_METHOD_IDEMPOTENT, say},
    {"Admin", BH_UNARY, BH_ROLE_ADMIN, 0, 0, BH_METHOD_SECRET, say},
    {"Wait", BH_UNARY, BH_ROLE_ANY, 0, 0, 0, wait_method},
    {"Count", BH_SERVER_STREAM, BH_ROLE_ANY, 0, 0, 0, count},
    {"Sum", BH_CLIENT_STREAM, BH_ROLE_ANY, 0, 0, 0, sum},
    {"Chat", BH_BIDI_STREAM, BH_ROLE_ANY, 0, 0, 0, chat},
    {"Fds", BH_UNARY, BH_ROLE_ANY, 0, 0, BH_METHOD_FDS, fds},
};

const struct bh_service echo_service = {
    .desc = &bulkhead__test__v1__echo__descriptor, .methods = methods, .n_methods = BH_ARRAY_LEN(methods)};

static unsigned roles_of(void *arg, uid_t uid, gid_t gid) {
    (void)arg;
    (void)gid;
    return uid == 65534 ? BH_ROLE_NOBODY : BH_ROLE_USER;
}

static void *serve(void *arg) {
    struct echo *e = arg;
    struct bh_err err = BH_ERR_INIT;

    e->rc = bh_server_run(e->server, &err);
    if (e->rc != 0)
        fprintf(stderr, "echo: %s\n", err.msg);
    return NULL;
}

void echo_start_in(struct echo *e, const char *dir, unsigned threads) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_server_config config = {.dir = dir,
                                      .mode = 0666,
                                      .service_name = "echo",
                                      .services = &echo_service,
                                      .n_services = 1,
                                      .room = &e->room,
                                      .roles_of = roles_of,
                                      .threads = threads};

    snprintf(e->dir, sizeof e->dir, "%s", dir);
    if (bh_server_listen(&config, &e->server, &err) != 0) {
        fprintf(stderr, "echo: %s\n", err.msg);
        abort();
    }
    if (pthread_create(&e->thread, NULL, serve, e) != 0)
        abort();
}

void echo_start(struct echo *e, unsigned threads) {
    char dir[] = "/tmp/bh-rpc-XXXXXX";

    *e = (struct echo){.room.log_fd = -1};
    if (mkdtemp(dir) == NULL || chmod(dir, 0755) != 0)
        abort();
    echo_start_in(e, dir, threads);
}

void echo_stop(struct echo *e) {
    char path[128];

    bh_server_stop(e->server);
    pthread_join(e->thread, NULL);
    bh_server_free(e->server);
    snprintf(path, sizeof path, "%s/fd.sock", e->dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/rpc.sock", e->dir);
    unlink(path);
    rmdir(e->dir);
}

pid_t echo_spawn(const char *dir, const char *log) {
    char *argv[] = {(char *)ECHO_SERVER, (char *)dir, (char *)log, NULL};
    extern char **environ;
    char path[128];
    pid_t pid;

    if (posix_spawn(&pid, ECHO_SERVER, NULL, NULL, argv, environ) != 0)
        abort();
    snprintf(path, sizeof path, "%s/fd.sock", dir);
    for (int i = 0; i < 500 && access(path, F_OK) != 0; i++)
        usleep(10000);
    return pid;
}

void echo_kill(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

int echo_say(struct bh_conn *c, const char *method, const char *text, uint32_t timeout_ms, unsigned flags,
             struct bh_err *err) {
    request q = BULKHEAD__TEST__V1__ECHO_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    int rc;

    q.text = (char *)text;
    rc = bh_conn_call(c, method, &q.base, ECHO_REPLY, timeout_ms, flags, &m, err);
    if (rc == 0) {
        assert(strcmp(((reply *)m)->text, text) == 0);
        protobuf_c_message_free_unpacked(m, NULL);
    }
    return rc;
}
