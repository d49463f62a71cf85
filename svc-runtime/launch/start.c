/*
 * start.c - children of launch that build a container, or join one, and become its monitor.
 *
 * Room: launch.  A child has its own mount namespace; whatever goes wrong here ends with the child,
 * and its mounts with it.  It reads the specification (decoded and bounded by wire/spec.c) and
 * passes nothing on that is not written out by rightless/oci.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "launch.h"

#define SPEC_ARENA ((size_t)16 << 20)
#define OF_CONTAINER                                                                                                   \
    ((uint32_t)(RT_NO_NEW_PRIVS | RT_SECCOMP_UNCONFINED | RT_PRIVILEGED | RT_FILTER_STRICT | RT_FILTER_LOG))

/* What both kinds of child hold; it ends with the process. */
struct child {
    const struct launch *l;
    const struct lnc_request *r;
    struct rt_spec spec;
    struct lnc_record rec;
    struct lnc_user user;
    struct lnc_mounts m;
    int dir; /* the container's folder */
    int report;
    int orders, init, enter; /* of the monitor: RT_MFD_ORDERS, RT_MFD_INIT, RT_MFD_ENTER */
};

/* A socket of runtime's gets a name, and is there before the container's first process. */
static int bind_socket(const struct lnc_request *r, unsigned i, const struct lnc_bundle_place *p) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    bh_str_copy(a.sun_path, sizeof(a.sun_path), p->path);
    bool ok = i < r->n_fds && bind(r->fds[i], (struct sockaddr *)&a, sizeof(a)) == 0 && listen(r->fds[i], 64) == 0;
    return ok && chown(p->path, p->uid, p->gid) == 0 && chmod(p->path, p->mode) == 0 ? r->fds[i] : -1;
}

/* The files that a child without rights writes; what is bound into the container belongs to its root. */
static int write_bundle(struct child *c, struct bh_err *err) {
    const struct lnc_bundle b = {.oci = {.spec = &c->spec,
                                         .user = &c->user,
                                         .id = c->r->q.id,
                                         .stage = c->l->stage,
                                         .base = c->m.base,
                                         .userns = c->m.userns >= 0,
                                         .cgroup = RT_OCI_CGROUP(c->r->q.oci)},
                                 .q = &c->r->q,
                                 .root = c->l->root,
                                 .monitor_uid = c->l->monitor_uid,
                                 .monitor_gid = c->l->monitor_gid,
                                 .runtime_uid = c->l->runtime_uid,
                                 .enter = c->init >= 0};
    int fds[LNC_BUNDLE_FILES + RT_MAX_FILES];
    const struct bh_ask a = {.work = lnc_bundle_write, .arg = &b, .fds = fds, .n_fds = lnc_bundle_count(&b)};

    for (unsigned i = 0, next = 1 + c->r->q.n_layers + c->r->q.n_stdio; i < a.n_fds; i++) {
        struct lnc_bundle_place p = lnc_bundle_place(&b, i);

        fds[i] = p.socket         ? bind_socket(c->r, next++, &p)
                 : p.path[0] != 0 ? open(p.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                                  : memfd_create("bundle", MFD_CLOEXEC);
        if (fds[i] < 0 || (!p.socket && (fchown(fds[i], p.uid, p.gid) != 0 || fchmod(fds[i], p.mode) != 0)))
            return bh_err_errno(err, errno, "make %s", p.path);
    }
    c->orders = fds[LNC_BUNDLE_ORDERS];
    c->enter = b.enter ? fds[LNC_BUNDLE_CONFIG] : -1;
    return bh_ask(&a, err);
}

/* User, groups and home of the process, by a child that is no more than the container's root is. */
static int look_up(struct child *c, struct bh_err *err) {
    const struct lnc_who owner = {c->m.root, c->m.userns, 0};
    const struct bh_ask a = {.work = lnc_lookup_work,
                             .arg = &c->spec,
                             .out = &c->user,
                             .size = sizeof(c->user),
                             .become = lnc_become,
                             .who = &owner};

    if (bh_ask(&a, err) == BH_E_ABORTED)
        bh_err_set(err, BH_E_INVALID, "the image's /etc/passwd and /etc/group could not be read within 2 s");
    return err->code;
}

/* ---- becoming the monitor ------------------------------------------------------------------------- */

/* Bound by way of its folder's descriptor: DIR may be long. */
static int listen_socket(const struct child *c, int *out, struct bh_err *err) {
    const char *id = c->r->q.exec_id[0] != 0 ? c->r->q.exec_id : c->r->q.id;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    BH_SCOPE_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s.sock", c->l->run_monitor, id);
    unlink(a.sun_path);
    mode_t old = umask(0117);
    int r = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&a, sizeof(a));
    umask(old);
    if (r != 0 || chown(a.sun_path, c->l->monitor_uid, c->l->runtime_gid) != 0 || listen(fd, 16) != 0)
        return bh_err_errno(err, errno, "make the monitor's socket %s.sock", id);
    *out = bh_take_fd(&fd);
    return 0;
}

static int monitor_exec(struct child *c, struct bh_err *err) {
    static char *const env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    const struct rt_launch_request *q = &c->r->q;
    char path[PATH_MAX], *argv[] = {"bulkhead-monitor", (char *)q->id, (char *)q->exec_id, NULL};
    int from[] = {c->orders, c->report, -1, c->dir, c->l->run_monitor, -1, -1, -1, -1, c->init, c->enter};
    int *state = &from[RT_MFD_STATE - RT_MFD_ORDERS], *stdio = &from[RT_MFD_STDIN - RT_MFD_ORDERS];
    unsigned next = 1 + q->n_layers;

    *state = openat(c->l->monitors, q->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*state < 0)
        return bh_err_errno(err, errno, "open the container's state folder");
    if (q->exec_id[0] == 0)
        unlinkat(*state, "exit", 0); /* of the run before this one */
    for (int i = 0; i < 3; i++)
        if (q->stdio & (1u << i))
            stdio[i] = c->r->fds[next++];
    snprintf(path, sizeof(path), "%s/bulkhead-monitor", c->l->libexec);
    if (listen_socket(c, &from[RT_MFD_LISTEN - RT_MFD_ORDERS], err) != 0 ||
        bh_place(RT_MFD_ORDERS, from, BH_ARRAY_LEN(from), NULL, 0, err) != 0)
        return err->code;
    c->report = RT_MFD_REPORT;
    execve(path, argv, env);
    return bh_err_errno(err, errno, "start %s", path);
}

/* ---- START ------------------------------------------------------------------------------------------ */

/* The record before the mounts: what is in the upper belongs to these ids from now on. */
static int take_record(struct child *c, struct bh_err *err) {
    int r = lnc_ct_open(c->l, c->r->q.id, &c->dir, &c->rec, err);
    int pidfd = -1;
    bool durable;
    struct bh_err ended = BH_ERR_INIT;

    if (r != 0)
        return r;
    if (rt_pid_open(c->dir, "run", &pidfd, NULL, &ended) == 0)
        return bh_err_set(err, BH_E_CONFLICT, "container %.12s is running already", c->r->q.id);
    durable = (c->rec.spec_flags ^ c->spec.flags) & (RT_USERNS_HOST | RT_PRIVILEGED); /* whose ids the upper has */
    c->m.dress = !c->rec.started;
    c->rec.spec_flags = c->spec.flags;
    c->rec.started = 1;
    c->m.base = lnc_ct_base(&c->rec);
    c->m.fleeting = (c->spec.flags & RT_VOLATILE) != 0;
    r = lnc_ct_save(c->dir, &c->rec, durable, err);
    return r == 0 && c->m.base != 0 ? lnc_userns(c->m.base, &c->m.userns, err) : r;
}

static int bind_init(const struct child *c, struct bh_err *err) {
    char path[96], source[PATH_MAX];

    snprintf(path, sizeof(path), "%s/init", c->l->stage);
    snprintf(source, sizeof(source), "%s/bulkhead-init", c->l->libexec);
    if (mknod(path, S_IFREG | 0755, 0) != 0 || mount(source, path, NULL, MS_BIND, NULL) != 0)
        return bh_err_errno(err, errno, "put bulkhead-init in place");
    return 0;
}

static int build(struct child *c, struct bh_err *err) {
    BH_SCOPE_FREE int *binds = bh_xcalloc(c->spec.n_mounts + 1, sizeof(int));

    if (take_record(c, err) != 0)
        return err->code;
    lnc_runtime_delete(c->l, &c->r->q); /* left by the run before */
    if (lnc_binds_take(&c->m, &c->spec, binds, err) != 0 || lnc_stage(c->l, c->r->q.id, &c->dir, err) != 0 ||
        lnc_rootfs(&c->m, c->r, c->dir, true, false, err) != 0 || look_up(c, err) != 0 ||
        lnc_binds_attach(&c->m, &c->spec, binds, err) != 0 || (c->spec.flags & RT_INIT && bind_init(c, err) != 0))
        return err->code;
    return write_bundle(c, err);
}

/* ---- EXEC ---------------------------------------------------------------------------------------------- */

/* Records of sessions that have ended would pile up in a container that lives for long; ".new" is being written. */
static void prune_execs(int dir) {
    BH_SCOPE_DIR DIR *records = bh_dir_open(dir, ".");
    struct bh_err err = BH_ERR_INIT;

    for (struct dirent *d; (d = bh_dir_next(records)) != NULL;) {
        const char *name = d->d_name;
        BH_SCOPE_CLOSE int pidfd = -1;

        if (bh_str_starts(name, "exec-") && !strchr(name, '.') && rt_pid_open(dir, name, &pidfd, NULL, &err) != 0)
            unlinkat(dir, name, 0);
    }
}

static int join(struct child *c, struct bh_err *err) {
    char path[64];
    pid_t pid = 0;

    if (lnc_ct_open(c->l, c->r->q.id, &c->dir, &c->rec, err) != 0)
        return err->code;
    int r = rt_pid_open(c->dir, "run", &c->init, &pid, err);
    snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
    if (r != 0 || (c->m.root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) {
        bh_err_set(err, BH_E_CONFLICT, "container %.12s is not running", c->r->q.id);
        return bh_err_reason(err, "not-running");
    }
    prune_execs(c->dir);
    c->m.base = lnc_ct_base(&c->rec);
    c->m.userns = c->m.base != 0 ? c->init : -1; /* setns takes the handle of a process that lives, and no other's */
    c->spec.flags &= ~((uint32_t)(RT_INIT | RT_KEEP_LOG) | OF_CONTAINER);
    c->spec.flags |= c->rec.spec_flags & OF_CONTAINER; /* not what runtime says */
    if (c->m.base == 0 || c->r->q.oci == RT_OCI_RUNC)
        c->init = -1; /* by the OCI runtime: the host's ids, or a filter that nobody has kept */
    if (look_up(c, err) != 0 || (c->init < 0 && lnc_stage(c->l, c->r->q.id, &c->dir, err) != 0))
        return err->code;
    return write_bundle(c, err);
}

_Noreturn void lnc_start_child(const struct launch *l, const struct lnc_request *r, int report) {
    static struct child c;
    static struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;

    c = (struct child){.l = l, .r = r, .report = report, .init = -1, .m = {.l = l, .userns = -1, .root = -1}};
    bh_arena_init(&arena, SPEC_ARENA);
    if (rt_spec_read(r->fds[0], &arena, &c.spec, &err) == 0 &&
        (r->q.type == RT_LAUNCH_EXEC ? join : build)(&c, &err) == 0)
        monitor_exec(&c, &err);
    lnc_report(c.report, 0, &err);
    _exit(1);
}
