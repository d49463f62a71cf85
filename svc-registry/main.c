/*
 * main.c - bulkhead-registry: starts as every room does, then serves.
 *
 * Room: registry.  Sees the network, certificates and resolver files.  Trusts the supervisor that made the room; trusts
 * no caller and no peer. Must not open its endpoint's pool of threads before its paths are closed, nor serve before its
 * system calls are.
 */
#include "methods.h"
#include "proc/room.h"
#include "rpc/server.h"

_Static_assert((int)BH_ROLE_ADMIN == (int)BH_ROOM_ADMIN && (int)BH_ROLE_USER == (int)BH_ROOM_USER &&
                   (int)BH_ROLE_STORE == (int)BH_ROOM_STORE && (int)BH_ROLE_REGISTRY == (int)BH_ROOM_REGISTRY &&
                   (int)BH_ROLE_BUILD == (int)BH_ROOM_BUILD && (int)BH_ROLE_RUNTIME == (int)BH_ROOM_RUNTIME,
               "lib/proc and lib/rpc name the same roles");

static unsigned roles_of(void *room, uid_t uid, gid_t gid) {
    (void)gid;
    return bh_room_roles(room, uid);
}

static void on_stop(void *server) {
    bh_server_stop(server);
}

static int serve(struct bh_room *room, int argc, char **argv, struct bh_err *err) {
    static const struct bh_room_spec spec = {.name = "registry", .network = true};
    struct bh_server *server = NULL;
    int rc = bh_room_begin(room, &spec, argc, argv, err);

    if (rc < 0)
        return rc;
    const struct bh_server_config config = {
        .dir = room->run_dir,
        .mode = room->socket_mode,
        .service_name = spec.name,
        .services = &registry_service,
        .n_services = 1,
        .room = room,
        .roles_of = roles_of,
    };
    rc = bh_server_listen(&config, &server, err);
    if (rc == 0)
        rc = bh_room_confine(room, err);
    if (rc == 0)
        rc = bh_room_ready(room, on_stop, NULL, server, err);
    return rc == 0 ? bh_server_run(server, err) : rc;
}

int main(int argc, char **argv) {
    static struct bh_room room;
    struct bh_err err = BH_ERR_INIT;

    (void)serve(&room, argc, argv, &err);
    bh_room_end(&room, &err);
}
