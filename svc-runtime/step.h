/*
 * step.h - one RUN of a build: a container that is in no list and lives as long as its call.
 *
 * Room: runtime.  Called for the build room on behalf of the build's caller.  A step has no row: what a
 * room that died has left of one is found by its folder and removed (recover.c).
 */
#ifndef RT_STEP_H
#define RT_STEP_H

#include "base/arena.h"
#include "base/err.h"
#include "svc-runtime/request.h"
#include "svc-runtime/store.h"
#include "wire/launch_wire.h"
#include "wire/spec.h"

struct rt_room;

/* A socket in the container, behind which the caller of the build is: each connection that is made to it is handed to
 * him.  What it says is between the command and him. */
#define RT_MAX_DOORS 8
struct rt_door {
    int listener; /* ours; named and listened on by launch */
    int caller;   /* his, SEQPACKET: a connection goes there as a message of one byte */
};

/* Output of the command; a code other than 0 ends the step. */
typedef int rt_step_sink(void *arg, unsigned stream, const void *data, size_t n, struct bh_err *err);

struct rt_step {
    char id[RT_ID_SIZE]; /* of rt_random_id */
    struct rt_caller who;
    uint64_t hold;                 /* of the store: what the layers are kept under */
    struct bh_image_config config; /* what it runs on, layers too */
    struct rt_request req;         /* process, limits, tmpfs mounts; image, names and logs are not looked at */
    struct rt_file *files;         /* secrets and scripts: their content is never on a disk */
    uint32_t n_files;
    struct rt_door doors[RT_MAX_DOORS]; /* of the files that are sockets, in their order */
    unsigned n_doors;
    struct bh_strlist exclude;  /* absolute paths that the layer leaves out */
    struct bh_strlist separate; /* paths whose change is a layer of its own, without what is excluded inside them */
    bool clamp;                 /* no time in a layer is later than clamp_ns */
    int64_t clamp_ns;
    const void *input; /* for its standard input; n 0: none */
    size_t n_input;
    int cancel_fd;
    rt_step_sink *sink;
    void *arg;
};

struct rt_step_change {
    char diff_id[RT_DIFF_ID_SIZE]; /* "": nothing was changed, or the command failed */
    uint64_t tar_size;
};

struct rt_step_result {
    int exit_code;
    struct rt_step_change change;
    struct rt_step_change *separate; /* as many as asked for; in the arena */
};

/* Nothing of the container is left when it returns, or is about to go. */
int rt_step(struct rt_room *room, const struct rt_step *step, struct bh_arena *arena, struct rt_step_result *out,
            struct bh_err *err);

/* ---- parts, by file ------------------------------------------------------------------------ */

/* step_pump.c: moves the streams until the outputs have ended and end_fd is readable.  All descriptors of p
 * are closed when it returns.  BH_E_CANCELLED: the caller has gone. */
struct rt_step_pump {
    int in;     /* write end of its standard input, -1: none */
    int out[2]; /* read ends */
    int end_fd;
};
int rt_step_pump_open(bool input, struct rt_step_pump *out, int theirs[3], unsigned *out_n, struct bh_err *err);
void rt_step_pump_close(struct rt_step_pump *p);
int rt_step_pump_run(struct rt_step_pump *p, const struct rt_step *step, struct bh_err *err);

/* step_door.c.  Callers are descriptors that a user has given: what they are is looked at, and they are never waited
 * for.  close: both ends of all. */
int rt_doors_open(struct rt_door *doors, unsigned n, struct bh_err *err);
void rt_doors_close(struct rt_door *doors, unsigned n);
/* For poll; a caller that does not take what he has been given gets no more.  *out_wait_ms: when to look again. */
int rt_door_wanted(const struct rt_door *door, int *out_wait_ms);
void rt_door_serve(const struct rt_door *door);

/* step_layer.c: what the step has changed, as layers of the store. */
int rt_step_layers(struct rt_room *room, const struct rt_step *step, struct bh_arena *arena, struct rt_step_result *out,
                   struct bh_err *err);

#endif
