/*
 * cancel.c - see cancel.h.
 *
 * Room: build.  A stream is cancelled with the lock held, so that it cannot be freed meanwhile.
 */
#include "cancel.h"

void build_cancel_init(struct build_cancel *c) {
    *c = (struct build_cancel){0};
    pthread_mutex_init(&c->lock, NULL);
}

void build_cancel_fini(struct build_cancel *c) {
    pthread_mutex_destroy(&c->lock);
}

void build_cancel_set(struct build_cancel *c) {
    pthread_mutex_lock(&c->lock);
    c->set = true;
    for (struct build_wait *w = c->waits; w != NULL; w = w->next)
        bh_stream_cancel(w->stream);
    pthread_mutex_unlock(&c->lock);
}

bool build_cancelled(struct build_cancel *c) {
    bool set;

    pthread_mutex_lock(&c->lock);
    set = c->set;
    pthread_mutex_unlock(&c->lock);
    return set;
}

void build_wait_begin(struct build_cancel *c, struct build_wait *w, struct bh_stream *stream) {
    *w = (struct build_wait){.stream = stream};
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    w->next = c->waits;
    c->waits = w;
    if (c->set)
        bh_stream_cancel(stream);
    pthread_mutex_unlock(&c->lock);
}

void build_wait_end(struct build_cancel *c, struct build_wait *w) {
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    for (struct build_wait **at = &c->waits; *at != NULL; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            break;
        }
    pthread_mutex_unlock(&c->lock);
}
