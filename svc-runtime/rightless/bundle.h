/*
 * bundle.h - everything that is written for the start of one container or exec session.
 *
 * Room: a child of launch without rights.  It looks at what everybody may see of the host (devices,
 * /etc/hosts, its own limits), gives up even that, and then writes into the descriptors that it holds.
 */
#ifndef RLS_BUNDLE_H
#define RLS_BUNDLE_H

#include "rightless/oci.h"
#include "wire/monitor_start.h"

/* The descriptors, from RLS_FD on; an exec session has the first two alone. */
enum lnc_bundle_fd {
    LNC_BUNDLE_ORDERS, /* struct rt_monitor_orders */
    LNC_BUNDLE_CONFIG, /* config.json, process.json, or struct rt_enter */
    LNC_BUNDLE_HOSTS,  /* bound over the container's /etc/hosts, and so on */
    LNC_BUNDLE_HOSTNAME,
    LNC_BUNDLE_RESOLV,
    LNC_BUNDLE_FILES /* from here on: the specification's own files */
};

struct lnc_bundle {
    struct lnc_oci oci; /* devices and own_*: found by the child */
    const struct rt_launch_request *q;
    const char *root; /* DIR of the engine */
    uint32_t monitor_uid, monitor_gid, runtime_uid;
    bool enter; /* an exec session that the monitor starts itself, without an OCI runtime */
};

/* What descriptor number i is: a file below the stage ("": one without a name), and whose it shall be. */
struct lnc_bundle_place {
    char path[96];
    uint32_t mode, uid, gid;
    bool socket; /* one of the request's gets this name */
};
struct lnc_bundle_place lnc_bundle_place(const struct lnc_bundle *b, unsigned i);
unsigned lnc_bundle_count(const struct lnc_bundle *b);

/* arg: struct lnc_bundle. */
int lnc_bundle_write(const void *arg, void *out, struct bh_err *err);

/* The parts, for tests. */
int lnc_host_look(struct lnc_oci *o, struct bh_err *err);
void lnc_orders_fill(const struct lnc_bundle *b, struct rt_monitor_orders *o);
struct lnc_texts {
    struct bh_buf hosts, hostname, resolv;
};
/* With the host's own files where the specification wants them: before lnc_confine. */
void lnc_texts_write(const struct rt_spec *spec, struct lnc_texts *out);

#endif
