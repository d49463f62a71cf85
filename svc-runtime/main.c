/*
 * main.c - bulkhead-runtime: starts as every room does, finds its containers again, then serves.
 *
 * Room: runtime.  Sees its rows, the monitors' logs and sockets, launch's pair.  Trusts the supervisor
 * that made the room and launch; trusts no caller.  Must not serve before the containers of its last life are accounted
 * for.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "serve/serve.h"
#include "svc-runtime/methods.h"
#include "svc-runtime/trial.h"

#define THREADS 512 /* each foreground run, attach and followed log holds one; they mostly sleep */

struct program {
    struct bh_room room;
    struct rt_room rt;
    atomic_bool stopping;
};

static struct program program;

static void on_stop(void *arg) {
    struct program *p = arg;

    atomic_store(&p->stopping, true);
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
    p->rt.trial = (struct rt_trial){.launch = p->rt.launch,
                                    .monitors = p->rt.monitors,
                                    .monitor_dir = p->rt.monitor_dir,
                                    .state_dir = open(BH_ROOM_STATE, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                    .config = &p->room.config};
    return rt_host_try(&p->rt, err);
}

static int open_parts(void *arg, struct bh_err *err) {
    struct program *p = arg;
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

static void on_ready(void *arg) {
    struct program *p = arg;

    p->rt.control = p->room.control;
    rt_host_watch(&p->rt);
}

int main(int argc, char **argv) {
    static const char *const syscalls[] = {
        "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "eventfd2", "memfd_create", "pipe2", "epoll_create1",
        "epoll_ctl",     "epoll_wait",        "epoll_pwait",      NULL};
    static const struct bh_serve serve = {
        .spec = {.name = "runtime", .state = true, .monitor = true, .launch = true, .syscalls = syscalls},
        .service = &rt_service,
        .state = &program.rt,
        .threads = THREADS,
        .calls_per_peer = 128,
        .open = open_parts,
        .ready = on_ready,
        .stop = on_stop,
        .arg = &program};
    struct bh_err err = BH_ERR_INIT;

    signal(SIGPIPE, SIG_IGN); /* a client or container that closes its pipe is an error to report, not our end */
    if (bh_serve(&program.room, &serve, argc, argv, &err) == 0)
        rt_work_drain(program.rt.work, 1000);
    bh_room_end(&program.room, &err);
}
