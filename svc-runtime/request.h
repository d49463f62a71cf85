/*
 * request.h - what a caller asked for with `create` or `exec`, as plain values.
 *
 * Room: runtime.  Foreign: every string comes from a client, checked by nobody yet; all live as long
 * as the call's arena.  create_rpc.c fills these from messages, policy.c and spec_make.c judge them.
 */
#ifndef RT_REQUEST_H
#define RT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/types.h"
#include "wire/spec.h"

/* Who calls, as the kernel told it. */
struct rt_caller {
    uid_t uid;
    bool admin;
};

struct rt_req_mount {
    bool self;        /* of a step: what the layers have at the source, or else the target; type says so in messages */
    const char *type; /* "bind", "tmpfs" */
    const char *source;
    const char *target;
    const char *propagation;
    bool read_only;
    bool make_source;
    bool non_recursive;
    uint64_t tmpfs_size;
    uint32_t tmpfs_mode;
    struct bh_strlist options;
};

struct rt_req_ulimit {
    const char *name;
    uint64_t soft, hard;
};

struct rt_req_device {
    const char *source, *target, *access;
};

/* Absent strings are "". */
struct rt_request {
    const char *image;
    struct bh_strlist command;
    struct bh_strlist entrypoint;
    bool entrypoint_set;
    struct bh_strlist env;
    const char *workdir, *user, *hostname, *domainname;
    struct bh_strlist group_add;
    bool tty, open_stdin, stdin_once, init, privileged, read_only, auto_remove;
    const char *userns, *network, *pid, *ipc, *uts, *cgroupns;
    struct bh_strlist cap_add, cap_drop, security_opt;
    struct rt_req_mount *mounts;
    size_t n_mounts;
    struct rt_req_ulimit *ulimits;
    size_t n_ulimits;
    struct rt_req_device *devices;
    size_t n_devices;
    struct bh_strlist sysctls;
    uint64_t shm_size;
    int32_t oom_score_adj;
    struct rt_limits limits;
    struct bh_strlist expose; /* "80", "8000-8010/udp" */
    struct bh_strlist extra_hosts, dns, dns_search, dns_option;
    struct bh_pairs labels;
    struct bh_pairs log_opts;
    const char *stop_signal;
    bool stop_timeout_set;
    int32_t stop_timeout; /* seconds */
    const char *log_driver;
    const char *platform;
    uint32_t tty_rows, tty_cols;
};

struct rt_exec_request {
    struct bh_strlist command;
    struct bh_strlist env;
    const char *workdir, *user;
    bool tty, privileged, detach, open_stdin;
    uint32_t tty_rows, tty_cols;
};

#endif
