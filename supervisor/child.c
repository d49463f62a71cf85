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
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine.h"

#define START_MS 30000 /* from exec to READY; a build with sanitizers on a busy machine takes its time */
#define STOP_MS  3000
#define N_FDS    (BH_FD_CONFIG + 1)

/* ---- what all children share ------------------------------------------------------------- */

static int open_binary(const struct sup_engine *e, const char *name, struct bh_err *err) {
    char path[PATH_MAX + 64];

    snprintf(path, sizeof path, "%s/%s", e->libexec, name);
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    bh_err_errno(err, errno, "open program %s", path);
    return bh_err_hint(err, "build or install all of Bulkhead, or name its folder with --libexec");
}

unsigned sup_binds_system(struct bh_bind *binds) {
    memcpy(binds, sup_system_binds, sup_n_system_binds * sizeof *binds);
    return sup_n_system_binds;
}

int sup_spawn(struct sup_engine *e, struct bh_spawn *s, const char *binary, pid_t *out_pid, int *out_pidfd,
              struct bh_err *err) {
    /* Nothing of the administrator's environment reaches a room. */
    static const char *const environment[] = {"LANG=C.UTF-8", "MALLOC_ARENA_MAX=2",
                                              "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                              NULL};
    BH_SCOPE_CLOSE int exe_fd = open_binary(e, binary, err), log_fd = -1;
    struct sup_source *log = NULL;

    if (exe_fd < 0)
        return exe_fd;
    int rc = sup_log_open(e, s->name, &log_fd, &log, err);
    if (rc < 0)
        return rc;
    s->fds[0] = e->null_fd;
    s->fds[1] = s->fds[2] = log_fd;
    s->exe_fd = exe_fd;
    s->envp = environment;
    rc = bh_spawn(s, out_pid, out_pidfd, err);
    if (rc == 0)
        sup_log_name_pid(log, *out_pid);
    return rc;
}

/* ---- one room ---------------------------------------------------------------------------- */

struct shown {
    char source[PATH_MAX + 32], target[64];
};

/* dir/name is seen as target, or as target/name where target ends with a slash. */
static struct bh_bind show(struct shown *s, const char *dir, const char *name, const char *target, unsigned flags) {
    bool inside = target[strlen(target) - 1] == '/';

    snprintf(s->source, sizeof s->source, "%s/%s", dir, name);
    snprintf(s->target, sizeof s->target, "%s%s", target, inside ? name : "");
    return (struct bh_bind){s->source, s->target, flags};
}

static unsigned room_binds(const struct sup_engine *e, const struct sup_row *row, struct shown *shown,
                           struct bh_bind *binds) {
    unsigned n = sup_binds_system(binds);

    for (unsigned i = 0; (row->flags & SUP_NETWORK) && i < sup_n_network_binds; i++)
        binds[n++] = sup_network_binds[i];
    binds[n++] = show(shown++, e->run_dir, row->name, BH_ROOM_RUN "/", BH_BIND_RW);
    if (row->flags & SUP_STATE)
        binds[n++] = show(shown++, e->state_dir, row->name, BH_ROOM_STATE, BH_BIND_RW);
    for (unsigned i = 0; i < SUP_N_ROOMS; i++) {
        if (row->peers & (1u << i))
            binds[n++] = show(shown++, e->run_dir, sup_rows[i].name, BH_ROOM_RUN "/", 0);
    }
    if (row->flags & SUP_MONITOR) {
        binds[n++] = show(shown++, e->state_dir, "monitor", BH_ROOM_MONITOR, 0);
        binds[n++] = show(shown++, e->run_dir, "monitor", BH_ROOM_RUN "/", 0);
    }
    return n;
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

static int spawn_launch(struct sup_engine *e, struct sup_room *room, int *fds, struct bh_err *err) {
    const struct sup_user *u = e->users;
    char ids[64];
    const char *const argv[] = {room->row->binary, e->root, e->libexec, ids, NULL};

    snprintf(ids, sizeof ids, "%u:%u:%u:%u", u[SUP_USER_MONITOR].uid, u[SUP_USER_MONITOR].gid, u[SUP_USER_RUNTIME].uid,
             u[SUP_USER_RUNTIME].gid);
    struct bh_spawn s = {.name = room->row->name,
                         .argv = argv,
                         .fds = fds,
                         .n_fds = N_FDS,
                         .namespaces = CLONE_NEWNS,
                         .caps = sup_launch_caps,
                         .may_gain = true};
    return sup_spawn(e, &s, room->row->binary, &room->pid, &room->process.fd, err);
}

static int spawn_room(struct sup_engine *e, struct sup_room *room, int *fds, struct bh_err *err) {
    static const struct bh_limit limits[] = {{RLIMIT_STACK, SUP_STACK}};
    const struct sup_row *row = room->row;
    const struct sup_user *u = e->users;
    struct shown shown[SUP_N_ROOMS + 4];
    struct bh_bind binds[SUP_MAX_BINDS];
    char uids[96], mode[8];
    const char *const argv[] = {row->binary, "--uids", uids, "--admins", e->config.admins, "--socket-mode", mode, NULL};

    snprintf(uids, sizeof uids, "%u,%u,%u,%u,%u,%u", u[0].uid, u[1].uid, u[2].uid, u[3].uid, u[4].uid, u[5].uid);
    snprintf(mode, sizeof mode, "%04o", (unsigned)e->config.socket_mode);
    struct bh_spawn s = {.name = row->name,
                         .argv = argv,
                         .stage = e->stage,
                         .binds = binds,
                         .n_binds = room_binds(e, row, shown, binds),
                         .namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
                                       ((row->flags & SUP_NETWORK) ? 0 : (uint64_t)CLONE_NEWNET),
                         .proc = SUP_SANITIZED,
                         .fds = fds,
                         .n_fds = N_FDS,
                         .limits = limits,
                         .n_limits = 1,
                         .uid = u[row->user].uid,
                         .gid = u[row->user].gid,
                         .groups = &e->config.socket_gid,
                         .n_groups = 1};
    return sup_spawn(e, &s, row->binary, &room->pid, &room->process.fd, err);
}

static int start_with(struct sup_engine *e, struct sup_room *room, int control, struct bh_err *err) {
    BH_SCOPE_CLOSE int pair = -1;

    if (room->row->flags & SUP_PAIR) {
        int rc = take_pair(e, room, &pair, err);
        if (rc < 0)
            return rc;
    }
    int fds[N_FDS] = {[BH_FD_CONTROL] = control,
                      [BH_FD_LAUNCH] = pair,
                      [BH_FD_CONFIG] = e->config_fd[!!(room->row->flags & SUP_NETWORK)]};
    return (room->row->flags & SUP_HOST) ? spawn_launch(e, room, fds, err) : spawn_room(e, room, fds, err);
}

/* State STARTING on success; the room tells READY itself. */
int sup_room_start(struct sup_engine *e, struct sup_room *room, struct bh_err *err) {
    int control[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        return bh_err_errno(err, errno, "start %s", room->row->name);
    (void)fcntl(control[0], F_SETFL, O_NONBLOCK);
    int rc = start_with(e, room, control[1], err);
    close(control[1]);
    if (rc < 0) {
        close(control[0]);
        return rc;
    }
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

void sup_room_stop(struct sup_room *room) {
    const struct bh_control_simple m = {.type = BH_CONTROL_STOP};

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
