/*
 * room.h - what all builds of this room share.
 *
 * Room: build.  Connections to the other rooms.
 */
#ifndef BUILD_ROOM_H
#define BUILD_ROOM_H

#include <pthread.h>

#include "proc/room.h"
#include "caches.h"
#include "registry.h"
#include "runner.h"
#include "store.h"

struct build_room {
    struct bh_room room;
    struct build_store *store;
    struct build_runner *runner;
    struct build_registry *registry;
    struct build_caches caches;
    pthread_mutex_t rows_lock; /* one writer of a list of builds at a time */
};

#endif
