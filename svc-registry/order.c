/*
 * order.c - see order.h.
 *
 * Whoever passes an event on holds the lock, so that none overtakes another.  Mere progress does not wait for it.
 */
#include "svc-registry/order.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct kept {
    struct kept *next;
    struct reg_event event; /* its texts are copies */
};

struct lane {
    struct reg_order *order;
    struct reg_listener listener;
    struct kept *first, *last;
    bool ended;
};

struct reg_order {
    const struct reg_listener *to;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct lane *lanes;
    size_t n, front;   /* whose turn it is */
    struct bh_err err; /* the first that `to` gave: the client is gone */
};

static char *copy_of(const char *text) {
    return text != NULL ? bh_xstrdup(text) : NULL;
}

static void keep(struct lane *l, const struct reg_event *e) {
    struct kept *k = bh_xcalloc(1, sizeof *k);

    k->event = *e;
    k->event.status = copy_of(e->status);
    k->event.layer = copy_of(e->layer);
    k->event.text = copy_of(e->text);
    k->event.reference = copy_of(e->reference);
    k->event.id = copy_of(e->id);
    k->event.digest = copy_of(e->digest);
    k->event.warning = copy_of(e->warning);
    if (l->last != NULL)
        l->last->next = k;
    else
        l->first = k;
    l->last = k;
}

static void kept_free(struct kept *k) {
    free((char *)k->event.status);
    free((char *)k->event.layer);
    free((char *)k->event.text);
    free((char *)k->event.reference);
    free((char *)k->event.id);
    free((char *)k->event.digest);
    free((char *)k->event.warning);
    free(k);
}

static int pass(struct reg_order *o, const struct reg_event *e, struct bh_err *err) {
    if (o->err.code == 0)
        (void)reg_tell(o->to, e, &o->err);
    if (o->err.code != 0)
        *err = o->err;
    return o->err.code;
}

/* What was kept of the lane whose turn it is. */
static void pass_kept(struct reg_order *o, struct lane *l) {
    struct bh_err ignored = BH_ERR_INIT; /* the next event of its own tells the image */

    while (l->first != NULL) {
        struct kept *k = l->first;

        l->first = k->next;
        (void)pass(o, &k->event, &ignored);
        kept_free(k);
    }
    l->last = NULL;
}

static int tell(void *arg, const struct reg_event *e, struct bh_err *err) {
    struct lane *l = arg;
    struct reg_order *o = l->order;
    int r = 0;

    if (!e->droppable)
        pthread_mutex_lock(&o->lock);
    else if (pthread_mutex_trylock(&o->lock) != 0)
        return 0;
    if (l == &o->lanes[o->front])
        r = pass(o, e, err);
    else if (!e->droppable)
        keep(l, e);
    pthread_mutex_unlock(&o->lock);
    return r;
}

struct reg_order *reg_order_new(const struct reg_listener *listener, size_t n) {
    struct reg_order *o = bh_xcalloc(1, sizeof *o);

    *o = (struct reg_order){.to = listener, .n = n, .lanes = bh_xcalloc(n + 1, sizeof(struct lane))};
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->changed, NULL);
    for (size_t i = 0; i < n; i++)
        o->lanes[i] = (struct lane){.order = o, .listener = {.tell = tell, .arg = &o->lanes[i]}};
    return o;
}

void reg_order_free(struct reg_order *o) {
    for (size_t i = 0; i < o->n; i++) {
        while (o->lanes[i].first != NULL) {
            struct kept *k = o->lanes[i].first;

            o->lanes[i].first = k->next;
            kept_free(k);
        }
    }
    pthread_cond_destroy(&o->changed);
    pthread_mutex_destroy(&o->lock);
    free(o->lanes);
    free(o);
}

void reg_order_begin(struct reg_order *o, size_t i) {
    pthread_mutex_lock(&o->lock);
    while (i >= o->front + REG_ORDER_AHEAD)
        pthread_cond_wait(&o->changed, &o->lock);
    pthread_mutex_unlock(&o->lock);
}

const struct reg_listener *reg_order_of(struct reg_order *o, size_t i) {
    return &o->lanes[i].listener;
}

void reg_order_end(struct reg_order *o, size_t i) {
    pthread_mutex_lock(&o->lock);
    o->lanes[i].ended = true;
    while (o->front < o->n && o->lanes[o->front].ended) {
        o->front++;
        if (o->front < o->n)
            pass_kept(o, &o->lanes[o->front]);
    }
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
}
