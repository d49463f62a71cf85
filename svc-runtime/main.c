/*
 * main.c - bulkhead-runtime: starts as every room does, finds its containers again, then serves.
 *
 * Room: runtime.  Sees its rows, the monitors' logs and sockets, launch's pair.  Trusts the supervisor
 * that made the room and launch; trusts no caller.  Must not serve before its system calls are
 * limited and the containers of its last life are accounted for.
 */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "proc/room.h"
#include "rpc/server.h"
#include "svc-runtime/methods.h"
#include "svc-runtime/trial.h"

#define THREADS 512 /* each foreground run, attach and followed log holds one; they mostly sleep */

struct program {
    struct bh_room room;
    struct rt_room rt;
    struct bh_server *server;
    atomic_bool stopping;
};

static unsigned roles_of(void *rt, uid_t uid, gid_t gid) {
    const struct program *p = (const struct program *)((const char *)rt - offsetof(struct program, rt));

    (void)gid;
    return bh_room_roles(&p->room, uid);
}

static void on_stop(void *arg) {
    struct program *p = arg;

    atomic_store(&p->stopping, true);
    bh_server_stop(p->server);
}

/* The pair cannot be mended from here: the supervisor starts this room with a new one, and the
 * containers do not notice. */
static void launch_gone(void *arg) {
    struct program *p = arg;

    if (atomic_load(&p->stopping))
        return; /* the whole engine stops: running calls are answered first */
    bh_log(BH_LOG_ERR, "launch-gone", "the room ends to be started with a new launch");
    _exit(1);
}

static int try_host(struct program *p, struct bh_err *err) {
    BH_SCOPE_CLOSE int state = open(BH_ROOM_STATE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct rt_trial t = {.launch = p->rt.launch,
                               .monitors = p->rt.monitors,
                               .monitor_dir = p->rt.monitor_dir,
                               .state_dir = state,
                               .config = &p->room.config};

    return rt_trial_run(&t, &p->rt.host, err);
}

static int open_parts(struct program *p, struct bh_err *err) {
    struct rt_room *rt = &p->rt;

    rt->table = rt_table_new();
    rt->execs = rt_execs_new();
    snprintf(rt->monitor_path, sizeof rt->monitor_path, "%s", BH_ROOM_MONITOR);
    rt->monitor_dir = open(BH_ROOM_MONITOR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rt->monitor_dir < 0)
        return bh_err_set(err, BH_E_INTERNAL, "open the folder of logs %s", BH_ROOM_MONITOR);
    if (rt_db_open(BH_ROOM_STATE "/containers.db", &rt->db, err) != 0 || rt_work_new(rt, &rt->work, err) != 0 ||
        rt_monitors_new(BH_ROOM_RUN "/monitor", &rt->monitors, err) != 0 ||
        rt_launch_new(BH_FD_LAUNCH, launch_gone, p, &rt->launch, err) != 0 ||
        rt_store_open(BH_ROOM_RUN "/store", &rt->store, err) != 0)
        return err->code;
    if (try_host(p, err) != 0)
        return err->code;
    return rt_recover(rt, err);
}

static int serve(struct program *p, int argc, char **argv, struct bh_err *err) {
    static const char *const syscalls[] = {
        "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "eventfd2", "memfd_create", "pipe2", "epoll_create1",
        "epoll_ctl",     "epoll_wait",        "epoll_pwait",      NULL};
    static const struct bh_room_spec spec = {
        .name = "runtime", .state = true, .monitor = true, .launch = true, .syscalls = syscalls};
    int r = bh_room_begin(&p->room, &spec, argc, argv, err);

    if (r < 0)
        return r;
    const struct bh_server_config config = {.dir = p->room.run_dir,
                                            .mode = p->room.socket_mode,
                                            .service_name = spec.name,
                                            .services = &rt_service,
                                            .n_services = 1,
                                            .room = &p->rt,
                                            .roles_of = roles_of,
                                            .threads = THREADS,
                                            .calls_per_peer = 128};

    r = bh_server_listen(&config, &p->server, err);
    if (r == 0)
        r = bh_room_confine(&p->room, err);
    if (r == 0)
        r = open_parts(p, err);
    if (r == 0)
        r = bh_room_ready(&p->room, on_stop, NULL, p, err);
    if (r != 0)
        return r;
    p->rt.control = p->room.control;
    r = bh_server_run(p->server, err);
    rt_work_drain(p->rt.work, 1000);
    return r;
}

int main(int argc, char **argv) {
    static struct program p;
    struct bh_err err = BH_ERR_INIT;

    signal(SIGPIPE, SIG_IGN); /* a client or container that closes its pipe is an error to report, not our end */
    (void)serve(&p, argc, argv, &err);
    bh_room_end(&p.room, &err);
}
