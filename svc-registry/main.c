/*
 * main.c - bulkhead-registry: starts as every room does, then serves.
 *
 * Room: registry.  Sees the network, certificates and resolver files.  Trusts the supervisor that made the room; trusts
 * no caller and no peer.
 */
#include <unistd.h>

#include "serve/serve.h"
#include "svc-registry/methods.h"
#include "svc-registry/room.h"

struct program {
    struct bh_room room;
    struct reg_room reg;
};

static struct program program;

static int open_room(void *arg, struct bh_err *err) {
    struct program *p = arg;

    return reg_room_open(&p->reg, &p->room.config, BH_ROOM_RUN "/store", err);
}

static void on_reload(void *arg, int fd) {
    struct program *p = arg;

    reg_room_reload(&p->reg, fd);
    close(fd);
}

int main(int argc, char **argv) {
    static const struct bh_serve serve = {.spec = {.name = "registry", .network = true},
                                          .service = &registry_service,
                                          .state = &program.reg,
                                          .open = open_room,
                                          .reload = on_reload,
                                          .arg = &program};
    struct bh_err err = BH_ERR_INIT;

    (void)bh_serve(&program.room, &serve, argc, argv, &err);
    bh_room_end(&program.room, &err);
}
