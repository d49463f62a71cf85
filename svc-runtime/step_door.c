/*
 * step_door.c - sockets of a step: a connection of the command is handed to the caller of the build.
 *
 * Room: runtime.  Not one byte of a connection is read here.  Foreign: the callers' descriptors.  A descriptor on its
 * way counts against this room until it is taken, so only few are sent to a caller that does not take them.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "svc-runtime/step.h"

#define ON_THE_WAY 8192 /* bytes as the kernel counts: about ten connections */
#define LOOK_MS    20

static bool is_caller(int fd) {
    int family = 0, type = 0;
    socklen_t n = sizeof family;

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &n) != 0)
        return false;
    n = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && family == AF_UNIX && type == SOCK_SEQPACKET;
}

int rt_doors_open(struct rt_door *doors, unsigned n, struct bh_err *err) {
    for (unsigned i = 0; i < n; i++) {
        if (!is_caller(doors[i].caller))
            return bh_err_set(err, BH_E_INVALID, "what came for socket %u of a RUN is no SEQPACKET socket", i + 1);
        doors[i].listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (doors[i].listener < 0)
            return bh_err_errno(err, errno, "make a socket for a RUN");
    }
    return 0;
}

void rt_doors_close(struct rt_door *doors, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        bh_fdpass_close(&doors[i].listener, 1);
        bh_fdpass_close(&doors[i].caller, 1);
    }
}

int rt_door_wanted(const struct rt_door *door, int *out_wait_ms) {
    int queued = 0;

    if (ioctl(door->caller, SIOCOUTQ, &queued) == 0 && queued < ON_THE_WAY)
        return door->listener;
    *out_wait_ms = LOOK_MS;
    return -1;
}

/* One that cannot be handed over is closed: the command sees an agent that has gone. */
void rt_door_serve(const struct rt_door *door) {
    struct bh_err err = BH_ERR_INIT;
    int fd = accept4(door->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (bh_fdpass_try_send(door->caller, "c", 1, &fd, 1, &err) < 0 && err.code != BH_E_UNAVAILABLE)
        bh_log_err("step-door", &err);
    close(fd);
}
