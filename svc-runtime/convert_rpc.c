/*
 * convert_rpc.c - requests, filters and lists: generated messages <-> plain values.
 *
 * Room: runtime.  Foreign: the messages' content, which is only moved here.  config_rpc.c has the
 * image configs.
 */
#include "svc-runtime/convert_rpc.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct bh_strlist rt_list_of(char **v, size_t n) {
    return (struct bh_strlist){.present = n > 0, .n = n, .v = (const char **)v};
}

static void *arena_alloc(void *arena, size_t n) {
    return bh_arena_alloc(arena, n);
}

static void arena_free(void *arena, void *p) {
    (void)arena;
    (void)p;
}

ProtobufCAllocator rt_arena_allocator(struct bh_arena *arena) {
    return (ProtobufCAllocator){.alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
}

struct ordered {
    const Bulkhead__Common__V1__Pair *pair;
    size_t at;
};

static int by_key(const void *a, const void *b) {
    const struct ordered *x = a, *y = b;
    int c = strcmp(x->pair->key, y->pair->key);

    return c != 0 ? c : (x->at > y->at) - (x->at < y->at);
}

int rt_pairs_of(Bulkhead__Common__V1__Pair **v, size_t n, struct bh_arena *arena, struct bh_pairs *out,
                struct bh_err *err) {
    struct ordered *order = bh_oci_alloc(arena, (n + 1) * sizeof *order, err);
    struct bh_pair *pairs = bh_oci_alloc(arena, (n + 1) * sizeof *pairs, err);
    size_t kept = 0;

    if (order == NULL || pairs == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++)
        order[i] = (struct ordered){.pair = v[i], .at = i};
    qsort(order, n, sizeof *order, by_key);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && strcmp(order[i].pair->key, order[i + 1].pair->key) == 0)
            continue;
        pairs[kept++] = (struct bh_pair){.key = order[i].pair->key, .value = order[i].pair->value};
    }
    *out = (struct bh_pairs){.present = n > 0, .n = kept, .v = pairs};
    return 0;
}

int rt_filters_of(Bulkhead__Common__V1__Filter **v, size_t n, struct bh_arena *arena, struct bh_pair **out,
                  struct bh_err *err) {
    struct bh_pair *pairs = bh_oci_alloc(arena, (n + 1) * sizeof *pairs, err);

    if (pairs == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct bh_pair){.key = v[i]->key, .value = v[i]->value};
    *out = pairs;
    return 0;
}

/* ---- ContainerSpec ----------------------------------------------------------------------------- */

static int mounts_of(const RT_MSG(ContainerSpec) * m, struct bh_arena *arena, struct rt_request *out,
                     struct bh_err *err) {
    out->mounts = bh_oci_alloc(arena, (m->n_mount + 1) * sizeof *out->mounts, err);
    if (out->mounts == NULL)
        return err->code;
    out->n_mounts = m->n_mount;
    for (size_t i = 0; i < m->n_mount; i++) {
        const RT_MSG(Mount) *x = m->mount[i];

        out->mounts[i] = (struct rt_req_mount){.type = x->type,
                                               .source = x->source,
                                               .target = x->target,
                                               .propagation = x->propagation,
                                               .read_only = x->read_only,
                                               .make_source = x->make_source,
                                               .non_recursive = x->non_recursive,
                                               .tmpfs_size = x->tmpfs_size,
                                               .tmpfs_mode = x->tmpfs_mode,
                                               .options = rt_list_of(x->option, x->n_option)};
    }
    return 0;
}

struct rt_limits rt_limits_of(const RT_LIMITS *m) {
    if (m == NULL)
        return (struct rt_limits){0};
    return (struct rt_limits){.memory = m->memory,
                              .reservation = m->memory_reservation,
                              .nano_cpus = m->nano_cpus,
                              .swap = m->memory_swap,
                              .shares = m->cpu_shares,
                              .period = m->cpu_period,
                              .quota = m->cpu_quota,
                              .pids = m->pids_limit,
                              .blkio_weight = m->blkio_weight,
                              .flags = (m->memory_swappiness_set ? (uint32_t)RT_LIMIT_SWAPPINESS : 0) |
                                       (m->oom_kill_disable_set ? (uint32_t)RT_LIMIT_OOM_KNOWN : 0) |
                                       (m->oom_kill_disable ? (uint32_t)RT_LIMIT_NO_OOM_KILL : 0),
                              .swappiness = m->memory_swappiness_set ? m->memory_swappiness : 0,
                              .cpus = m->cpuset_cpus,
                              .mems = m->cpuset_mems};
}

void rt_limits_msg(const struct rt_limits *l, RT_LIMITS *out) {
    bulkhead__common__v1__limits__init(out);
    out->memory = l->memory;
    out->memory_reservation = l->reservation;
    out->nano_cpus = l->nano_cpus;
    out->memory_swap = l->swap;
    out->cpu_shares = l->shares;
    out->cpu_period = l->period;
    out->cpu_quota = l->quota;
    out->pids_limit = l->pids;
    out->blkio_weight = l->blkio_weight;
    out->memory_swappiness_set = (l->flags & RT_LIMIT_SWAPPINESS) != 0;
    out->oom_kill_disable_set = (l->flags & RT_LIMIT_OOM_KNOWN) != 0;
    out->oom_kill_disable = (l->flags & RT_LIMIT_NO_OOM_KILL) != 0;
    out->memory_swappiness = l->swappiness;
    out->cpuset_cpus = l->cpus != NULL ? l->cpus : (char *)"";
    out->cpuset_mems = l->mems != NULL ? l->mems : (char *)"";
}

static int limits_of(const RT_MSG(ContainerSpec) * m, struct bh_arena *arena, struct rt_request *out,
                     struct bh_err *err) {
    out->ulimits = bh_oci_alloc(arena, (m->n_ulimit + 1) * sizeof *out->ulimits, err);
    out->devices = bh_oci_alloc(arena, (m->n_device + 1) * sizeof *out->devices, err);
    if (out->ulimits == NULL || out->devices == NULL)
        return err->code;
    out->n_ulimits = m->n_ulimit;
    out->n_devices = m->n_device;
    for (size_t i = 0; i < m->n_ulimit; i++)
        out->ulimits[i] =
            (struct rt_req_ulimit){.name = m->ulimit[i]->name, .soft = m->ulimit[i]->soft, .hard = m->ulimit[i]->hard};
    for (size_t i = 0; i < m->n_device; i++)
        out->devices[i] = (struct rt_req_device){
            .source = m->device[i]->source, .target = m->device[i]->target, .access = m->device[i]->access};
    return 0;
}

static void lists_of(const RT_MSG(ContainerSpec) * m, struct rt_request *out) {
    out->command = rt_list_of(m->command, m->n_command);
    out->entrypoint = rt_list_of(m->entrypoint, m->n_entrypoint);
    out->env = rt_list_of(m->env, m->n_env);
    out->group_add = rt_list_of(m->group_add, m->n_group_add);
    out->cap_add = rt_list_of(m->cap_add, m->n_cap_add);
    out->cap_drop = rt_list_of(m->cap_drop, m->n_cap_drop);
    out->security_opt = rt_list_of(m->security_opt, m->n_security_opt);
    out->sysctls = rt_list_of(m->sysctl, m->n_sysctl);
    out->expose = rt_list_of(m->expose, m->n_expose);
    out->extra_hosts = rt_list_of(m->extra_host, m->n_extra_host);
    out->dns = rt_list_of(m->dns, m->n_dns);
    out->dns_search = rt_list_of(m->dns_search, m->n_dns_search);
    out->dns_option = rt_list_of(m->dns_option, m->n_dns_option);
}

int rt_request_of(const RT_MSG(ContainerSpec) * m, struct bh_arena *arena, struct rt_request *out, struct bh_err *err) {
    *out = (struct rt_request){.image = m->image,
                               .entrypoint_set = m->entrypoint_set,
                               .workdir = m->workdir,
                               .user = m->user,
                               .hostname = m->hostname,
                               .domainname = m->domainname,
                               .tty = m->tty,
                               .open_stdin = m->open_stdin,
                               .stdin_once = m->stdin_once,
                               .init = m->init,
                               .privileged = m->privileged,
                               .read_only = m->read_only,
                               .auto_remove = m->auto_remove,
                               .userns = m->userns,
                               .network = m->network,
                               .pid = m->pid,
                               .ipc = m->ipc,
                               .uts = m->uts,
                               .cgroupns = m->cgroupns,
                               .shm_size = m->shm_size,
                               .oom_score_adj = m->oom_score_adj,
                               .limits = rt_limits_of(m->limits),
                               .stop_signal = m->stop_signal,
                               .stop_timeout_set = m->stop_timeout_set,
                               .stop_timeout = m->stop_timeout,
                               .log_driver = m->log_driver,
                               .platform = m->platform,
                               .tty_rows = m->tty_rows,
                               .tty_cols = m->tty_cols};
    lists_of(m, out);
    if (mounts_of(m, arena, out, err) != 0 || limits_of(m, arena, out, err) != 0 ||
        rt_pairs_of(m->label, m->n_label, arena, &out->labels, err) != 0 ||
        rt_pairs_of(m->log_opt, m->n_log_opt, arena, &out->log_opts, err) != 0)
        return err->code;
    return 0;
}

int rt_request_unpack(struct rt_blob packed, struct bh_arena *arena, struct rt_request *out, struct bh_err *err) {
    ProtobufCAllocator alloc = rt_arena_allocator(arena);
    const RT_MSG(ContainerSpec) *msg = bulkhead__runtime__v1__container_spec__unpack(&alloc, packed.n, packed.data);

    if (msg == NULL)
        return bh_err_set(err, BH_E_DATA_LOSS, "the stored request of a container cannot be read");
    return rt_request_of(msg, arena, out, err);
}
