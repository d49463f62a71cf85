/*
 * host.c - which OCI runtime works here: what the trial found, and another trial when it was not the best.
 *
 * Room: runtime.  A trial may fail by chance (a host without memory for a moment, a package that is just being
 * installed): what it found must not hold for as long as the room lives.  Each container keeps the OCI runtime that it
 * was made for, so that a change here touches new containers alone.
 */
#include <pthread.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/log.h"
#include "svc-runtime/limits.h"
#include "svc-runtime/room.h"

#define FIRST_S 2
#define LAST_S  600

int rt_host_try(struct rt_room *room, struct bh_err *err) {
    pthread_mutex_init(&room->host_lock, NULL);
    return rt_trial_run(&room->trial, &room->host, &room->oci, err);
}

struct rt_launch_info rt_host(struct rt_room *room, int *out_oci) {
    struct rt_launch_info copy;

    pthread_mutex_lock(&room->host_lock);
    copy = room->host;
    if (out_oci != NULL)
        *out_oci = room->oci;
    pthread_mutex_unlock(&room->host_lock);
    return copy;
}

uint32_t rt_host_held(struct rt_room *room) {
    int oci;
    const struct rt_launch_info host = rt_host(room, &oci);

    return oci >= 0 && !RT_OCI_CGROUP(oci) ? 0 : host.held;
}

int rt_host_limits(struct rt_room *room, struct rt_limits *limits, struct bh_arena *arena, struct bh_strlist *warnings,
                   struct bh_err *err) {
    const struct rt_launch_info host = rt_host(room, NULL);
    const struct rt_limits_host can = {
        .held = rt_host_held(room), .cpus = host.cpus, .mems = host.mems, .n_cpus = (unsigned)get_nprocs()};

    return rt_limits_settle(limits, &can, arena, warnings, err);
}

static void *watch(void *arg) {
    struct rt_room *room = arg;
    struct rt_launch_info host;
    struct bh_err err = BH_ERR_INIT;
    int oci;

    host = rt_host(room, &oci);
    for (unsigned pause = FIRST_S; oci != 0; pause = pause < LAST_S / 2 ? pause * 2 : LAST_S) {
        sleep(pause);
        bh_err_clear(&err);
        if (rt_trial_again(&room->trial, &host, &oci, &err) != 0)
            bh_log_err("trial", &err);
        pthread_mutex_lock(&room->host_lock);
        room->host = host;
        room->oci = oci;
        pthread_mutex_unlock(&room->host_lock);
    }
    return NULL;
}

void rt_host_watch(struct rt_room *room) {
    pthread_t t;

    if (room->oci == 0)
        return;
    if (pthread_create(&t, NULL, watch, room) == 0)
        pthread_detach(t);
    else
        bh_log(BH_LOG_ERR, "trial", "no thread for it: what was found holds until the next start");
}
