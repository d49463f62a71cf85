/*
 * convert_rpc.c - see convert_rpc.h.
 *
 * Room: build.
 */
#include "convert_rpc.h"

#include <string.h>

int build_pairs_of(Bulkhead__Common__V1__Pair **v, size_t n, struct bh_arena *arena, struct bh_pairs *out,
                   struct bh_err *err) {
    *out = (struct bh_pairs){0};
    for (size_t i = 0; i < n; i++)
        if (bh_pairs_set(out, arena, v[i]->key, v[i]->value, err) != 0)
            return err->code;
    return 0;
}

void build_problem_msg(const struct build_note *note, const char *file, BD_MSG(Problem) * out) {
    bulkhead__build__v1__problem__init(out);
    out->code = (char *)note->code;
    out->warning = note->severity == BUILD_WARNING;
    out->file = (char *)file;
    out->line = note->line;
    out->column = note->column;
    out->length = note->length;
    out->source = (char *)note->source;
    out->message = (char *)note->message;
    out->suggestion = (char *)note->suggestion;
}

static void vertex_msg(const struct build_vertex *v, BD_MSG(Vertex) * out) {
    bulkhead__build__v1__vertex__init(out);
    out->number = v->number;
    out->name = (char *)v->name;
    out->state = v->state;
    out->started_ns = v->started_ns;
    out->finished_ns = v->finished_ns;
    out->error = (char *)v->error;
    out->digest = (char *)v->digest;
    out->stage = (char *)v->stage;
}

static char *text_of(const char *s) {
    return (char *)(s != NULL ? s : "");
}

const BD_MSG(BuildEvent) * build_event_msg(const struct build_event *e, struct build_event_msg *room) {
    BD_MSG(BuildEvent) *m = &room->event;

    bulkhead__build__v1__build_event__init(m);
    if (e->vertex != NULL) {
        vertex_msg(e->vertex, &room->vertex);
        m->vertex = &room->vertex;
    }
    if (e->problem != NULL) {
        build_problem_msg(e->problem, e->problem_file, &room->problem);
        m->problem = &room->problem;
    }
    m->of = e->of;
    m->stream = e->stream;
    m->data = (ProtobufCBinaryData){.len = e->n, .data = (uint8_t *)e->data};
    m->status = text_of(e->status);
    m->current = e->current;
    m->total = e->total;
    m->image_id = text_of(e->image_id);
    m->manifest_digest = text_of(e->manifest_digest);
    m->tag = (char **)e->tags.v;
    m->n_tag = e->tags.n;
    m->line = text_of(e->line);
    m->build_id = text_of(e->build_id);
    m->time_ns = e->time_ns;
    return m;
}
