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
    struct rt_monitor_orders orders;
};

static int read_spec(struct child *c, struct bh_err *err) {
    static struct bh_arena arena;

    bh_arena_init(&arena, SPEC_ARENA);
    return rt_spec_read(c->r->fds[0], &arena, &c->spec, err);
}

static int write_bundle(const struct child *c, const char *name, struct bh_err *err) {
    struct lnc_oci o = {.spec = &c->spec,
                        .user = &c->user,
                        .id = c->r->q.id,
                        .stage = c->l->stage,
                        .base = c->m.base,
                        .userns = c->m.userns >= 0,
                        .cgroup = !c->l->no_cgroup};

    return lnc_oci_write(&o, name, err);
}

/* ---- orders -------------------------------------------------------------------------------------- */

/* The command line of the OCI runtime. */
static void arguments(struct child *c, bool exec) {
    struct rt_monitor_orders *o = &c->orders;
    const char *manager = c->l->no_cgroup ? "--cgroup-manager=disabled" : "--cgroup-manager=cgroupfs";
    bool tty = o->console_path[0] != 0;
    char root[PATH_MAX], what[96];
    const char *const words[] = {c->l->info.runtime_path,
                                 "--root",
                                 root,
                                 "--log",
                                 o->log_path,
                                 strcmp(c->l->info.runtime, "crun") == 0 ? manager : NULL,
                                 exec ? "exec" : "run",
                                 "--detach",
                                 exec ? "--process" : "--bundle",
                                 what,
                                 "--pid-file",
                                 o->pid_path,
                                 tty ? "--console-socket" : NULL,
                                 tty ? o->console_path : NULL,
                                 c->r->q.id};
    size_t at = 0;

    snprintf(root, sizeof(root), "%s/run/launch/oci", c->l->root);
    snprintf(what, sizeof(what), exec ? "%s/bundle/process.json" : "%s/bundle", c->l->stage);
    for (size_t i = 0; i < BH_ARRAY_LEN(words); i++) {
        size_t n = words[i] != NULL ? strlen(words[i]) + 1 : 0;

        if (n == 0 || at + n > sizeof(o->argv))
            continue;
        memcpy(o->argv + at, words[i], n);
        at += n;
        o->argc++;
    }
}

static void write_orders(struct child *c, bool exec) {
    struct rt_monitor_orders *o = &c->orders;
    const struct rt_launch_request *q = &c->r->q;
    const char *stage = c->l->stage;

    bh_str_copy(o->id, sizeof(o->id), q->id);
    bh_str_copy(o->exec_id, sizeof(o->exec_id), q->exec_id);
    snprintf(o->socket_name, sizeof(o->socket_name), "%s.sock", exec ? q->exec_id : q->id);
    snprintf(o->record_name, sizeof(o->record_name), exec ? "exec-%s" : "run%s", q->exec_id);
    snprintf(o->stage, sizeof(o->stage), "%s", stage);
    snprintf(o->log_path, sizeof(o->log_path), "%s/bundle/log", stage);
    snprintf(o->pid_path, sizeof(o->pid_path), "%s/bundle/pid", stage);
    if (c->spec.flags & RT_TTY)
        snprintf(o->console_path, sizeof(o->console_path), "%s/bundle/tty", stage);
    snprintf(o->program, sizeof(o->program), "%s", c->spec.args.item[0]);
    o->flags = c->spec.flags;
    o->stdio = q->stdio;
    o->rows = c->spec.tty_rows;
    o->cols = c->spec.tty_cols;
    o->uid = c->l->monitor_uid;
    o->gid = c->l->monitor_gid;
    o->runtime_uid = c->l->runtime_uid;
    o->container_uid = c->m.base;
    o->log_max_files = c->spec.log_max_files;
    o->log_max_size = c->spec.log_max_size;
    arguments(c, exec);
}

/* ---- becoming the monitor ------------------------------------------------------------------------- */

/* Bound under a short name by way of its folder's descriptor: DIR may be long. */
static int listen_socket(const struct child *c, int *out, struct bh_err *err) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    BH_SCOPE_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const char *name = c->orders.socket_name;
    int n = snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", c->l->run_monitor, name);
    mode_t old;
    int r;

    /* Should the name be longer than an address may be: bind a short one, then rename. */
    if (n >= (int)sizeof(a.sun_path))
        snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/.new-%.60s", c->l->run_monitor, c->r->q.exec_id);
    unlink(a.sun_path);
    old = umask(0117);
    r = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&a, sizeof(a));
    umask(old);
    if (r != 0 || chown(a.sun_path, c->l->monitor_uid, c->l->runtime_gid) != 0 ||
        renameat(AT_FDCWD, a.sun_path, c->l->run_monitor, name) != 0 || listen(fd, 16) != 0)
        return bh_err_errno(err, errno, "make the monitor's socket %s", name);
    *out = bh_take_fd(&fd);
    return 0;
}

static int orders_file(const struct child *c, int *out, struct bh_err *err) {
    *out = memfd_create("orders", MFD_CLOEXEC);
    if (*out < 0 || bh_write_all(*out, &c->orders, sizeof(c->orders)) != 0)
        return bh_err_errno(err, errno, "write the monitor's orders");
    return 0;
}

static int monitor_exec(struct child *c, struct bh_err *err) {
    static char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    char path[PATH_MAX], *argv[] = {"bulkhead-monitor", c->orders.id, c->orders.exec_id, NULL};
    int from[RT_MFD_END];
    unsigned next = 1 + c->r->q.n_layers;
    int r;

    for (int i = 0; i < RT_MFD_END; i++)
        from[i] = -1;
    from[RT_MFD_REPORT] = c->report;
    from[RT_MFD_STATE] = openat(c->l->monitors, c->orders.id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    from[RT_MFD_RECORD] = c->dir;
    from[RT_MFD_RUN] = c->l->run_monitor;
    if (from[RT_MFD_STATE] < 0)
        return bh_err_errno(err, errno, "open the container's state folder");
    if (c->orders.exec_id[0] == 0)
        unlinkat(from[RT_MFD_STATE], "exit", 0); /* of the run before this one */
    if ((r = listen_socket(c, &from[RT_MFD_LISTEN], err)) != 0 || (r = orders_file(c, &from[RT_MFD_ORDERS], err)) != 0)
        return r;
    for (int i = 0; i < 3; i++)
        if (c->orders.stdio & (1u << i))
            from[RT_MFD_STDIN + i] = c->r->fds[next++];
    snprintf(path, sizeof(path), "%s/bulkhead-monitor", c->l->libexec);
    if ((r = lnc_place(from + RT_MFD_ORDERS, RT_MFD_END - RT_MFD_ORDERS, NULL, err)) != 0)
        return r;
    c->report = RT_MFD_REPORT;
    execve(path, argv, env);
    return bh_err_errno(err, errno, "start %s", path);
}

/* ---- START ------------------------------------------------------------------------------------------ */

static int check_modes(const struct child *c, struct bh_err *err) {
    if (c->m.base != 0 && c->spec.flags & RT_PID_HOST)
        return bh_err_set(err, BH_E_INVALID,
                          "--pid=host needs --userns=host as well: the host's processes have other ids");
    if (c->l->info.runtime[0] == 0) {
        bh_err_set(err, BH_E_CONFLICT, "no OCI runtime works here: %s", c->l->info.runtime_why);
        return bh_err_hint(err, "install crun or runc, see that /sys/fs/cgroup is mounted, restart bulkheadd");
    }
    return 0;
}

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
    r = check_modes(c, err);
    if (r == 0)
        r = lnc_ct_save(c->dir, &c->rec, durable, err);
    return r == 0 && c->m.base != 0 ? lnc_userns(c->m.base, &c->m.userns, err) : r;
}

static int bind_init(const struct child *c, struct bh_err *err) {
    char path[96], source[PATH_MAX];
    BH_SCOPE_CLOSE int fd = -1;

    snprintf(path, sizeof(path), "%s/init", c->l->stage);
    snprintf(source, sizeof(source), "%s/bulkhead-init", c->l->libexec);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    if (fd < 0 || mount(source, path, NULL, MS_BIND, NULL) != 0)
        return bh_err_errno(err, errno, "put bulkhead-init in place");
    return 0;
}

static int build(struct child *c, const unsigned *slots, struct bh_err *err) {
    BH_SCOPE_FREE int *binds = bh_xcalloc(c->spec.n_mounts + 1, sizeof(int));
    int r;

    lnc_runtime_delete(c->l, c->r->q.id); /* left by the run before */
    if ((r = lnc_binds_open(&c->spec, binds, err)) != 0 || (r = lnc_stage(c->l, c->r->q.id, &c->dir, err)) != 0 ||
        (r = lnc_rootfs(&c->m, slots, c->r->q.n_layers, c->dir, true, false, "rootfs", err)) != 0 ||
        (r = lnc_lookup(c->m.root, c->m.userns, &c->spec, &c->user, err)) != 0 ||
        (r = lnc_files(&c->m, &c->spec, c->dir, err)) != 0 || (r = lnc_binds_attach(&c->m, &c->spec, binds, err)) != 0)
        return r;
    if (c->spec.flags & RT_INIT && (r = bind_init(c, err)) != 0)
        return r;
    return write_bundle(c, "config.json", err);
}

/* ---- EXEC ---------------------------------------------------------------------------------------------- */

static int open_container_ns(struct child *c, pid_t pid, int *out_root, struct bh_err *err) {
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
    *out_root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
    if (*out_root >= 0 && c->m.base != 0)
        c->m.userns = open(path, O_RDONLY | O_CLOEXEC);
    if (*out_root < 0 || (c->m.base != 0 && c->m.userns < 0))
        return bh_err_errno(err, errno, "look into the container");
    return 0;
}

/* Records of exec sessions that have ended would pile up in a container that lives for long. */
static void prune_execs(int dir) {
    BH_SCOPE_DIR DIR *d = bh_dir_open(dir, ".");
    struct bh_err ended = BH_ERR_INIT;

    for (struct dirent *e; (e = bh_dir_next(d)) != NULL;) {
        BH_SCOPE_CLOSE int pidfd = -1;

        if (bh_str_starts(e->d_name, "exec-") && rt_pid_open(dir, e->d_name, &pidfd, NULL, &ended) != 0)
            unlinkat(dir, e->d_name, 0);
    }
}

static int join(struct child *c, struct bh_err *err) {
    BH_SCOPE_CLOSE int pidfd = -1, root = -1;
    pid_t pid = 0;
    int r = lnc_ct_open(c->l, c->r->q.id, &c->dir, &c->rec, err);

    if (r != 0)
        return r;
    if (rt_pid_open(c->dir, "run", &pidfd, &pid, err) != 0) {
        bh_err_set(err, BH_E_CONFLICT, "container %.12s is not running", c->r->q.id);
        return bh_err_reason(err, "not-running");
    }
    prune_execs(c->dir);
    c->m.base = lnc_ct_base(&c->rec);
    c->spec.flags &= ~(uint32_t)(RT_INIT | RT_KEEP_LOG);
    if ((r = check_modes(c, err)) != 0 || (r = open_container_ns(c, pid, &root, err)) != 0 ||
        (r = lnc_lookup(root, c->m.userns, &c->spec, &c->user, err)) != 0 ||
        (r = lnc_stage(c->l, c->r->q.id, &c->dir, err)) != 0)
        return r;
    return write_bundle(c, "process.json", err);
}

_Noreturn void lnc_start_child(const struct launch *l, const struct lnc_request *r, const unsigned *slots, int report) {
    static struct child c;
    struct bh_err err = BH_ERR_INIT;
    bool exec = r->q.type == RT_LAUNCH_EXEC;

    c = (struct child){.l = l, .r = r, .report = report, .m = {.l = l, .userns = -1, .root = -1}};
    if (read_spec(&c, &err) == 0 && (exec                         ? join(&c, &err)
                                     : take_record(&c, &err) != 0 ? err.code
                                                                  : build(&c, slots, &err)) == 0) {
        write_orders(&c, exec);
        monitor_exec(&c, &err);
    }
    lnc_report(c.report, 0, &err);
    _exit(1);
}
