/*
 * live.h - plays runtime and supervisor for a real bulkhead-launch in a temporary root.
 *
 * Test support.  Needs root, busybox, an OCI runtime; live_start returns false where that is not so.
 */
#ifndef TEST_LAUNCH_LIVE_H
#define TEST_LAUNCH_LIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/launch_wire.h"
#include "wire/monitor_wire.h"
#include "wire/spec.h"

struct live {
    char root[64];
    const char *form; /* "erofs" or "extracted" */
    uint16_t oci;     /* crun where it is installed, or as BH_TEST_RUNTIME of the environment says: "runc" */
    pid_t pid;
    int control, launch;
    uint64_t seq;
    int layer[RT_MAX_LAYERS];
    uint8_t diff_id[RT_MAX_LAYERS][32];
    unsigned n_layers;
};

bool live_possible(void);
void live_start(struct live *l, const char *form);
void live_stop(struct live *l);    /* launch alone */
void live_restart(struct live *l); /* another launch for the same root */
void live_remove(struct live *l);  /* and everything in the root */

/* Packs the folder with tar(1) and bulkhead-unpack and adds it as the highest layer. */
void live_add_folder(struct live *l, const char *folder);
/* Adds a tar file as the highest layer; returns what the worker said: 0 when it made a layer. */
int live_add_tar(struct live *l, const char *path);
void live_busybox(struct live *l);

void live_request(struct live *l, struct rt_launch_request *q, const int *fds, unsigned n_fds,
                  struct rt_launch_reply *out);
/* As live_request with the reply to come later, see live_reply. */
uint64_t live_send(struct live *l, struct rt_launch_request *q, const int *fds, unsigned n_fds);
void live_reply(struct live *l, uint64_t seq, struct rt_launch_reply *out);

/* A process: stdin from `in` (n_in bytes), both outputs collected until its end. */
struct live_run {
    struct rt_launch_reply reply;
    struct rt_monitor_state state;
    char *out, *err; /* malloc'd, NUL-terminated */
    size_t n_out, n_err;
};
void live_run(struct live *l, const char *id, const char *exec_id, const struct rt_spec *spec, const void *in,
              size_t n_in, struct live_run *out);
void live_run_free(struct live_run *r);
/* Starts without attaching anything. */
void live_detached(struct live *l, const char *id, const struct rt_spec *spec, struct rt_launch_reply *out);
/* n containers with ids from first on, all asked for before the first answer. */
void live_parallel(struct live *l, unsigned first, unsigned n, const struct rt_spec *spec);
int live_connect(struct live *l, const char *id, const char *exec_id);
/* Watches until the end. */
void live_wait(int monitor, struct rt_monitor_state *out);
void live_simple(struct live *l, enum rt_launch_type type, const char *id, int arg, unsigned flags,
                 struct rt_launch_reply *out);
/* TREE into a malloc'd buffer. */
char *live_tree(struct live *l, const char *id, enum rt_tree_mode mode, size_t *out_n, struct rt_launch_reply *reply);

/* A spec that runs `sh -c script` with docker's default capabilities. */
struct rt_spec live_sh(char *script);
/* 64 hex digits out of a small number. */
const char *live_id(unsigned n);

#endif
