/*
 * rooms.h - the table of rooms: which binary, which user, which folders, which rights.
 *
 * Room: supervisor.  The one place that tells what a room gets; child.c carries it out,
 * tests/rooms reads the result from the kernel.
 */
#ifndef SUP_ROOMS_H
#define SUP_ROOMS_H

#include <stdint.h>

#include "proc/spawn.h"

enum sup_room_id { SUP_STORE, SUP_REGISTRY, SUP_BUILD, SUP_LAUNCH, SUP_RUNTIME, SUP_N_ROOMS };
enum sup_user_id {
    SUP_USER_STORE,
    SUP_USER_REGISTRY,
    SUP_USER_BUILD,
    SUP_USER_RUNTIME,
    SUP_USER_WORKER,
    SUP_USER_MONITOR,
    SUP_N_USERS,
    SUP_USER_ROOT = SUP_N_USERS
};

enum sup_row_flags {
    SUP_STATE = 1 << 0,   /* DIR/state/<name> as /state */
    SUP_MONITOR = 1 << 1, /* DIR/state/monitor read-only as /monitor */
    SUP_NETWORK = 1 << 2, /* the host's network, resolver files, certificates */
    SUP_PAIR = 1 << 3,    /* one end of the runtime-launch pair as descriptor 4 */
    SUP_HOST = 1 << 4,    /* launch: the host's root, pids and network; own mounts; capabilities */
};

struct sup_row {
    enum sup_room_id id;
    const char *name;
    const char *binary;
    enum sup_user_id user;
    unsigned flags;
    unsigned peers; /* bits 1 << sup_room_id: whose sockets it may see */
    unsigned may;   /* bits 1 << bh_control_type: what it may send */
};

extern const struct sup_row sup_rows[SUP_N_ROOMS];
extern const char *const sup_user_names[SUP_N_USERS];
extern const struct bh_bind sup_system_binds[], sup_network_binds[];
extern const unsigned sup_n_system_binds, sup_n_network_binds;

/* What launch keeps; each with its reason in rooms_table.h. */
extern const uint64_t sup_launch_caps;

#endif
