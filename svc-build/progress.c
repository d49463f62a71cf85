/*
 * progress.c - see progress.h.
 *
 * Room: build.  Owns the numbers of vertices and the order of events.
 */
#include "progress.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

struct vertex {
    char *name, *stage;
    int64_t started_ns;
};

struct build_progress {
    build_event_sink *sink;
    void *arg;
    bool classic;
    pthread_mutex_t lock; /* what follows, and the sink */
    struct vertex *v;     /* by number - 1 */
    uint32_t n, cap;
    uint32_t steps, cached;
    struct bh_err failure;
};

struct build_progress *build_progress_new(build_event_sink *sink, void *arg, bool classic) {
    struct build_progress *p = bh_xcalloc(1, sizeof *p);

    p->sink = sink;
    p->arg = arg;
    p->classic = classic;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void build_progress_free(struct build_progress *p) {
    if (p == NULL)
        return;
    for (uint32_t i = 0; i < p->n; i++) {
        free(p->v[i].name);
        free(p->v[i].stage);
    }
    free(p->v);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

int build_progress_failed(struct build_progress *p, struct bh_err *err) {
    int r;

    pthread_mutex_lock(&p->lock);
    r = p->failure.code;
    if (r != 0)
        *err = p->failure;
    pthread_mutex_unlock(&p->lock);
    return r;
}

void build_progress_counts(struct build_progress *p, uint32_t *out_steps, uint32_t *out_cached) {
    pthread_mutex_lock(&p->lock);
    *out_steps = p->steps;
    *out_cached = p->cached;
    pthread_mutex_unlock(&p->lock);
}

/* Locked.  After the first failure nothing is sent any more: the build is about to end. */
static void tell(struct build_progress *p, struct build_event *e) {
    if (e->time_ns == 0)
        e->time_ns = bh_now_ns();
    if (p->failure.code == 0)
        p->sink(p->arg, e, &p->failure);
}

void build_tell(struct build_progress *p, struct build_event *e) {
    pthread_mutex_lock(&p->lock);
    tell(p, e);
    pthread_mutex_unlock(&p->lock);
}

/* ---- vertices -------------------------------------------------------------------------------- */

static struct vertex *add_vertex(struct build_progress *p) {
    if (p->n == p->cap) {
        p->cap = p->cap == 0 ? 32 : 2 * p->cap;
        p->v = bh_xrealloc(p->v, p->cap * sizeof *p->v);
    }
    return &p->v[p->n++];
}

struct build_vertex_ref build_vertex_new(struct build_progress *p, const char *name, const char *stage, bool step) {
    struct build_vertex shown = {.name = name, .stage = stage, .error = "", .digest = "", .state = BUILD_V_STARTED};
    struct build_event e = {.vertex = &shown};

    pthread_mutex_lock(&p->lock);
    shown.started_ns = bh_now_ns();
    *add_vertex(p) = (struct vertex){bh_xstrdup(name), bh_xstrdup(stage), shown.started_ns};
    shown.number = p->n;
    p->steps += step;
    tell(p, &e);
    pthread_mutex_unlock(&p->lock);
    return (struct build_vertex_ref){p, shown.number};
}

void build_vertex_end(struct build_vertex_ref v, enum build_vertex_state state, const struct bh_err *error) {
    struct build_vertex shown = {.number = v.number, .state = state, .error = "", .digest = ""};
    struct build_event e = {.vertex = &shown};

    if (v.number == 0)
        return;
    pthread_mutex_lock(&v.p->lock);
    shown.name = v.p->v[v.number - 1].name;
    shown.stage = v.p->v[v.number - 1].stage;
    shown.started_ns = v.p->v[v.number - 1].started_ns;
    shown.finished_ns = bh_now_ns();
    if (error != NULL && state == BUILD_V_ERROR)
        shown.error = error->msg;
    v.p->cached += state == BUILD_V_CACHED;
    tell(v.p, &e);
    pthread_mutex_unlock(&v.p->lock);
}

void build_vertex_output(struct build_vertex_ref v, unsigned stream, const void *data, size_t n) {
    struct build_event e = {.of = v.number, .stream = stream, .data = data, .n = n};

    if (v.number != 0)
        build_tell(v.p, &e);
}

void build_vertex_status(struct build_vertex_ref v, const char *text, uint64_t current, uint64_t total) {
    struct build_event e = {.of = v.number, .status = text, .current = current, .total = total};

    if (v.number != 0)
        build_tell(v.p, &e);
}

void build_classic(struct build_progress *p, const char *fmt, ...) {
    struct build_event e = {0};
    char *text = NULL;
    va_list ap;

    if (!p->classic)
        return;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    e.line = text;
    if (text != NULL)
        build_tell(p, &e);
    free(text);
}
