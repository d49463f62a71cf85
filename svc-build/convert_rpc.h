/*
 * convert_rpc.h - generated message types <-> plain values; for the *_rpc.c files alone.
 *
 * Room: build.
 */
#ifndef BUILD_CONVERT_RPC_H
#define BUILD_CONVERT_RPC_H

#include "build.pb-c.h"
#include "oci/types.h"
#include "progress.h"

#define BD_MSG(name) Bulkhead__Build__V1__##name

/* What an event's message is made of; lives with the event. */
struct build_event_msg {
    BD_MSG(BuildEvent) event;
    BD_MSG(Vertex) vertex;
    BD_MSG(Problem) problem;
};
const BD_MSG(BuildEvent) * build_event_msg(const struct build_event *e, struct build_event_msg *room);
void build_problem_msg(const struct build_note *note, const char *file, BD_MSG(Problem) * out);

int build_pairs_of(Bulkhead__Common__V1__Pair **v, size_t n, struct bh_arena *arena, struct bh_pairs *out,
                   struct bh_err *err);

#endif
