/*
 * child.c - starts, stops and kills the processes of the rooms as the table in rooms.c says.
 *
 * Room: supervisor.  Trusts its own tables; the binaries are those of its own folder.  Must not
 * wait for a room, and must not hand a room a descriptor that its row does not name.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine.h"
#include "proc/spawn.h"

#define START_MS  30000 /* from exec to READY; a build with sanitizers on a busy machine takes its time */
#define STOP_MS   3000
#define MAX_BINDS 40

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* ---- what all children share ------------------------------------------------------------- */

int sup_binary_open(const struct sup_engine *e, const char *name, struct bh_err *err) {
    char path[PATH_MAX + 64];

    snprintf(path, sizeof path, "%s/%s", e->libexec, name);
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    bh_err_errno(err, errno, "open program %s", path);
    return bh_err_hint(err, "build or install all of Bulkhead, or name its folder with --libexec");
}

/* Nothing of the administrator's environment reaches a room. */
const char *const *sup_environment(void) {
    static const char *const plain[] = {"LANG=C.UTF-8", "MALLOC_ARENA_MAX=2",
                                        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    static const char *with_options[8];
    static char text[3][512];
    static const char *const names[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"};
    unsigned n = 0;

    if (!SANITIZED)
        return plain;
    for (; plain[n]; n++)
        with_options[n] = plain[n];
    for (unsigned i = 0; i < BH_ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);
        if (value && (size_t)snprintf(text[i], sizeof text[i], "%s=%s", names[i], value) < sizeof text[i])
            with_options[n++] = text[i];
    }
    with_options[n] = NULL;
    return with_options;
}

int sup_binds_system(struct bh_bind *binds, unsigned max, bool network) {
    unsigned n = 0;

    for (unsigned i = 0; i < sup_n_system_binds && n < max; i++)
        binds[n++] = sup_system_binds[i];
    for (unsigned i = 0; network && i < sup_n_network_binds && n < max; i++)
        binds[n++] = sup_network_binds[i];
    return (int)n;
}

/* ---- one room ---------------------------------------------------------------------------- */

struct plan {
    struct bh_bind binds[MAX_BINDS];
    unsigned n_binds;
    char paths[2 * SUP_N_ROOMS + 4][PATH_MAX + 32];
    unsigned n_paths;
    char uids[96], mode[8], monitor_uid[16], runtime_uid[16];
    const char *argv[12];
    struct bh_spawn_fd fds[8];
    unsigned n_fds;
};

static const char *plan_path(struct plan *p, const char *dir, const char *name) {
    char *path = p->paths[p->n_paths++];

    snprintf(path, sizeof p->paths[0], "%s/%s", dir, name);
    return path;
}

static void plan_bind(struct plan *p, const char *source, const char *target, unsigned flags) {
    p->binds[p->n_binds++] = (struct bh_bind){source, target, flags};
}

static const char *plan_target(struct plan *p, const char *name) {
    return plan_path(p, BH_ROOM_RUN, name);
}

static void plan_folders(struct plan *p, const struct sup_engine *e, const struct sup_row *row) {
    p->n_binds = (unsigned)sup_binds_system(p->binds, MAX_BINDS, (row->flags & SUP_NETWORK) != 0);
    if (row->flags & SUP_STATE)
        plan_bind(p, plan_path(p, e->state_dir, row->name), BH_ROOM_STATE, BH_BIND_RW);
    plan_bind(p, plan_path(p, e->run_dir, row->name), plan_target(p, row->name), BH_BIND_RW);
    for (unsigned i = 0; i < SUP_N_ROOMS; i++) {
        if (row->peers & (1u << i))
            plan_bind(p, plan_path(p, e->run_dir, sup_rows[i].name), plan_target(p, sup_rows[i].name), 0);
    }
    if (row->flags & SUP_MONITOR) {
        plan_bind(p, plan_path(p, e->state_dir, "monitor"), BH_ROOM_MONITOR, 0);
        plan_bind(p, plan_path(p, e->run_dir, "monitor"), plan_target(p, "monitor"), 0);
    }
}

static void plan_arguments(struct plan *p, const struct sup_engine *e, const struct sup_row *row) {
    const struct sup_user *u = e->users;
    unsigned n = 0;

    p->argv[n++] = row->binary;
    if (row->flags & SUP_HOST) {
        snprintf(p->monitor_uid, sizeof p->monitor_uid, "%u", u[SUP_USER_MONITOR].uid);
        snprintf(p->runtime_uid, sizeof p->runtime_uid, "%u", u[SUP_USER_RUNTIME].uid);
        const char *const launch[] = {"--root",        e->root,        "--monitor-uid", p->monitor_uid,
                                      "--runtime-uid", p->runtime_uid, "--bin-dir",     e->libexec};
        for (unsigned i = 0; i < BH_ARRAY_LEN(launch); i++)
            p->argv[n++] = launch[i];
    } else {
        snprintf(p->uids, sizeof p->uids, "%u,%u,%u,%u,%u,%u", u[0].uid, u[1].uid, u[2].uid, u[3].uid, u[4].uid,
                 u[5].uid);
        snprintf(p->mode, sizeof p->mode, "%04o", (unsigned)e->config.socket_mode);
        const char *const room[] = {"--uids", p->uids, "--admins", e->config.admins, "--socket-mode", p->mode};
        for (unsigned i = 0; i < BH_ARRAY_LEN(room); i++)
            p->argv[n++] = room[i];
    }
    p->argv[n] = NULL;
}

static void plan_fd(struct plan *p, int from, int to) {
    p->fds[p->n_fds++] = (struct bh_spawn_fd){from, to};
}

/* The pair is made anew when this side has been used up; the other side then gets its end at its
 * own next start. */
static int take_pair(struct sup_engine *e, struct sup_room *room, int *out_fd, struct bh_err *err) {
    unsigned side = room->row->id == SUP_LAUNCH;

    if (e->pair_fd[side] < 0) {
        if (e->pair_fd[!side] >= 0)
            close(e->pair_fd[!side]);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->pair_fd) < 0)
            return bh_err_errno(err, errno, "connect runtime and launch");
        e->last_pair++;
    }
    room->pair = e->last_pair;
    *out_fd = bh_take_fd(&e->pair_fd[side]);
    return 0;
}

static uint64_t room_namespaces(const struct sup_row *row) {
    if (row->flags & SUP_HOST)
        return CLONE_NEWNS;
    return CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
           ((row->flags & SUP_NETWORK) ? 0 : (uint64_t)CLONE_NEWNET);
}

static int spawn_room(struct sup_engine *e, struct sup_room *room, struct plan *p, struct bh_err *err) {
    static const struct bh_limit small_stacks[] = {{RLIMIT_STACK, (uint64_t)1 << 20}};
    const struct sup_row *row = room->row;
    bool host = (row->flags & SUP_HOST) != 0;
    const struct sup_user user = host ? (struct sup_user){0, 0} : e->users[row->user];
    BH_SCOPE_CLOSE int exe_fd = sup_binary_open(e, row->binary, err);

    if (exe_fd < 0)
        return exe_fd;
    struct bh_spawn s = {
        .name = row->name,
        .exe_fd = exe_fd,
        .argv = p->argv,
        .envp = sup_environment(),
        .namespaces = room_namespaces(row),
        .stage = host ? NULL : e->stage,
        .binds = p->binds,
        .n_binds = host ? 0 : p->n_binds,
        .proc = SANITIZED && !host,
        .fds = p->fds,
        .n_fds = p->n_fds,
        .uid = user.uid,
        .gid = user.gid,
        .groups = &e->config.socket_gid,
        .n_groups = host ? 0 : 1,
        .caps = host ? sup_launch_caps() : 0,
        .may_gain = host,
    };
    if (!host && !SANITIZED) {
        s.limits = small_stacks;
        s.n_limits = BH_ARRAY_LEN(small_stacks);
    }
    return bh_spawn(&s, &room->pid, &room->process.fd, err);
}

static int start_with(struct sup_engine *e, struct sup_room *room, int control, int log_fd, struct bh_err *err) {
    BH_SCOPE_FREE struct plan *p = bh_xcalloc(1, sizeof *p);
    BH_SCOPE_CLOSE int pair = -1;

    plan_folders(p, e, room->row);
    plan_arguments(p, e, room->row);
    plan_fd(p, e->null_fd, 0);
    plan_fd(p, log_fd, 1);
    plan_fd(p, log_fd, 2);
    plan_fd(p, control, BH_FD_CONTROL);
    plan_fd(p, e->config_fd, BH_FD_CONFIG);
    if (room->row->flags & SUP_PAIR) {
        int rc = take_pair(e, room, &pair, err);
        if (rc < 0)
            return rc;
        plan_fd(p, pair, BH_FD_LAUNCH);
    }
    return spawn_room(e, room, p, err);
}

/* State STARTING on success; the room tells READY itself. */
int sup_room_start(struct sup_engine *e, struct sup_room *room, struct bh_err *err) {
    BH_SCOPE_CLOSE int log_fd = -1;
    struct sup_source *log = NULL;
    int control[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        return bh_err_errno(err, errno, "start %s", room->row->name);
    (void)fcntl(control[0], F_SETFL, O_NONBLOCK);
    int rc = sup_log_open(e, room->row->name, &log_fd, &log, err);
    if (rc == 0)
        rc = start_with(e, room, control[1], log_fd, err);
    close(control[1]);
    if (rc < 0) {
        close(control[0]);
        return rc;
    }
    sup_log_name_pid(log, room->pid);
    room->control.fd = control[0];
    room->state = SUP_STARTING;
    room->started_ns = bh_now_ns();
    room->deadline_ms = sup_now_ms() + START_MS;
    rc = sup_watch(e, &room->process, err);
    return rc == 0 ? sup_watch(e, &room->control, err) : rc;
}

void sup_room_ready(struct sup_engine *e, struct sup_room *room) {
    if (room->state != SUP_STARTING)
        return;
    room->state = SUP_READY;
    room->ready_ms = sup_now_ms();
    room->deadline_ms = 0;
    for (unsigned i = 0; i < SUP_N_ROOMS; i++) {
        if (e->rooms[i].state != SUP_READY)
            return;
    }
    if (!e->announced && printf("ready\n") > 0 && fflush(stdout) == 0)
        sup_notify("READY=1\nSTATUS=all rooms serve\n");
    e->announced = true;
}

void sup_room_stop(struct sup_engine *e, struct sup_room *room) {
    const struct bh_control_simple m = {.type = BH_CONTROL_STOP};

    (void)e;
    if (room->state != SUP_STARTING && room->state != SUP_READY)
        return;
    room->state = SUP_STOPPING;
    room->deadline_ms = sup_now_ms() + STOP_MS;
    sup_tell(room, &m, sizeof m, -1);
}

void sup_room_kill(struct sup_room *room, const char *why) {
    bh_log(BH_LOG_WARN, "room-kill", "room=%s pid=%d why=\"%s\"", room->row->name, (int)room->pid, why);
    (void)pidfd_send_signal(room->process.fd, SIGKILL, NULL, 0);
}
