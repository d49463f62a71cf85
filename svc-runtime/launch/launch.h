/*
 * launch.h - the parts of launch: requests, containers' folders, layers, root file systems.
 *
 * Room: launch (root).  One thread.  main.c and loop.c never touch what an image brings; each
 * start, exec, walk and removal is a child of its own, and what reads foreign bytes (layer indexes,
 * /etc/passwd) or only computes (the OCI configuration) is a child without rights.  No JSON is read,
 * nothing is allocated by a peer's word.
 */
#ifndef LNC_LAUNCH_H
#define LNC_LAUNCH_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "proc/ask.h"
#include "rightless/bundle.h"
#include "wire/launch_wire.h"
#include "wire/monitor_start.h"
#include "wire/spec.h"

#define LNC_ID_POOL    ((uint32_t)1 << 28)
#define LNC_SLOTS      61440u /* (2^32 - 2^28) / 2^16 */
#define LNC_MAX_JOBS   256
#define LNC_MAX_CACHED 256 /* layers that stay mounted for the next container */

struct lnc_job {
    uint64_t seq;  /* of the request; 0: free */
    int fd;        /* the report comes here */
    bool deleting; /* the report tells which range of ids is free now */
    size_t got;
    struct rt_launch_reply report;
};

/* A layer file that has been sealed and verified, and where it is mounted in our own namespace. */
struct lnc_layer {
    int file; /* -1: free */
    dev_t dev;
    ino_t ino;
    struct timespec changed;
    unsigned char diff_id[32];
    bool mounted;
    uint64_t used;
};

struct launch {
    char root[PATH_MAX - 256]; /* DIR */
    char libexec[PATH_MAX - 256];
    const char *stage; /* where a child's private mounts go: a folder that everybody may walk through */
    uid_t monitor_uid, runtime_uid;
    gid_t monitor_gid, runtime_gid;
    int containers, monitors, run_monitor, lowest; /* folders: state/launch/containers, state/monitor, run/monitor,
                                                      state/launch */
    int tree_fd;                                   /* bulkhead-tree: it runs as somebody who may not walk to it */
    int own_procs;                                 /* cgroup.procs of the version 1 cgroup that we are in; -1: none */
    unsigned char slots[LNC_SLOTS / 8];
    struct lnc_layer layer[LNC_MAX_CACHED];
    uint64_t clock; /* counts uses of layers */
    struct lnc_job job[LNC_MAX_JOBS];
};

/* The record `info` in a container's folder. */
struct lnc_record {
    uint32_t version; /* 1 */
    uint32_t slot;
    uint32_t spec_flags; /* of the last start */
    uint32_t started;    /* once: the upper has the owner and mode of the highest layer's root */
};

/* One request, with the descriptors in the order of launch_wire.h. */
struct lnc_request {
    struct rt_launch_request q;
    int *fds;
    unsigned n_fds;
    unsigned slots[RT_MAX_LAYERS]; /* of the layers, once they are ready */
};

/* loop.c: serves until the supervisor says STOP or goes away; 0 then.  When runtime goes away launch ends too: the
 * supervisor starts a new pair.  Containers and monitors are not touched. */
int lnc_loop(struct launch *l, struct bh_err *err);
void lnc_report(int fd, int32_t status, const struct bh_err *err);

/* container.c */
int lnc_folders(struct launch *l, struct bh_err *err);
int lnc_ct_make(struct launch *l, const char *id, bool durable, struct bh_err *err);
int lnc_ct_open(const struct launch *l, const char *id, int *out_dir, struct lnc_record *out, struct bh_err *err);
int lnc_ct_save(int dir, const struct lnc_record *rec, bool durable, struct bh_err *err);
void lnc_ct_free_slot(struct launch *l, uint32_t slot);
uint32_t lnc_ct_base(const struct lnc_record *rec); /* 0 when it runs with the host's ids */
/* A folder without folders in it; one that is not there is removed.  -1 with errno. */
int lnc_flat_remove(int at, const char *name);
/* Requests; DELETE in a child, *out_slot: the range that is free now, < 0 for none. */
int lnc_ct_delete(const struct launch *l, const struct rt_launch_request *q, int32_t *out_slot, struct bh_err *err);
int lnc_ct_signal(const struct launch *l, const struct rt_launch_request *q, struct bh_err *err);
int lnc_ct_freeze(const struct launch *l, const struct rt_launch_request *q, struct bh_err *err);

/* layer.c */
int lnc_layers_ready(struct launch *l, struct lnc_request *r, unsigned first_fd, struct bh_err *err);
void lnc_layers_sweep(struct launch *l);
void lnc_extracted_clean(const struct launch *l); /* what an extraction that was cut off has left */
/* In a child: a detached, id-mapped copy of the layer's tree. */
int lnc_layer_tree(const struct launch *l, unsigned slot, int userns, int *out_mount, struct bh_err *err);

/* rootfs.c: all in a child. */
struct lnc_mounts {
    const struct launch *l;
    int userns; /* -1: the host's ids */
    uint32_t base;
    bool dress;    /* the first start: give the upper what the highest layer's root has */
    int root;      /* descriptor of the container's root, once mounted */
    bool fleeting; /* RT_VOLATILE */
};
int lnc_userns(uint32_t base, int *out, struct bh_err *err);
/* Own mount namespace, a tmpfs on l->stage.  dir: the container's folder, opened anew, because a mount of the namespace
 * before could not be copied. */
int lnc_stage(const struct launch *l, const char *id, int *dir, struct bh_err *err);
/* Mounts <stage>/rootfs and opens it as m->root: layers and upper (writable), or read-only the layers alone or
 * with the upper as the highest of them. */
int lnc_rootfs(struct lnc_mounts *m, const struct lnc_request *r, int container_dir, bool writable, bool with_upper,
               struct bh_err *err);
int lnc_idmapped(int from, const char *path, int userns, unsigned flags, int *out, struct bh_err *err);
/* Bind mounts of the user, taken with their options before the stage hides anything; fds[n_mounts], -1 for tmpfs. */
int lnc_binds_take(const struct lnc_mounts *m, const struct rt_spec *spec, int *fds, struct bh_err *err);
int lnc_binds_attach(const struct lnc_mounts *m, const struct rt_spec *spec, int *fds, struct bh_err *err);

/* helper.c: a child becomes root of the user namespace (-1: with the host's ids) with these capabilities in there and
 * no more, in root (-1: where it is).  arg: struct lnc_who; for bh_ask. */
struct lnc_who {
    int root, userns;
    uint64_t caps;
};
int lnc_become(const void *arg, struct bh_err *err);

/* start.c: children for START and EXEC; they become the monitor. */
_Noreturn void lnc_start_child(const struct launch *l, const struct lnc_request *r, int report);

/* tree.c: the child that becomes bulkhead-tree, to walk. */
_Noreturn void lnc_tree_child(const struct launch *l, const struct lnc_request *r, int report);
/* In a child: bulkhead-tree "extract" (other: the layer file) or "remove", in dir, with the rights for files of any
 * owner. */
int lnc_tree_helper(const struct launch *l, const char *mode, int dir, int other, struct bh_err *err);

/* oci_state.c: what the OCI runtime keeps of a container that has ended, its cgroups among it. */
void lnc_runtime_delete(const struct launch *l, const struct rt_launch_request *q);

#endif
