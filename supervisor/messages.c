/*
 * messages.c - what rooms ask of the supervisor: a table, and nothing that is not in it.
 *
 * Room: supervisor.  The sender may be taken over: size, type, count of descriptors and the right
 * of that room to say this are checked before anything is done; a breach ends the room.  The
 * layouts are told in lib/proc/control.h.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine.h"

union message {
    uint32_t type;
    struct bh_control_simple simple;
    struct bh_control_spawn spawn;
    struct bh_control_kill kill;
};

static void on_ready(struct sup_engine *e, struct sup_room *room, const union message *m, const int *fds) {
    (void)m;
    (void)fds;
    sup_room_ready(e, room);
}

static void on_spawn(struct sup_engine *e, struct sup_room *room, const union message *m, const int *fds) {
    struct bh_err err = BH_ERR_INIT;
    pid_t pid = 0;

    struct bh_control_spawned reply = {.type = BH_CONTROL_SPAWNED, .seq = m->spawn.seq};
    if (room->state != SUP_READY) {
        reply.pid = -ESHUTDOWN;
    } else if (sup_worker_start(e, &m->spawn, fds, &pid, &err) < 0) {
        bh_log_err("worker-failed", &err);
        reply.pid = err.code == BH_E_LIMIT ? -EAGAIN : err.code == BH_E_INVALID ? -EINVAL : -EIO;
    } else {
        reply.pid = pid;
    }
    sup_tell(room, &reply, sizeof reply, -1);
}

static void on_kill(struct sup_engine *e, struct sup_room *room, const union message *m, const int *fds) {
    (void)room;
    (void)fds;
    if (m->kill.seq != 0)
        sup_worker_kill(e, m->kill.seq);
}

static void on_rooms(struct sup_engine *e, struct sup_room *room, const union message *m, const int *fds) {
    static const char *const states[] = {"stopped", "starting", "ready", "stopping", "backoff"};
    struct bh_control_room reply;

    (void)fds;
    for (unsigned i = 0; i <= SUP_N_ROOMS; i++) { /* the supervisor itself first */
        const struct sup_room *r = i > 0 ? &e->rooms[i - 1] : NULL;
        sup_facts_read(r ? r->row->name : "supervisor", r ? r->pid : getpid(), &reply);
        reply.seq = m->simple.seq;
        reply.more = SUP_N_ROOMS - i;
        reply.restarts = r ? r->restarts : 0;
        reply.started_ns = r ? r->started_ns : 0;
        (void)bh_str_copy(reply.state, sizeof reply.state, states[r ? r->state : SUP_READY]);
        sup_tell(room, &reply, sizeof reply, -1);
    }
}

static const struct {
    uint32_t type;
    size_t size;
    void (*act)(struct sup_engine *e, struct sup_room *room, const union message *m, const int *fds);
} table[] = {
    {BH_CONTROL_READY, sizeof(struct bh_control_simple), on_ready},
    {BH_CONTROL_SPAWN, sizeof(struct bh_control_spawn), on_spawn},
    {BH_CONTROL_KILL, sizeof(struct bh_control_kill), on_kill},
    {BH_CONTROL_ROOMS, sizeof(struct bh_control_simple), on_rooms},
};

/* False: nobody may send this. */
static bool dispatch(struct sup_engine *e, struct sup_room *room, const union message *m, size_t n, const int *fds,
                     unsigned n_fds) {
    unsigned expected = n >= sizeof m->spawn && m->type == BH_CONTROL_SPAWN ? m->spawn.n_fds : 0;

    for (unsigned i = 0; i < BH_ARRAY_LEN(table); i++) {
        if (n < sizeof m->type || table[i].type != m->type)
            continue;
        if (table[i].size != n || n_fds != expected || !(room->row->may & (1u << m->type)))
            return false;
        table[i].act(e, room, m, fds);
        return true;
    }
    return false;
}

void sup_control_readable(struct sup_engine *e, struct sup_source *s) {
    struct sup_room *room = (struct sup_room *)((char *)s - offsetof(struct sup_room, control));
    struct bh_err err = BH_ERR_INIT;
    int fds[BH_CONTROL_MAX_FDS];
    unsigned n_fds = 0;
    union message m = {0};
    size_t n = 0;

    int rc = bh_fdpass_recv(s->fd, &m, sizeof m, &n, fds, BH_CONTROL_MAX_FDS, &n_fds, &err);
    if (rc == BH_FDPASS_AGAIN)
        return;
    if (rc == BH_FDPASS_OK && n == 0) { /* it ends just now, or it closed what it must keep open */
        struct pollfd ended = {.fd = room->process.fd, .events = POLLIN};
        sup_unwatch(e, s);
        if (room->state != SUP_STOPPING && poll(&ended, 1, 100) == 0)
            sup_room_kill(room, "it closed its channel");
        return;
    }
    bool known = rc == BH_FDPASS_OK && dispatch(e, room, &m, n, fds, n_fds);
    bh_fdpass_close(fds, n_fds);
    if (!known)
        sup_room_kill(room, "it sent a message that it may not send");
}

void sup_tell(struct sup_room *room, const void *msg, size_t n, int fd) {
    struct bh_err err = BH_ERR_INIT;

    if (room->control.fd < 0)
        return;
    int rc = bh_fdpass_send(room->control.fd, msg, n, &fd, fd >= 0 ? 1 : 0, &err);
    if (rc == BH_FDPASS_AGAIN)
        sup_room_kill(room, "it does not read what it is told");
}
