/*
 * spec.h - what a container or an exec session shall be: typed, complete, checked.
 *
 * Rooms: runtime (makes it out of image config and request) and launch (checks it and writes the
 * OCI config from it).  Nothing of an image's own JSON goes further than these fields.
 *
 * Encoding (spec_encode, spec_decode): a sealed memfd with "BHSP", u32 version, then every field in
 * the order below; integers little-endian of their own size, a string as u32 length + bytes (no NUL
 * inside), an array as u32 count + elements.  At most 2 MiB, 65,536 strings.  The decoder refuses
 * what is left over, too short, or has a NUL inside.
 */
#ifndef RT_WIRE_SPEC_H
#define RT_WIRE_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define RT_SPEC_VERSION 1
#define RT_SPEC_MAX     ((size_t)2 << 20)

struct rt_strings {
    char **item;
    uint32_t n;
};

enum rt_mount_kind {
    RT_MOUNT_BIND = 1,
    RT_MOUNT_TMPFS = 2,
    RT_MOUNT_SELF = 3 /* what the layers have at the source, as a mount of its own: read-only, or above one that is */
};
enum rt_mount_flags {
    RT_MOUNT_RO = 1 << 0,
    RT_MOUNT_NOEXEC = 1 << 1,
    RT_MOUNT_RECURSIVE = 1 << 2,   /* bind: with the mounts below the source */
    RT_MOUNT_MAKE_SOURCE = 1 << 3, /* -v: make the host folder when it is missing; --mount does not */
    RT_MOUNT_EXEC = 1 << 4,        /* tmpfs: docker's default is noexec */
    RT_MOUNT_SUID = 1 << 5,
    RT_MOUNT_DEV = 1 << 6,
    RT_MOUNT_IDMAP = 1 << 7, /* bind: shift owners so that host id 0 is the container's 0 */
};
/* Propagation of a bind mount, 0 = rprivate. */
enum rt_propagation {
    RT_PROP_RPRIVATE,
    RT_PROP_PRIVATE,
    RT_PROP_SHARED,
    RT_PROP_RSHARED,
    RT_PROP_SLAVE,
    RT_PROP_RSLAVE
};

struct rt_mount {
    uint32_t kind;
    uint32_t flags;
    uint32_t propagation;
    uint32_t mode; /* tmpfs, 0: 1777 */
    uint64_t size; /* tmpfs, 0: no limit of its own */
    char *source;  /* absolute path: bind on the host, SELF in the container before anything is mounted there */
    char *target;  /* absolute path in the container, cleaned */
};

struct rt_ulimit {
    char *name; /* "nofile" */
    uint64_t soft, hard;
};

/* What the kernel holds its processes to by their cgroup; 0, "" and NULL: not limited. */
enum rt_limit_flags {
    RT_LIMIT_SWAPPINESS = 1 << 0,  /* `swappiness` was asked for */
    RT_LIMIT_OOM_KNOWN = 1 << 1,   /* this host can switch the out-of-memory killer off */
    RT_LIMIT_NO_OOM_KILL = 1 << 2, /* and so it is for this container */
};
struct rt_limits {
    uint64_t memory, reservation;  /* bytes */
    int64_t nano_cpus;             /* 1e9 is one processor */
    int64_t swap;                  /* memory and swap together; -1: no limit of swap */
    int64_t shares, period, quota; /* of processors; microseconds, a quota less than 0 is none */
    int64_t pids;
    uint32_t blkio_weight;
    uint32_t flags; /* RT_LIMIT_* */
    uint32_t swappiness;
    char *cpus, *mems; /* "0-2,5" */
};

struct rt_device {
    char *source, *target; /* --device, administrators only */
    char *access;          /* "rwm" */
};

/* A file whose content comes with the specification: it never lies on a disk. */
#define RT_MAX_FILES 24
struct rt_file {
    char *target; /* absolute path in the container, cleaned */
    void *data;
    uint32_t n;
    uint32_t mode, uid, gid; /* ids as the container sees them */
    uint32_t socket;         /* 1: no content, a socket of runtime's that came with the request gets the name */
};

/* A seccomp profile that replaces the default one. */
#define RT_MAX_SECCOMP_RULES 2048
#define RT_MAX_SECCOMP_ARGS  6
struct rt_seccomp_arg {
    uint32_t index;
    uint64_t value, value_two;
    char *op; /* "SCMP_CMP_EQ" */
};
struct rt_seccomp_rule {
    struct rt_strings names;
    char *action;       /* "SCMP_ACT_ALLOW" */
    uint32_t errno_ret; /* of ERRNO and TRACE */
    struct rt_seccomp_arg *args;
    uint32_t n_args;
};
struct rt_seccomp {
    char *action; /* of what no rule names; "" or NULL: there is no profile */
    uint32_t errno_ret;
    struct rt_strings arches, flags;
    struct rt_seccomp_rule *rules;
    uint32_t n_rules;
};

enum rt_spec_flags {
    RT_TTY = 1 << 0,
    RT_OPEN_STDIN = 1 << 1, /* -i */
    RT_STDIN_ONCE = 1 << 2, /* stdin, unless a terminal, is closed when the first attached client closes its side */
    RT_PRIVILEGED = 1 << 3,
    RT_USERNS_HOST = 1 << 4,
    RT_NET_HOST = 1 << 5, /* else: a network namespace with lo alone */
    RT_PID_HOST = 1 << 6,
    RT_IPC_HOST = 1 << 7,
    RT_UTS_HOST = 1 << 8,
    RT_CGROUPNS_HOST = 1 << 9,
    RT_READONLY_ROOTFS = 1 << 10,
    RT_NO_NEW_PRIVS = 1 << 11,
    RT_SECCOMP_UNCONFINED = 1 << 12,
    RT_UNMASKED = 1 << 13,        /* --security-opt systempaths=unconfined */
    RT_INIT = 1 << 14,            /* --init: bulkhead-init is process 1 */
    RT_KEEP_LOG = 1 << 15,        /* write the log; off for RUN steps of a build that read stdio themselves */
    RT_EXEC_PRIVILEGED = 1 << 16, /* exec --privileged */
    RT_VOLATILE = 1 << 17,        /* --rm: what it writes need not outlive a power cut, nor be synced at its end */
    RT_FILTER_STRICT = 1 << 18,   /* its profile names flags of the filter, and SPEC_ALLOW is not among them */
    RT_FILTER_LOG = 1 << 19,      /* its profile names the flag LOG */
};

struct rt_spec {
    uint32_t flags;         /* RT_* of above */
    struct rt_strings args; /* at least one */
    struct rt_strings env;  /* "K=V" each; HOME and HOSTNAME and TERM are added by launch when missing */
    char *cwd;              /* absolute; made when missing, by the container's root */
    char *user;             /* "", "name", "uid", "name:group", "uid:gid": looked up in the root file system */
    struct rt_strings group_add;
    uint64_t caps; /* bits of the capabilities, already computed from defaults, --cap-add, --cap-drop */
    char *hostname;
    char *domainname;
    struct rt_strings extra_hosts; /* "name:ip" */
    struct rt_strings dns, dns_search, dns_option;
    struct rt_strings sysctls; /* "net.x=1", allow-listed by launch */
    struct rt_mount *mounts;   /* shallow targets first */
    uint32_t n_mounts;
    struct rt_ulimit *ulimits;
    uint32_t n_ulimits;
    struct rt_device *devices;
    uint32_t n_devices;
    uint64_t shm_size; /* 0: 64 MiB */
    int32_t oom_score_adj;
    uint32_t umask;         /* 0: the runtime's own, 022 */
    uint64_t log_max_size;  /* bytes of one log file, 0: 16 MiB */
    uint32_t log_max_files; /* 0: 2 */
    uint32_t tty_rows, tty_cols;
    char *seccomp_profile; /* always "": from before there was `seccomp` */
    struct rt_file *files; /* of steps of a build; from here on, all is left out when none is set */
    uint32_t n_files;
    struct rt_seccomp seccomp;
    struct rt_limits limits; /* where there is a cgroup */
};

int rt_spec_encode(const struct rt_spec *spec, struct bh_buf *out, struct bh_err *err);
/* Strings live in the arena. */
int rt_spec_decode(const void *data, size_t n, struct bh_arena *arena, struct rt_spec *out, struct bh_err *err);
/* The same from a regular file. */
int rt_spec_read(int fd, struct bh_arena *arena, struct rt_spec *out, struct bh_err *err);

#endif
