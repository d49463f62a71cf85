/*
 * client.c - the client handle: where the engine is, one connection for each service, plain calls.
 *
 * Room: client.  Runs with the caller's rights and reads only replies.  The server behind a socket is
 * whoever owns the folder; that the folder is the engine's is the caller's choice of `host`.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"
#include "build.pb-c.h"
#include "reflect.h"
#include "registry.pb-c.h"
#include "runtime.pb-c.h"
#include "store.pb-c.h"

#define REQUEST_MAX ((size_t)64 << 20)

static const struct {
    const char *name;
    const ProtobufCServiceDescriptor *desc;
} services[SERVICE_COUNT] = {
    [SERVICE_STORE] = {"store", &bulkhead__store__v1__store__descriptor},
    [SERVICE_RUNTIME] = {"runtime", &bulkhead__runtime__v1__runtime__descriptor},
    [SERVICE_REGISTRY] = {"registry", &bulkhead__registry__v1__registry__descriptor},
    [SERVICE_BUILD] = {"build", &bulkhead__build__v1__build__descriptor},
};

const char *bulkhead_version(void) {
    return BH_VERSION;
}

int client_fail(const struct bh_err *from, struct bulkhead_error *to) {
    to->code = from->code;
    memcpy(to->reason, from->reason, sizeof to->reason);
    memcpy(to->message, from->msg, sizeof to->message);
    memcpy(to->hint, from->hint, sizeof to->hint);
    return from->code;
}

int client_method(const char *service, const char *method, struct method *out, struct bh_err *err) {
    for (int i = 0; i < SERVICE_COUNT; i++) {
        const ProtobufCMethodDescriptor *m;

        if (strcmp(services[i].name, service) != 0)
            continue;
        m = protobuf_c_service_descriptor_get_method_by_name(services[i].desc, method);
        if (m == NULL)
            return bh_err_set(err, BH_E_UNIMPLEMENTED, "the service %s has no method %s", service, method);
        out->service = i;
        out->request = m->input;
        out->reply = m->output;
        snprintf(out->name, sizeof out->name, "%s/%s", services[i].desc->name, m->name);
        return 0;
    }
    return bh_err_set(err, BH_E_INVALID, "there is no service %s (store, runtime, registry, build)", service);
}

int bulkhead_open(const char *host, bulkhead **out, struct bulkhead_error *out_err) {
    struct bh_err err = BH_ERR_INIT;
    const char *dir;
    bulkhead *b;

    if (host == NULL)
        host = getenv("BULKHEAD_HOST");
    if (host == NULL || host[0] == '\0')
        host = "ipc:///run/bulkhead";
    dir = bh_str_starts(host, "ipc://") ? host + 6 : host;
    if (dir[0] != '/') {
        bh_err_set(&err, BH_E_INVALID, "host %s: not an address that this client knows", host);
        bh_err_hint(&err, "use ipc:///FOLDER, as in ipc:///run/bulkhead");
        return client_fail(&err, out_err);
    }
    b = bh_xcalloc(1, sizeof *b);
    b->dir = bh_xstrdup(dir);
    pthread_mutex_init(&b->lock, NULL);
    *out = b;
    return 0;
}

void bulkhead_close(bulkhead *b) {
    if (b == NULL)
        return;
    for (int i = 0; i < SERVICE_COUNT; i++) {
        if (b->conn[i] != NULL)
            bh_conn_close(b->conn[i]);
    }
    pthread_mutex_destroy(&b->lock);
    free(b->dir);
    free(b);
}

int client_conn(bulkhead *b, int service, struct bh_conn **out, struct bh_err *err) {
    int r = 0;

    pthread_mutex_lock(&b->lock);
    if (b->cancelled) {
        r = bh_err_set(err, BH_E_CANCELLED, "cancelled");
    } else if (b->conn[service] == NULL) {
        char *dir = bh_xasprintf("%s/%s", b->dir, services[service].name);

        r = bh_conn_open(dir, &b->conn[service], err);
        free(dir);
    }
    *out = b->conn[service];
    pthread_mutex_unlock(&b->lock);
    return r;
}

void bulkhead_cancel(bulkhead *b) {
    pthread_mutex_lock(&b->lock);
    b->cancelled = true;
    for (bulkhead_stream *s = b->streams; s != NULL; s = s->next)
        bh_stream_cancel(s->stream);
    pthread_mutex_unlock(&b->lock);
}

static int call(bulkhead *b, const char *service, const char *method, const bulkhead_value *request,
                unsigned timeout_ms, bulkhead_value **out_reply, struct bh_arena *arena, struct bh_err *err) {
    ProtobufCMessage *message = NULL, *reply = NULL;
    struct bh_conn *conn = NULL;
    struct method m;
    int r;

    if ((r = client_method(service, method, &m, err)) != 0 ||
        (r = reflect_to_message(request, m.request, arena, &message, err)) != 0 ||
        (r = client_conn(b, m.service, &conn, err)) != 0 ||
        (r = bh_conn_call(conn, m.name, message, m.reply, timeout_ms, 0, &reply, err)) != 0)
        return r;
    if (out_reply != NULL)
        *out_reply = reply != NULL ? reflect_to_value(reply) : bulkhead_map_new();
    if (reply != NULL)
        protobuf_c_message_free_unpacked(reply, NULL);
    return 0;
}

int bulkhead_call(bulkhead *b, const char *service, const char *method, const bulkhead_value *request,
                  unsigned timeout_ms, bulkhead_value **out_reply, struct bulkhead_error *out_err) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, REQUEST_MAX);
    r = call(b, service, method, request, timeout_ms, out_reply, &arena, &err);
    bh_arena_fini(&arena);
    return r == 0 ? 0 : client_fail(&err, out_err);
}
