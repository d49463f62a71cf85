/*
 * runner.h - a RUN as the runtime room does it, in plain values.
 *
 * Room: build.  The runtime applies the rules of any container to what is asked; the build's caller is named by
 * uid.  Output comes in pieces while the command runs.
 */
#ifndef BUILD_RUNNER_H
#define BUILD_RUNNER_H

#include "cancel.h"
#include "job.h"

struct build_runner;

int build_runner_open(const char *dir, struct build_runner **out, struct bh_err *err);

struct build_exec_mount {
    const char *type;            /* "tmpfs", "file", "socket", "layer" */
    const char *target, *source; /* the second: layer, NULL: the target */
    uint64_t size;
    const void *data;
    size_t n_data;
    uint32_t mode, uid, gid;
    bool read_only; /* layer */
    int fd;         /* socket: where its connections go; of the call */
};

#define BUILD_EXEC_SOCKETS 8 /* of one RUN */

struct build_exec {
    const struct build_ask *ask;
    uint64_t hold;
    const struct bh_image_config *image; /* what it runs on, layers too; no labels and no history */
    struct bh_strlist command, env;
    const char *user, *workdir, *network;
    bool privileged;
    const struct build_exec_mount *mounts;
    size_t n_mounts;
    struct bh_strlist exclude, separate;
};

struct build_exec_change {
    bool changed;
    struct bh_digest layer;
    uint64_t size; /* of its tar */
};

struct build_exec_result {
    int exit_code;
    struct build_exec_change change;
    struct build_exec_change *separate; /* as many as asked for; in the arena */
};

typedef void build_exec_output(void *arg, unsigned stream, const void *data, size_t n);
typedef void build_exec_begun(void *arg, const char *container_id);

int build_exec(struct build_runner *r, const struct build_exec *x, struct build_cancel *cancel, build_exec_begun *begun,
               build_exec_output *output, void *arg, struct bh_arena *arena, struct build_exec_result *out,
               struct bh_err *err);

#endif
