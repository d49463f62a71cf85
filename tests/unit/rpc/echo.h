/*
 * echo.h - the service of echo.proto, in this process or in a child of it.
 *
 * For tests of lib/rpc and the bench.  The child (echo_server) is started by exec, never by a bare
 * fork: nng does not survive one.
 */
#ifndef BH_TESTS_RPC_ECHO_H
#define BH_TESTS_RPC_ECHO_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "echo.pb-c.h"
#include "rpc/client.h"
#include "rpc/server.h"

#define ECHO_METHOD(m) "bulkhead.test.v1.Echo/" m
#define ECHO_REPLY     &bulkhead__test__v1__echo_reply__descriptor

extern const struct bh_service echo_service;

/* What the handlers count and where they write it: an execution appends a byte to log_fd if >= 0. */
struct echo_room {
    atomic_uint runs, waiting, cancelled;
    int log_fd;
};

struct echo {
    struct echo_room room;
    struct bh_server *server;
    pthread_t thread;
    char dir[64];
    int rc;
};

/* A service in a fresh folder below /tmp; threads 0: default. */
void echo_start(struct echo *e, unsigned threads);
void echo_start_in(struct echo *e, const char *dir, unsigned threads);
void echo_stop(struct echo *e); /* keeps the folder of echo_start_in */

/* Another process that serves in dir and appends a byte to log (may be NULL) at each execution. */
pid_t echo_spawn(const char *dir, const char *log);
void echo_kill(pid_t pid);

int echo_say(struct bh_conn *c, const char *method, const char *text, uint32_t timeout_ms, unsigned flags,
             struct bh_err *err);

#endif
