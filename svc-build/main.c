/*
 * main.c - bulkhead-build: starts as every room does, then serves.
 *
 * Room: build.  Sees nothing but its own sockets and those of store, runtime and registry.  Trusts the supervisor that
 * made the room; trusts no caller and no peer. Must not open its endpoint's pool of threads before its paths are
 * closed, nor serve before its system calls are.
 */
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "methods.h"
#include "room.h"
#include "rpc/server.h"

_Static_assert((int)BH_ROLE_ADMIN == (int)BH_ROOM_ADMIN && (int)BH_ROLE_USER == (int)BH_ROOM_USER &&
                   (int)BH_ROLE_STORE == (int)BH_ROOM_STORE && (int)BH_ROLE_REGISTRY == (int)BH_ROOM_REGISTRY &&
                   (int)BH_ROLE_BUILD == (int)BH_ROOM_BUILD && (int)BH_ROLE_RUNTIME == (int)BH_ROOM_RUNTIME,
               "lib/proc and lib/rpc name the same roles");

#define THREADS 128 /* each build holds one, and has its own for its stages */

static unsigned roles_of(void *room, uid_t uid, gid_t gid) {
    const struct build_room *b = room;

    (void)gid;
    return bh_room_roles(&b->room, uid);
}

static void on_stop(void *server) {
    bh_server_stop(server);
}

static int open_parts(struct build_room *b, struct bh_err *err) {
    pthread_mutex_init(&b->rows_lock, NULL);
    build_caches_init(&b->caches);
    if (build_store_open(BH_ROOM_RUN "/store", &b->store, err) != 0 ||
        build_runner_open(BH_ROOM_RUN "/runtime", &b->runner, err) != 0)
        return err->code;
    return build_registry_open(BH_ROOM_RUN "/registry", &b->registry, err);
}

static int serve(struct build_room *b, int argc, char **argv, struct bh_err *err) {
    static const struct bh_room_spec spec = {.name = "build", .network = false};
    struct bh_room *room = &b->room;
    struct bh_server *server = NULL;
    int rc = bh_room_begin(room, &spec, argc, argv, err);

    if (rc < 0)
        return rc;
    const struct bh_server_config config = {
        .dir = room->run_dir,
        .mode = room->socket_mode,
        .service_name = spec.name,
        .services = &build_service,
        .n_services = 1,
        .room = b,
        .roles_of = roles_of,
        .threads = THREADS,
    };
    rc = bh_server_listen(&config, &server, err);
    if (rc == 0)
        rc = bh_room_confine(room, err);
    if (rc == 0)
        rc = open_parts(b, err);
    if (rc == 0)
        rc = bh_room_ready(room, on_stop, NULL, server, err);
    return rc == 0 ? bh_server_run(server, err) : rc;
}

int main(int argc, char **argv) {
    static struct build_room room;
    struct bh_err err = BH_ERR_INIT;

    signal(SIGPIPE, SIG_IGN); /* a store that closes a pipe is an error to report, not our end */
    (void)serve(&room, argc, argv, &err);
    bh_room_end(&room.room, &err);
}
