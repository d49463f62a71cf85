/*
 * trial.h - what this host can do, found by doing it: which OCI runtime works, and whether layers mount.
 *
 * Room: runtime, before it serves; what did not work is tried again later.  A version number proves nothing about a
 * kernel with backports or a host that is itself a container: a tiny container is started, by the same requests as any
 * other.
 */
#ifndef RT_TRIAL_H
#define RT_TRIAL_H

#include "base/buf.h"
#include "svc-runtime/launch_client.h"
#include "svc-runtime/monitor_client.h"

struct rt_trial {
    struct rt_launch *launch;
    int state_dir; /* the layer of the trial lies here meanwhile */
    struct rt_monitors *monitors;
    int monitor_dir;             /* the end of the container is read here once its monitor has gone */
    const struct bh_buf *config; /* of the engine: storage_form = "extracted" */
};

/* Tells the client of launch what to use from now on, and *out all that is known of the host.  That nothing works is no
 * error (*out_oci < 0): starts are refused with the reason then. */
int rt_trial_run(const struct rt_trial *t, struct rt_launch_info *out, int *out_oci, struct bh_err *err);
/* Tries once more what is preferred to *oci, because a trial may fail by chance; host and *oci tell of what works now.
 * The form of the layers stays: containers have been made in it. */
int rt_trial_again(const struct rt_trial *t, struct rt_launch_info *host, int *oci, struct bh_err *err);

#endif
