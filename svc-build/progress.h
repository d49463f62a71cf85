/*
 * progress.h - what a build tells while it works: vertices, their output, lines; and the log of it all.
 *
 * Room: build.  Called by all threads of a build; events go out one after the other, in the order in which they
 * happen.  A client that does not take them makes the build wait; one that has gone ends it.
 */
#ifndef BUILD_PROGRESS_H
#define BUILD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/types.h"
#include "recipe_note.h"

struct build_progress;

enum build_vertex_state {
    BUILD_V_STARTED = 1,
    BUILD_V_DONE = 2,
    BUILD_V_CACHED = 3,
    BUILD_V_ERROR = 4,
    BUILD_V_CANCELLED = 5,
};

struct build_vertex {
    uint32_t number;
    const char *name, *stage, *error, *digest;
    uint32_t state;
    int64_t started_ns, finished_ns;
};

/* One event in plain values; absent parts are NULL or 0. */
struct build_event {
    const struct build_vertex *vertex;
    uint32_t of, stream;
    const void *data;
    size_t n;
    const char *status;
    uint64_t current, total;
    const struct build_note *problem;
    const char *problem_file;
    const char *image_id, *manifest_digest;
    struct bh_strlist tags;
    const char *line, *build_id;
    int64_t time_ns;
};

/* Takes one event; called with the progress' lock held. */
typedef int build_event_sink(void *arg, const struct build_event *e, struct bh_err *err);

struct build_progress *build_progress_new(build_event_sink *sink, void *arg, bool classic);
void build_progress_free(struct build_progress *p);
/* The first error of the sink, 0 if there was none. */
int build_progress_failed(struct build_progress *p, struct bh_err *err);
/* Steps begun and taken from the cache, for the history. */
void build_progress_counts(struct build_progress *p, uint32_t *out_steps, uint32_t *out_cached);

void build_tell(struct build_progress *p, struct build_event *e);

/* A vertex that was begun.  number 0: none, and nothing is told about it. */
struct build_vertex_ref {
    struct build_progress *p;
    uint32_t number;
};
struct build_vertex_ref build_vertex_new(struct build_progress *p, const char *name, const char *stage, bool step);
void build_vertex_end(struct build_vertex_ref v, enum build_vertex_state state, const struct bh_err *error);
void build_vertex_output(struct build_vertex_ref v, unsigned stream, const void *data, size_t n);
void build_vertex_status(struct build_vertex_ref v, const char *text, uint64_t current, uint64_t total);
/* Words of the classic builder; nothing unless they are wanted. */
void build_classic(struct build_progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
