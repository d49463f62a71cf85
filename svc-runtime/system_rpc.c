/*
 * system_rpc.c - handlers: the rooms as the kernel has them, and what this host can do.
 *
 * Room: runtime.  The rooms' facts come from the supervisor, the host's from launch; both are ours.
 */
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/mem.h"
#include "rpc/server.h"
#include "svc-runtime/convert_rpc.h"
#include "svc-runtime/methods.h"

/* ---- rooms ------------------------------------------------------------------------------------- */

struct room_parts {
    RT_MSG(Room) msg;
    char *namespaces[8];
};

/* Namespaces that differ from the supervisor's own, which is listed among the rooms. */
static void own_namespaces(const struct bh_control_room *r, const struct bh_control_room *base, struct room_parts *p) {
    const struct {
        const char *name;
        uint64_t own, base;
    } rows[] = {{"mnt", r->ns_mnt, base->ns_mnt},         {"pid", r->ns_pid, base->ns_pid},
                {"net", r->ns_net, base->ns_net},         {"ipc", r->ns_ipc, base->ns_ipc},
                {"uts", r->ns_uts, base->ns_uts},         {"user", r->ns_user, base->ns_user},
                {"cgroup", r->ns_cgroup, base->ns_cgroup}};

    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        if (rows[i].own != 0 && rows[i].own != rows[i].base)
            p->namespaces[p->msg.n_own_namespace++] = (char *)rows[i].name;
    p->msg.own_namespace = p->namespaces;
}

static void room_msg(struct bh_control_room *r, const struct bh_control_room *base, struct room_parts *p) {
    RT_MSG(Room) *m = &p->msg;

    bulkhead__runtime__v1__room__init(m);
    r->name[sizeof r->name - 1] = 0;
    r->state[sizeof r->state - 1] = 0;
    m->name = r->name;
    m->state = r->state;
    m->pid = r->pid;
    m->uid = r->uid;
    m->gid = r->gid;
    m->cap_effective = r->cap_effective;
    m->cap_permitted = r->cap_permitted;
    m->cap_bounding = r->cap_bounding;
    m->cap_inheritable = r->cap_inheritable;
    m->cap_ambient = r->cap_ambient;
    m->seccomp_mode = r->seccomp_mode;
    m->no_new_privs = r->no_new_privs != 0;
    m->threads = r->threads;
    m->open_fds = r->open_fds;
    m->restarts = r->restarts;
    m->started_ns = r->started_ns;
    m->rss_kb = r->rss_kb;
    own_namespaces(r, base, p);
}

static const struct bh_control_room *find_supervisor(const struct bh_control_room *rooms, unsigned n) {
    static const struct bh_control_room nobody;

    for (unsigned i = 0; i < n; i++)
        if (strncmp(rooms[i].name, "supervisor", sizeof rooms[i].name) == 0)
            return &rooms[i];
    return &nobody;
}

int rt_rpc_rooms(void *arg, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    RT_MSG(RoomsReply) reply = BULKHEAD__RUNTIME__V1__ROOMS_REPLY__INIT;
    struct rt_room *room = arg;
    struct bh_control_room *rooms = NULL;
    struct room_parts *parts;
    unsigned n = 0;
    int r;

    (void)request;
    if (room->control == NULL)
        return bh_err_set(err, BH_E_UNAVAILABLE, "the room is still starting");
    if (bh_control_rooms(room->control, &rooms, &n, err) != 0)
        return err->code;
    parts = bh_xcalloc(n + 1, sizeof *parts);
    reply.room = bh_xcalloc(n + 1, sizeof *reply.room);
    for (unsigned i = 0; i < n; i++) {
        room_msg(&rooms[i], find_supervisor(rooms, n), &parts[i]);
        reply.room[i] = &parts[i].msg;
    }
    reply.n_room = n;
    r = bh_call_reply(call, &reply.base, err);
    free(reply.room);
    free(parts);
    free(rooms);
    return r;
}

/* ---- info -------------------------------------------------------------------------------------- */

static void count_states(struct rt_room *room, const struct rt_caller *who, RT_MSG(InfoReply) * m) {
    struct rt_container **list = NULL;
    size_t n = 0;

    rt_table_list(room->table, who, &list, &n);
    for (size_t i = 0; i < n; i++) {
        enum rt_state s = rt_container_status(list[i]).state;

        m->running += s == RT_RUNNING;
        m->paused += s == RT_PAUSED;
        m->stopped += s != RT_RUNNING && s != RT_PAUSED;
    }
    m->containers = (uint32_t)n;
    rt_table_list_free(list, n);
}

struct features {
    char *found[16], *missing[16];
    size_t n_found, n_missing;
};

static void feature(struct features *f, const char *name, bool there) {
    if (there)
        f->found[f->n_found++] = (char *)name;
    else
        f->missing[f->n_missing++] = (char *)name;
}

static void launch_info(const struct rt_launch_info *i, struct features *f, RT_MSG(InfoReply) * m) {
    static const char *const cgroups[] = {"none", "1", "2", "hybrid"};

    m->storage_form = (char *)(i->form == RT_FORM_EROFS ? "erofs" : "extracted");
    m->storage_form_why = (char *)i->form_why;
    m->oci_runtime = (char *)i->runtime;
    m->oci_runtime_path = (char *)i->runtime_path;
    m->oci_runtime_version = (char *)i->runtime_version;
    m->oci_runtime_why = (char *)i->runtime_why;
    m->cgroup = (char *)(i->cgroup < BH_ARRAY_LEN(cgroups) ? cgroups[i->cgroup] : "unknown");
    feature(f, "erofs-file-backed", i->kernel_erofs_file);
    feature(f, "idmapped-mounts", i->kernel_idmap);
    feature(f, "overlay-by-descriptor", i->kernel_overlay_fd);
    feature(f, "fs-verity", i->kernel_fsverity);
    feature(f, "landlock", i->landlock_abi > 0);
    feature(f, "apparmor", i->apparmor);
    feature(f, "selinux", i->selinux);
    m->feature_found = f->found;
    m->n_feature_found = f->n_found;
    m->feature_missing = f->missing;
    m->n_feature_missing = f->n_missing;
}

/* As many names as there are, into limits. */
static size_t limit_names(uint32_t held, char *limits[16]) {
    static const struct {
        uint32_t held;
        const char *name;
    } rows[] = {{RT_HELD_MEMORY, "memory"},
                {RT_HELD_SWAP, "swap"},
                {RT_HELD_SWAPPINESS, "swappiness"},
                {RT_HELD_RESERVATION, "memory-reservation"},
                {RT_HELD_OOM_KILL, "oom-kill"},
                {RT_HELD_CPU_CFS, "cpu-cfs"},
                {RT_HELD_CPU_SHARES, "cpu-shares"},
                {RT_HELD_CPUSET, "cpuset"},
                {RT_HELD_PIDS, "pids"},
                {RT_HELD_BLKIO, "blkio-weight"}};
    size_t n = 0;

    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        if (held & rows[i].held)
            limits[n++] = (char *)rows[i].name;
    return n;
}

int rt_rpc_info(void *arg, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    static char *const security[] = {(char *)"name=seccomp,profile=builtin", (char *)"name=userns",
                                     (char *)"name=rooms"};
    RT_MSG(InfoReply) reply = BULKHEAD__RUNTIME__V1__INFO_REPLY__INIT;
    struct rt_room *room = arg;
    const struct rt_launch_info host = rt_host(room, NULL);
    struct rt_caller who = rt_caller_of(call);
    struct features features = {0};
    struct utsname uts = {0};
    struct sysinfo si = {0};
    char *limits[16];

    (void)request;
    count_states(room, &who, &reply);
    launch_info(&host, &features, &reply);
    if (uname(&uts) == 0) {
        reply.kernel = uts.release;
        reply.os = (char *)"linux";
        reply.architecture = uts.machine;
        reply.hostname = uts.nodename;
    }
    if (sysinfo(&si) == 0)
        reply.memory = (uint64_t)si.totalram * si.mem_unit;
    reply.cpus = (uint32_t)get_nprocs();
    reply.security_option = (char **)security;
    reply.n_security_option = BH_ARRAY_LEN(security);
    reply.limit = limits;
    reply.n_limit = limit_names(rt_host_held(room), limits);
    return bh_call_reply(call, &reply.base, err);
}
