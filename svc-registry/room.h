/*
 * room.h - the registry room: what its handlers share.
 *
 * Room: registry.  Made in main.c before the first call.  Nothing here belongs to one call.
 */
#ifndef REG_ROOM_H
#define REG_ROOM_H

#include <pthread.h>

#include "svc-registry/auth.h"
#include "svc-registry/conf.h"
#include "svc-registry/http.h"
#include "svc-registry/store.h"

struct reg_room {
    struct reg_http *http;
    struct reg_tokens *tokens;
    struct reg_store *store;
    pthread_mutex_t lock;
    struct reg_conf *conf; /* the newest; take it with reg_room_conf */
};

/* config: the text of BH_FD_CONFIG.  Opens files of the system (certificates), so before or after confinement. */
int reg_room_open(struct reg_room *room, const struct bh_buf *config, const char *store_dir, struct bh_err *err);
/* The descriptor stays the caller's. */
void reg_room_reload(struct reg_room *room, int fd);
/* A reference to the snapshot of now; reg_conf_unref. */
struct reg_conf *reg_room_conf(struct reg_room *room);

#endif
