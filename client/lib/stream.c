/*
 * stream.c - streams of the public interface.
 *
 * Room: client.  A stream is known to its client while it is open, so that bulkhead_cancel reaches it.
 */
#include "client.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "reflect.h"

#define REQUEST_MAX ((size_t)64 << 20)

static bulkhead_stream *remember(bulkhead *b, struct bh_stream *stream, const ProtobufCMessageDescriptor *reply) {
    bulkhead_stream *s = bh_xcalloc(1, sizeof *s);

    s->client = b;
    s->stream = stream;
    s->reply_type = reply;
    pthread_mutex_lock(&b->lock);
    s->next = b->streams;
    s->link = &b->streams;
    if (s->next != NULL)
        s->next->link = &s->next;
    b->streams = s;
    if (b->cancelled)
        bh_stream_cancel(stream);
    pthread_mutex_unlock(&b->lock);
    return s;
}

static int open_stream(bulkhead *b, const char *service, const char *method, const bulkhead_value *request,
                       const int *fds, unsigned n_fds, struct bh_arena *arena, bulkhead_stream **out,
                       struct bh_err *err) {
    struct bh_stream_options options = {.announce_fds = n_fds > 0};
    ProtobufCMessage *message = NULL;
    struct bh_stream *stream = NULL;
    struct bh_conn *conn = NULL;
    struct method m;
    int r;

    if ((r = client_method(service, method, &m, err)) != 0 ||
        (r = reflect_to_message(request, m.request, arena, &message, err)) != 0 ||
        (r = client_conn(b, m.service, &conn, err)) != 0 ||
        (r = bh_stream_open(conn, m.name, message, &options, &stream, err)) != 0)
        return r;
    if (n_fds > 0 && (r = bh_stream_send_fds(stream, fds, n_fds, err)) != 0) {
        bh_stream_free(stream);
        return r;
    }
    *out = remember(b, stream, m.reply);
    return 0;
}

int bulkhead_stream_open(bulkhead *b, const char *service, const char *method, const bulkhead_value *request,
                         const int *fds, unsigned n_fds, bulkhead_stream **out, struct bulkhead_error *out_err) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, REQUEST_MAX);
    r = open_stream(b, service, method, request, fds, n_fds, &arena, out, &err);
    bh_arena_fini(&arena);
    return r == 0 ? 0 : client_fail(&err, out_err);
}

int bulkhead_stream_send(bulkhead_stream *s, const void *data, size_t n, struct bulkhead_error *out_err) {
    struct bh_err err = BH_ERR_INIT;

    return bh_stream_send(s->stream, data, n, &err) == 0 ? 0 : client_fail(&err, out_err);
}

int bulkhead_stream_close_send(bulkhead_stream *s, struct bulkhead_error *out_err) {
    struct bh_err err = BH_ERR_INIT;

    return bh_stream_close_send(s->stream, &err) == 0 ? 0 : client_fail(&err, out_err);
}

int bulkhead_stream_recv(bulkhead_stream *s, const void **out, size_t *out_n, struct bulkhead_error *out_err) {
    struct bh_err err = BH_ERR_INIT;

    return bh_stream_recv(s->stream, out, out_n, &err) == 0 ? 0 : client_fail(&err, out_err);
}

int bulkhead_stream_recv_value(bulkhead_stream *s, bulkhead_value **out, struct bulkhead_error *out_err) {
    struct bh_err err = BH_ERR_INIT;
    ProtobufCMessage *m;
    const void *data;
    size_t n;

    if (bh_stream_recv(s->stream, &data, &n, &err) != 0)
        return client_fail(&err, out_err);
    if (data == NULL) {
        *out = NULL;
        return 0;
    }
    m = protobuf_c_message_unpack(s->reply_type, NULL, n, data);
    if (m == NULL) {
        bh_err_set(&err, BH_E_INTERNAL, "the engine sent a %s that cannot be read", s->reply_type->name);
        return client_fail(&err, out_err);
    }
    *out = reflect_to_value(m);
    protobuf_c_message_free_unpacked(m, NULL);
    return 0;
}

int bulkhead_stream_finish(bulkhead_stream *s, bulkhead_value **out_reply, struct bulkhead_error *out_err) {
    struct bh_err err = BH_ERR_INIT;
    ProtobufCMessage *reply = NULL;

    if (bh_stream_finish(s->stream, s->reply_type, &reply, &err) != 0)
        return client_fail(&err, out_err);
    if (out_reply != NULL)
        *out_reply = reply != NULL ? reflect_to_value(reply) : bulkhead_map_new();
    if (reply != NULL)
        protobuf_c_message_free_unpacked(reply, NULL);
    return 0;
}

void bulkhead_stream_cancel(bulkhead_stream *s) {
    bh_stream_cancel(s->stream);
}

void bulkhead_stream_free(bulkhead_stream *s) {
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->client->lock);
    *s->link = s->next;
    if (s->next != NULL)
        s->next->link = s->link;
    pthread_mutex_unlock(&s->client->lock);
    bh_stream_free(s->stream);
    free(s);
}
