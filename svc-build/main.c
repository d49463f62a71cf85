/*
 * main.c - bulkhead-build: starts as every room does, then serves.
 *
 * Room: build.  Sees nothing but its own sockets and those of store, runtime and registry.  Trusts the supervisor that
 * made the room; trusts no caller and no peer.
 */
#include <pthread.h>
#include <signal.h>

#include "methods.h"
#include "room.h"
#include "serve/serve.h"

#define THREADS 128 /* each build holds one, and has its own for its stages */

static struct build_room room;

static int open_parts(void *arg, struct bh_err *err) {
    struct build_room *b = arg;

    pthread_mutex_init(&b->rows_lock, NULL);
    build_caches_init(&b->caches);
    if (build_store_open(BH_ROOM_RUN "/store", &b->store, err) != 0 ||
        build_runner_open(BH_ROOM_RUN "/runtime", &b->runner, err) != 0)
        return err->code;
    return build_registry_open(BH_ROOM_RUN "/registry", &b->registry, err);
}

int main(int argc, char **argv) {
    static const struct bh_serve serve = {.spec = {.name = "build"},
                                          .service = &build_service,
                                          .state = &room,
                                          .threads = THREADS,
                                          .open = open_parts,
                                          .arg = &room};
    struct bh_err err = BH_ERR_INIT;

    signal(SIGPIPE, SIG_IGN); /* a store that closes a pipe is an error to report, not our end */
    (void)bh_serve(&room.room, &serve, argc, argv, &err);
    bh_room_end(&room.room, &err);
}
