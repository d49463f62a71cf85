/*
 * oci.h - the JSON for crun and runc, out of a checked specification and of what launch knows of the host.
 *
 * Room: a child of launch without rights.  Everything it needs is in the struct: nothing is opened.
 */
#ifndef RLS_OCI_H
#define RLS_OCI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "rightless/lookup.h"
#include "wire/spec.h"

#define LNC_IDS    65536u /* ids of one container */
#define LNC_LIMITS 16     /* RLIMIT_* */

struct lnc_device {
    const char *path;   /* in the container */
    const char *access; /* "rwm", "" for all */
    bool block;
    uint32_t major, minor, mode;
};

struct lnc_oci {
    const struct rt_spec *spec;
    const struct lnc_user *user;
    const char *id, *stage;
    uint32_t base;
    bool userns, cgroup;
    /* Of launch, the most that a container can have: */
    uint64_t own_caps; /* counts with the host's ids */
    uint64_t own_limits[LNC_LIMITS];
    int64_t own_oom;
    bool mqueue; /* the host has /dev/mqueue */
    const struct lnc_device *devices;
    uint32_t n_devices;
};

/* Below /dev, /proc or /sys, which only the OCI runtime can mount: the user's mount waits as <stage>/late<i>. */
bool lnc_is_late(const char *target);
/* hosts, hostname and resolv.conf wait in <stage>. */
void lnc_oci_config(struct bh_buf *b, const struct lnc_oci *c);
void lnc_oci_process(struct bh_buf *b, const struct lnc_oci *c);

#endif
