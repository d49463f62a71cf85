/*
 * launch_wire.h - what runtime asks of launch, in fixed layouts over one SEQPACKET pair.
 *
 * Rooms: runtime (writes requests) and launch (root, reads them).  launch checks every field and
 * kills the pair when a message has a wrong size, type or count of descriptors.  Strings longer
 * than a name travel in a sealed memfd whose layout spec.h tells.  Requests may overlap; a reply
 * carries the seq of its request.  launch answers each request exactly once.
 */
#ifndef RT_WIRE_LAUNCH_WIRE_H
#define RT_WIRE_LAUNCH_WIRE_H

#include <stdint.h>

#define RT_ID_SIZE        65 /* 64 hex digits and a NUL */
#define RT_LAUNCH_VERSION 1
#define RT_MAX_LAYERS     128
#define RT_MAX_FDS        200

enum rt_launch_type {
    RT_LAUNCH_START = 1, /* fds: spec memfd, layers lowest first, stdio of the first attachment, sockets of files */
    RT_LAUNCH_EXEC = 2,  /* fds: spec memfd, stdio */
    RT_LAUNCH_SIGNAL = 3,
    RT_LAUNCH_DELETE = 4, /* not running: free upper, bundle, logs, id range */
    RT_LAUNCH_TREE = 5,   /* fds: output (pipe or file), layers lowest first, or a filter */
    RT_LAUNCH_INFO = 6,
    RT_LAUNCH_FREEZE = 7, /* arg 1: freeze all processes of the container, 0: thaw */
    RT_LAUNCH_PREPARE = 8 /* make the container's folder and take its id range without starting it */
};

/* START: goes with its end (--rm), so what is noted of it need not outlive a power cut. */
#define RT_LAUNCH_FLEETING 1u
/* START, TREE: lay the layers out as files instead of mounting them. */
#define RT_LAUNCH_EXTRACTED 2u
/* TREE, RT_TREE_COMMIT, without layers: after the output comes a list of what to take (tree/tree.h, filter). */
#define RT_LAUNCH_FILTER 4u
#define RT_NO_MOUNT      "layer-not-mounted" /* reason of an error: this kernel does not mount layer files */

/* Which OCI runtime, and whether it makes a cgroup.  launch takes the one that it is told: runtime finds out what
 * works here by a container that it starts and removes (trial.c). */
enum rt_oci { RT_OCI_CRUN, RT_OCI_RUNC, RT_OCI_CRUN_BARE, RT_OCI_N };
#define RT_OCI_ANY          0xffffu /* only inside of runtime: whichever works here */
#define RT_OCI_PROGRAM(oci) ((oci) == RT_OCI_RUNC ? "runc" : "crun")
#define RT_OCI_CGROUP(oci)  ((oci) != RT_OCI_CRUN_BARE)

enum rt_tree_mode {
    RT_TREE_COMMIT = 1, /* the upper as a deterministic layer tar with whiteouts */
    RT_TREE_EXPORT = 2, /* the whole root file system as a tar */
    RT_TREE_DIFF = 3,   /* lines "A /path", "C /path", "D /path", NUL-terminated each */
    RT_TREE_SIZE = 4    /* 8 bytes: bytes in the upper, as ps -s shows */
};

struct rt_launch_request {
    uint32_t version; /* RT_LAUNCH_VERSION */
    uint32_t type;
    uint64_t seq;
    char id[RT_ID_SIZE];                 /* container, 64 lower-case hex */
    char exec_id[RT_ID_SIZE];            /* EXEC, or SIGNAL to an exec session; "" else */
    uint16_t oci;                        /* START, EXEC, DELETE, INFO: RT_OCI_* */
    uint32_t n_layers;                   /* descriptors that are layer files */
    uint32_t n_stdio;                    /* 0..3 descriptors: bits of stdio tell which */
    uint32_t stdio;                      /* 1 stdin, 2 stdout, 4 stderr */
    int32_t arg;                         /* SIGNAL: number; TREE: mode; FREEZE: 1 or 0 */
    uint32_t flags;                      /* RT_LAUNCH_FLEETING, RT_LAUNCH_EXTRACTED */
    uint32_t n_sockets;                  /* START: unbound sockets, in the order of the files that they become */
    uint8_t diff_ids[RT_MAX_LAYERS][32]; /* of the layers, in order; launch's cache key beside the inode */
};

#define RT_FORM_EROFS     1 /* layer files mounted directly */
#define RT_FORM_EXTRACTED 2 /* layers extracted into folders */

struct rt_launch_reply {
    uint64_t seq;
    int32_t code;      /* 0 or BH_E_* */
    int32_t exit_hint; /* START and EXEC that failed: 125, 126 or 127 */
    int32_t pid;       /* START, EXEC: of the first process, in the host's numbers */
    int32_t status;    /* TREE: exit status of the walker */
    uint64_t id_base;  /* first id of the container's range, 0 with --userns=host */
    int64_t started_ns;
    char reason[40];
    char msg[512];
    char hint[256];
};

/* What containers can be limited in: the kernel has a file for it beside their cgroups. */
enum rt_held {
    RT_HELD_MEMORY = 1 << 0,
    RT_HELD_SWAP = 1 << 1,
    RT_HELD_SWAPPINESS = 1 << 2,
    RT_HELD_RESERVATION = 1 << 3,
    RT_HELD_OOM_KILL = 1 << 4,
    RT_HELD_CPU_CFS = 1 << 5,
    RT_HELD_CPU_SHARES = 1 << 6,
    RT_HELD_CPUSET = 1 << 7,
    RT_HELD_PIDS = 1 << 8,
    RT_HELD_BLKIO = 1 << 9
};

/* Answer to INFO, in place of rt_launch_reply.  form, runtime, their reasons and the kernel's part in them: filled in
 * by runtime, out of its trial. */
struct rt_launch_info {
    uint64_t seq;
    int32_t code;
    uint32_t form;    /* RT_FORM_* in use */
    char runtime[16]; /* "crun", "runc", "" when none works */
    char runtime_path[128];
    char runtime_version[64];
    char runtime_why[256]; /* why the other was not taken, or why none works */
    char form_why[256];    /* what was tried when form is extracted */
    uint32_t kernel_erofs_file, kernel_idmap, kernel_overlay_fd, kernel_fsverity; /* 1 works, 0 does not */
    uint32_t cgroup;                                                              /* 1, 2, 3 = hybrid, 0 none */
    uint32_t landlock_abi;
    uint32_t apparmor, selinux;
    uint32_t held;                         /* RT_HELD_* */
    char cpus[128], mems[128];             /* that a container may be bound to: "0-3" */
    uint64_t id_pool_first, id_pool_count; /* ranges */
};

#endif
