/*
 * main.c - bulkhead-registry: starts as every room does, then serves.
 *
 * Room: registry.  Sees the network, certificates and resolver files.  Trusts the supervisor that made the room; trusts
 * no caller and no peer.  Must not open its endpoint's pool of threads before its paths are closed, nor serve before
 * its system calls are.
 */
#include <unistd.h>

#include "proc/room.h"
#include "rpc/server.h"
#include "svc-registry/methods.h"
#include "svc-registry/room.h"

_Static_assert((int)BH_ROLE_ADMIN == (int)BH_ROOM_ADMIN && (int)BH_ROLE_USER == (int)BH_ROOM_USER &&
                   (int)BH_ROLE_STORE == (int)BH_ROOM_STORE && (int)BH_ROLE_REGISTRY == (int)BH_ROOM_REGISTRY &&
                   (int)BH_ROLE_BUILD == (int)BH_ROOM_BUILD && (int)BH_ROLE_RUNTIME == (int)BH_ROOM_RUNTIME,
               "lib/proc and lib/rpc name the same roles");

struct program {
    struct bh_room room;
    struct reg_room reg;
    struct bh_server *server;
};

static unsigned roles_of(void *reg, uid_t uid, gid_t gid) {
    const struct program *p = (const struct program *)((const char *)reg - offsetof(struct program, reg));

    (void)gid;
    return bh_room_roles(&p->room, uid);
}

static void on_stop(void *arg) {
    struct program *p = arg;

    bh_server_stop(p->server);
}

static void on_reload(void *arg, int fd) {
    struct program *p = arg;

    reg_room_reload(&p->reg, fd);
    close(fd);
}

static int serve(struct program *p, int argc, char **argv, struct bh_err *err) {
    static const struct bh_room_spec spec = {.name = "registry", .network = true};
    int rc = bh_room_begin(&p->room, &spec, argc, argv, err);

    if (rc < 0)
        return rc;
    const struct bh_server_config config = {
        .dir = p->room.run_dir,
        .mode = p->room.socket_mode,
        .service_name = spec.name,
        .services = &registry_service,
        .n_services = 1,
        .room = &p->reg,
        .roles_of = roles_of,
    };
    rc = bh_server_listen(&config, &p->server, err);
    if (rc == 0)
        rc = bh_room_confine(&p->room, err);
    if (rc == 0)
        rc = reg_room_open(&p->reg, &p->room.config, BH_ROOM_RUN "/store", err);
    if (rc == 0)
        rc = bh_room_ready(&p->room, on_stop, on_reload, p, err);
    return rc == 0 ? bh_server_run(p->server, err) : rc;
}

int main(int argc, char **argv) {
    static struct program p;
    struct bh_err err = BH_ERR_INIT;

    (void)serve(&p, argc, argv, &err);
    bh_room_end(&p.room, &err);
}
