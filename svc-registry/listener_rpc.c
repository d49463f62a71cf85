/*
 * listener_rpc.c - see listener_rpc.h.
 *
 * Room: registry.
 */
#include "svc-registry/listener_rpc.h"

char *reg_event_text(const char *s) {
    return s != NULL ? (char *)s : (char *)protobuf_c_empty_string;
}

int reg_client_tell(struct reg_client *c, const struct reg_event *e, const ProtobufCMessage *msg, struct bh_err *err) {
    int r;

    if (!e->droppable)
        pthread_mutex_lock(&c->lock);
    else if (pthread_mutex_trylock(&c->lock) != 0)
        return 0;
    r = bh_call_send_msg(c->call, msg, err);
    pthread_mutex_unlock(&c->lock);
    return r;
}
