/*
 * serve.c - see serve.h.
 *
 * Room: store, registry, build, runtime.  Trusts the supervisor that made the room, and no caller.
 */
#include "serve/serve.h"

_Static_assert((int)BH_ROLE_ADMIN == (int)BH_ROOM_ADMIN && (int)BH_ROLE_USER == (int)BH_ROOM_USER &&
                   (int)BH_ROLE_STORE == (int)BH_ROOM_STORE && (int)BH_ROLE_REGISTRY == (int)BH_ROOM_REGISTRY &&
                   (int)BH_ROLE_BUILD == (int)BH_ROOM_BUILD && (int)BH_ROLE_RUNTIME == (int)BH_ROOM_RUNTIME,
               "lib/proc and lib/rpc name the same roles");

/* Of the one control thread, which lives as long as the process. */
struct control {
    const struct bh_serve *serve;
    struct bh_server *server;
};

static unsigned roles_of(void *room, uid_t uid, gid_t gid) {
    (void)gid;
    return bh_room_roles(room, uid);
}

static void on_stop(void *arg) {
    const struct control *c = arg;

    if (c->serve->stop != NULL)
        c->serve->stop(c->serve->arg);
    bh_server_stop(c->server);
}

static void on_reload(void *arg, int config_fd) {
    const struct control *c = arg;

    c->serve->reload(c->serve->arg, config_fd);
}

int bh_serve(struct bh_room *room, const struct bh_serve *s, int argc, char **argv, struct bh_err *err) {
    static struct control c;

    c.serve = s;
    if (bh_room_begin(room, &s->spec, argc, argv, err) != 0)
        return err->code;
    const struct bh_server_config config = {
        .dir = room->run_dir,
        .mode = room->socket_mode,
        .service_name = s->spec.name,
        .services = s->service,
        .n_services = 1,
        .room = s->state,
        .roles_of = roles_of,
        .roles_arg = room,
        .threads = s->threads,
        .calls_per_peer = s->calls_per_peer,
    };
    if (bh_server_listen(&config, &c.server, err) != 0 || bh_room_confine(room, err) != 0 ||
        s->open(s->arg, err) != 0 || bh_room_ready(room, on_stop, s->reload != NULL ? on_reload : NULL, &c, err) != 0)
        return err->code;
    if (s->ready != NULL)
        s->ready(s->arg);
    return bh_server_run(c.server, err);
}
