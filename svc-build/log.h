/*
 * log.h - all that a build has told, kept for `builder logs`; and the list of builds.
 *
 * Room: build, which has no disk: a short log is part of its record in the store's cache, a long one is written
 * into a layer while the build runs, a piece at a time.  Records are of kind "frontend" and go with a prune.
 */
#ifndef BUILD_LOG_H
#define BUILD_LOG_H

#include <protobuf-c/protobuf-c.h>

#include "job.h"

struct build_log;

struct build_log *build_log_new(struct build_job *job);
/* One packed event; from the progress' lock. */
void build_log_add(struct build_log *log, const ProtobufCMessage *event);
/* result, err: how the build ended.  Frees the log.  That a log could not be kept is no error of the build. */
void build_log_end(struct build_log *log, int result, const struct bh_err *err);

/* ---- reading ---- */
typedef int build_log_each(void *arg, const void *event, size_t n, struct bh_err *err);
/* id: or the beginning of one.  BH_E_NOT_FOUND. */
int build_log_read(struct build_room *room, uid_t owner, const char *id, build_log_each *each, void *arg,
                   struct bh_err *err);

struct build_row {
    const char *id, *name, *status;
    int64_t started_ns, finished_ns;
    uint32_t steps, cached;
};
/* Newest first. */
int build_rows(struct build_room *room, uid_t owner, struct bh_arena *arena, struct build_row **out, size_t *out_n,
               struct bh_err *err);

#endif
