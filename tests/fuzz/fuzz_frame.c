/*
 * fuzz_frame.c - frames of a hostile client, through the parser and the dispatcher, without a network.
 *
 * The input is a row of [length, 2 bytes][frame]; each frame is a request of one connection.  The
 * transport below replaces lib/rpc/transport.c.  After each input every request must have been
 * answered or dropped, and every call be gone.
 */
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "echo.pb-c.h"
#include "rpc/server_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- a transport that goes nowhere -------------------------------------------------------- */

struct bh_msg {
    size_t n;
    uint8_t body[];
};
struct bh_tserver {
    struct bh_tserver_events ev;
    void *self;
};
struct bh_slot {
    uint32_t pipe;
};

static struct bh_tserver net;
static atomic_int slots, msgs;

struct bh_msg *bh_msg_new(size_t n) {
    struct bh_msg *m = calloc(1, sizeof *m + n);

    if (m != NULL) {
        m->n = n;
        atomic_fetch_add(&msgs, 1);
    }
    return m;
}
void bh_msg_free(struct bh_msg *m) {
    if (m != NULL)
        atomic_fetch_sub(&msgs, 1);
    free(m);
}
uint8_t *bh_msg_data(struct bh_msg *m) {
    return m->body;
}
size_t bh_msg_size(const struct bh_msg *m) {
    return m->n;
}
int bh_tserver_listen(const char *path, mode_t mode, size_t max_message, const struct bh_tserver_events *events,
                      void *self, struct bh_tserver **out, struct bh_err *err) {
    (void)path;
    (void)mode;
    (void)max_message;
    (void)err;
    net.ev = *events;
    net.self = self;
    *out = &net;
    return 0;
}
int bh_tserver_start(struct bh_tserver *t, struct bh_err *err) {
    (void)t;
    (void)err;
    return 0;
}
void bh_tserver_free(struct bh_tserver *t) {
    (void)t;
}
void bh_tserver_kick(struct bh_tserver *t, uint32_t pipe) {
    (void)t;
    (void)pipe;
}
bool bh_tserver_crowded(struct bh_tserver *t) {
    (void)t;
    return atomic_load(&slots) > 4000;
}
void bh_tserver_tidy(struct bh_tserver *t) {
    (void)t;
}
/* What the service says must be a frame too. */
void bh_slot_reply(struct bh_slot *slot, struct bh_msg *take_msg) {
    struct bh_frame_scratch scratch;
    struct bh_frame f;
    struct bh_err err = BH_ERR_INIT;

    if (bh_frame_parse(take_msg->body, take_msg->n, &scratch, &f, &err) != 0)
        abort();
    bh_msg_free(take_msg);
    bh_slot_drop(slot);
}
void bh_slot_drop(struct bh_slot *slot) {
    free(slot);
    atomic_fetch_sub(&slots, 1);
}

/* ---- a service ----------------------------------------------------------------------------- */

static int say(void *room, struct bh_call *call, const ProtobufCMessage *message, struct bh_err *err) {
    const Bulkhead__Test__V1__EchoRequest *q = (const void *)message;
    Bulkhead__Test__V1__EchoReply r = BULKHEAD__TEST__V1__ECHO_REPLY__INIT;

    (void)room;
    if (q->status != 0)
        return bh_err_set(err, bh_err_from_wire(q->status), "%s", q->text);
    r.text = q->text;
    r.data = q->data;
    return bh_call_reply(call, &r.base, err);
}

static int chat(void *room, struct bh_call *call, const ProtobufCMessage *message, struct bh_err *err) {
    const void *data;
    size_t n;

    (void)room;
    (void)message;
    for (;;) {
        if (bh_call_recv_bytes(call, &data, &n, err) != 0)
            return err->code;
        if (data == NULL)
            return 0;
        if (bh_call_send_bytes(call, data, n, err) != 0)
            return err->code;
    }
}

static const struct bh_method methods[] = {
    {"Say", BH_UNARY, BH_ROLE_ANY, 0, 0, 0, say},
    {"Admin", BH_UNARY, BH_ROLE_STORE, 0, 0, BH_METHOD_SECRET, say},
    {"Again", BH_UNARY, BH_ROLE_ANY, 64, 1000, BH_METHOD_FDS | BH_METHOD_SECRET, say},
    {"Chat", BH_BIDI_STREAM, BH_ROLE_ANY, 0, 0, 0, chat},
};
static const struct bh_service service = {&bulkhead__test__v1__echo__descriptor, methods, BH_ARRAY_LEN(methods)};

static struct bh_server *start(void) {
    char dir[] = "/tmp/bh-fuzz-XXXXXX", path[64];
    struct bh_server_config c = {
        .dir = dir, .mode = 0600, .service_name = "fuzz", .services = &service, .n_services = 1, .threads = 8};
    struct bh_err err = BH_ERR_INIT;
    struct bh_server *s;

    if (mkdtemp(dir) == NULL || bh_server_listen(&c, &s, &err) != 0)
        abort();
    snprintf(path, sizeof path, "%s/fd.sock", dir);
    unlink(path);
    rmdir(dir);
    return s;
}

static void deliver(uint32_t pipe, const uint8_t *data, size_t n) {
    struct bh_slot *slot = bh_xcalloc(1, sizeof *slot);
    struct bh_msg *m = bh_msg_new(n);

    memcpy(m->body, data, n);
    slot->pipe = pipe;
    atomic_fetch_add(&slots, 1);
    net.ev.request(net.self, pipe, slot, m);
}

static unsigned calls_of(struct bh_server *s) {
    unsigned n;

    pthread_mutex_lock(&s->lock);
    n = s->n_calls;
    pthread_mutex_unlock(&s->lock);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct bh_server *s;
    static uint32_t pipe;

    if (s == NULL)
        s = start();
    net.ev.joined(net.self, ++pipe, 0, 0, 1);
    while (size >= 2) {
        size_t n = (size_t)data[0] | (size_t)data[1] << 8;

        data += 2;
        size -= 2;
        n = n < size ? n : size;
        deliver(pipe, data, n);
        data += n;
        size -= n;
    }
    net.ev.left(net.self, pipe);
    for (int i = 0; i < 2000 && (calls_of(s) > 0 || atomic_load(&slots) > 0); i++)
        usleep(i < 100 ? 20 : 1000);
    if (calls_of(s) != 0 || atomic_load(&slots) != 0 || atomic_load(&msgs) != 0)
        abort();
    return 0;
}
