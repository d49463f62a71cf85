/*
 * container.c - the record of one container, see container.h.
 *
 * Room: runtime.  Owns status and its lock.  Everything shown to others is copied out.
 */
#include "svc-runtime/container.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-runtime/room.h"

struct rt_container *rt_container_new(struct rt_room *room, const struct rt_record *r, struct rt_facts *take_facts) {
    struct rt_container *c = bh_xcalloc(1, sizeof *c);

    c->room = room;
    bh_str_copy(c->id, sizeof c->id, r->id);
    bh_str_copy(c->name, sizeof c->name, r->name);
    c->owner = r->owner;
    c->created_ns = r->created_ns;
    c->image = bh_xstrdup(r->image);
    c->image_id = bh_xstrdup(r->image_id);
    c->image_ref = bh_xstrdup(r->image_ref);
    c->facts = take_facts;
    c->stop_signal = r->stop_signal;
    c->stop_timeout = r->stop_timeout;
    c->auto_remove = r->auto_remove;
    c->status = r->status;
    atomic_init(&c->oci, r->oci);
    atomic_init(&c->killed, false);
    atomic_init(&c->refs, 1);
    pthread_mutex_init(&c->op, NULL);
    pthread_mutex_init(&c->note, NULL);
    rt_waitq_init(&c->state);
    return c;
}

void rt_container_oci(struct rt_container *c, struct rt_launch_request *req) {
    int oci = atomic_load(&c->oci);

    if (oci >= 0 && oci < RT_OCI_N)
        req->oci = (uint16_t)oci;
}

struct rt_container *rt_container_ref(struct rt_container *c) {
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void rt_container_unref(struct rt_container *c) {
    if (c == NULL || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    rt_watch_unref(c->watch);
    pthread_mutex_destroy(&c->op);
    pthread_mutex_destroy(&c->note);
    rt_waitq_fini(&c->state);
    free(c->image);
    free(c->image_id);
    free(c->image_ref);
    free(c->facts);
    free(c);
}

void rt_scope_container(struct rt_container **c) {
    rt_container_unref(*c);
}

struct rt_status rt_container_status(struct rt_container *c) {
    struct rt_status s;

    pthread_mutex_lock(&c->state.lock);
    s = c->status;
    pthread_mutex_unlock(&c->state.lock);
    return s;
}

bool rt_container_event(struct rt_container *c, const struct rt_event *e) {
    bool ok;

    pthread_mutex_lock(&c->state.lock);
    ok = rt_status_apply(&c->status, e);
    if (ok && (e->type == RT_EV_EXITED || e->type == RT_EV_LOST))
        c->exits++;
    if (ok)
        rt_waitq_wake(&c->state);
    pthread_mutex_unlock(&c->state.lock);
    return ok;
}

int rt_not_running(const struct rt_container *c, struct bh_err *err) {
    bh_err_set(err, BH_E_CONFLICT, "container %s is not running", c->id);
    return bh_err_reason(err, "not-running");
}

int rt_container_watch(struct rt_container *c, struct rt_watch **out, struct bh_err *err) {
    struct rt_watch *w = NULL;

    pthread_mutex_lock(&c->state.lock);
    if (rt_status_running(&c->status) && c->watch != NULL)
        w = rt_watch_ref(c->watch);
    pthread_mutex_unlock(&c->state.lock);
    if (w == NULL)
        return rt_not_running(c, err);
    *out = w;
    return 0;
}

int rt_container_blobs(struct rt_container *c, struct bh_buf *spec, struct bh_buf *request, struct bh_buf *config,
                       struct bh_err *err) {
    return rt_db_blobs(c->room->db, c->id, spec, request, config, err);
}
