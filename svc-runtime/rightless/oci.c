/*
 * oci.c - writes the configuration for crun or runc out of a checked specification.
 *
 * Room: a child of launch without rights, which makes the specification's strings harmless: every one
 * goes through bh_buf_add_json_str; no JSON of an image or of a client is ever copied in.  Pure: it
 * prints, it opens nothing.  What it prints is obeyed by the OCI runtime, so it must not be wrong: that
 * it has no rights keeps a fault in here away from launch's own mounts and descriptors, no more.
 * Defaults are docker's; OCI runtime specification 1.0.2.
 */
#include "rightless/oci.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"
#include "rightless/process.h"
#include "wire/capname.h"
#include "wire/seccomp_table.h"

static void str(struct bh_buf *b, const char *s) {
    bh_buf_add_json_str(b, s, strlen(s));
}

static void key_str(struct bh_buf *b, const char *key, const char *s) {
    bh_buf_addf(b, "\"%s\":", key);
    str(b, s);
}

/* Between elements, but not before the first. */
static void comma(struct bh_buf *b) {
    if (b->len > 0 && strchr("[{,:", b->data[b->len - 1]) == NULL)
        bh_buf_addc(b, ',');
}

static void words(struct bh_buf *b, const char *list) {
    for (const char *p = list; *p != 0; p += strcspn(p, " "), p += *p == ' ') {
        comma(b);
        bh_buf_add_json_str(b, p, strcspn(p, " "));
    }
}

/* ---- process ---------------------------------------------------------------------------------- */

static void env_entry(struct bh_buf *b, const char *entry) {
    comma(b);
    str(b, entry);
}

static void caps(struct bh_buf *b, const struct lnc_oci *c) {
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    uint64_t have = lnc_process_caps(c);

    bh_buf_adds(b, ",\"capabilities\":{\"inheritable\":[],\"ambient\":[]");
    for (size_t k = 0; k < BH_ARRAY_LEN(sets); k++) {
        bh_buf_addf(b, ",\"%s\":[", sets[k]);
        for (size_t i = 0; i < BH_ARRAY_LEN(rt_cap_names); i++)
            if (have & ((uint64_t)1 << i)) {
                comma(b);
                bh_buf_addf(b, "\"CAP_%s\"", rt_cap_names[i]);
            }
        bh_buf_addc(b, ']');
    }
    bh_buf_addc(b, '}');
}

static void rlimits(struct bh_buf *b, const struct lnc_oci *c) {
    struct lnc_limit u;

    bh_buf_adds(b, ",\"rlimits\":[");
    for (uint32_t i = 0; i < c->spec->n_ulimits; i++) {
        if (!lnc_process_limit(c, i, &u))
            continue;
        comma(b);
        bh_buf_adds(b, "{\"type\":\"RLIMIT_");
        for (const char *p = u.name; *p != 0; p++)
            bh_buf_addc(b, (char)(*p - 32));
        bh_buf_addf(b, "\",\"hard\":%llu,\"soft\":%llu}", (unsigned long long)u.hard, (unsigned long long)u.soft);
    }
    bh_buf_addc(b, ']');
}

void lnc_oci_process(struct bh_buf *b, const struct lnc_oci *c) {
    const struct rt_spec *s = c->spec;

    bh_buf_addf(b, "{\"terminal\":%s", s->flags & RT_TTY ? "true" : "false");
    if (s->flags & RT_TTY && s->tty_rows != 0 && s->tty_cols != 0)
        bh_buf_addf(b, ",\"consoleSize\":{\"height\":%u,\"width\":%u}", s->tty_rows, s->tty_cols);
    bh_buf_addf(b, ",\"user\":{\"uid\":%u,\"gid\":%u", c->user->uid, c->user->gid);
    if (s->umask != 0)
        bh_buf_addf(b, ",\"umask\":%u", s->umask & 0777);
    bh_buf_adds(b, ",\"additionalGids\":[");
    for (uint32_t i = 0; i < c->user->n_groups; i++)
        bh_buf_addf(b, "%s%u", i > 0 ? "," : "", c->user->groups[i]);
    bh_buf_adds(b, "]},\"args\":[");
    if (s->flags & RT_INIT)
        bh_buf_adds(b, "\"/dev/init\",\"--\"");
    for (uint32_t i = 0; i < s->args.n; i++) {
        comma(b);
        str(b, s->args.item[i]);
    }
    bh_buf_adds(b, "],\"env\":[");
    lnc_process_env(c, env_entry, b);
    bh_buf_adds(b, "],");
    key_str(b, "cwd", s->cwd[0] == '/' ? s->cwd : "/");
    caps(b, c);
    rlimits(b, c);
    if (lnc_process_oom(c))
        bh_buf_addf(b, ",\"oomScoreAdj\":%d", s->oom_score_adj);
    bh_buf_addf(b, ",\"noNewPrivileges\":%s}", s->flags & RT_NO_NEW_PRIVS ? "true" : "false");
}

/* ---- mounts ------------------------------------------------------------------------------------- */

static void mount_line(struct bh_buf *b, const char *target, const char *type, const char *source,
                       const char *options) {
    bh_buf_adds(b, ",{");
    if (b->len > 2 && b->data[b->len - 3] == '[') { /* the first */
        b->len -= 2;
        bh_buf_addc(b, '{');
    }
    key_str(b, "destination", target);
    bh_buf_addc(b, ',');
    key_str(b, "type", type);
    bh_buf_addc(b, ',');
    key_str(b, "source", source);
    bh_buf_adds(b, ",\"options\":[");
    words(b, options);
    bh_buf_adds(b, "]}");
}

bool lnc_is_late(const char *target) {
    static const char *const tops[] = {"/dev", "/proc", "/sys"};

    for (size_t i = 0; i < BH_ARRAY_LEN(tops); i++)
        if (bh_str_starts(target, tops[i]) && (target[strlen(tops[i])] == '/' || target[strlen(tops[i])] == 0))
            return true;
    return false;
}

static void mounts(struct bh_buf *b, const struct lnc_oci *c) {
    const struct rt_spec *s = c->spec;
    bool priv = (s->flags & RT_PRIVILEGED) != 0;
    const char *sys = priv ? "nosuid noexec nodev" : "nosuid noexec nodev ro";
    static const char *const files[] = {"hosts", "hostname", "resolv.conf"};
    char shm[96], path[96];

    bh_buf_adds(b, ",\"mounts\":[");
    mount_line(b, "/proc", "proc", "proc", "nosuid noexec nodev");
    mount_line(b, "/dev", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k");
    mount_line(b, "/dev/pts", "devpts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5");
    if (s->flags & RT_NET_HOST && c->userns) /* sysfs belongs to the network namespace: a fresh one would be refused */
        mount_line(b, "/sys", "bind", "/sys", priv ? "rbind nosuid noexec nodev" : "rbind nosuid noexec nodev ro");
    else
        mount_line(b, "/sys", "sysfs", "sysfs", sys);
    if (c->cgroup && !(s->flags & RT_NET_HOST && c->userns))
        mount_line(b, "/sys/fs/cgroup", "cgroup", "cgroup", sys);
    snprintf(shm, sizeof(shm), "nosuid noexec nodev mode=1777 size=%llu",
             (unsigned long long)(s->shm_size != 0 ? s->shm_size : (uint64_t)64 << 20));
    if (s->flags & RT_IPC_HOST) {
        if (c->mqueue)
            mount_line(b, "/dev/mqueue", "bind", "/dev/mqueue", "rbind nosuid noexec nodev");
        mount_line(b, "/dev/shm", "bind", "/dev/shm", "rbind nosuid noexec nodev");
    } else {
        mount_line(b, "/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev");
        mount_line(b, "/dev/shm", "tmpfs", "shm", shm);
    }
    if (s->flags & RT_INIT) {
        snprintf(path, sizeof(path), "%s/init", c->stage);
        mount_line(b, "/dev/init", "bind", path, "bind ro nosuid nodev");
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(files); i++) {
        char target[32];

        snprintf(path, sizeof(path), "%s/%s", c->stage, files[i]);
        snprintf(target, sizeof(target), "/etc/%s", files[i]);
        mount_line(b, target, "bind", path, "rbind"); /* with the options that it has there */
    }
    for (uint32_t i = 0; i < s->n_files; i++) {
        snprintf(path, sizeof(path), "%s/file%u", c->stage, i);
        mount_line(b, s->files[i].target, "bind", path,
                   s->files[i].mode & 0111 ? "bind ro nosuid nodev" : "bind ro nosuid nodev noexec");
    }
    for (uint32_t i = 0; i < s->n_mounts; i++)
        if (lnc_is_late(s->mounts[i].target)) {
            snprintf(path, sizeof(path), "%s/late%u", c->stage, i);
            mount_line(b, s->mounts[i].target, "bind", path, "rbind"); /* ro and the like are on it already */
        }
    bh_buf_addc(b, ']');
}

/* ---- linux --------------------------------------------------------------------------------------- */

static void namespaces(struct bh_buf *b, const struct lnc_oci *c) {
    static const struct {
        const char *name;
        uint32_t host;
    } all[] = {{"pid", RT_PID_HOST}, {"ipc", RT_IPC_HOST}, {"uts", RT_UTS_HOST}, {"network", RT_NET_HOST}};

    bh_buf_adds(b, ",\"namespaces\":[{\"type\":\"mount\"}");
    if (c->userns)
        bh_buf_adds(b, ",{\"type\":\"user\"}");
    for (size_t i = 0; i < BH_ARRAY_LEN(all); i++)
        if (!(c->spec->flags & all[i].host))
            bh_buf_addf(b, ",{\"type\":\"%s\"}", all[i].name);
    if (c->cgroup && !(c->spec->flags & (RT_CGROUPNS_HOST | RT_PRIVILEGED)))
        bh_buf_adds(b, ",{\"type\":\"cgroup\"}");
    bh_buf_addc(b, ']');
    if (c->userns)
        bh_buf_addf(b,
                    ",\"uidMappings\":[{\"containerID\":0,\"hostID\":%u,\"size\":%u}],"
                    "\"gidMappings\":[{\"containerID\":0,\"hostID\":%u,\"size\":%u}]",
                    c->base, LNC_IDS, c->base, LNC_IDS);
}

static void devices(struct bh_buf *b, const struct lnc_oci *c) {
    bh_buf_adds(b, ",\"devices\":[");
    for (uint32_t i = 0; i < c->n_devices; i++) {
        const struct lnc_device *d = &c->devices[i];

        comma(b);
        bh_buf_addc(b, '{');
        key_str(b, "path", d->path);
        bh_buf_addf(b, ",\"type\":\"%s\",\"major\":%u,\"minor\":%u,\"fileMode\":%u,\"uid\":0,\"gid\":0}",
                    d->block ? "b" : "c", d->major, d->minor, d->mode);
    }
    bh_buf_addc(b, ']');
}

static void number(struct bh_buf *b, const char *key, int64_t value) {
    comma(b);
    bh_buf_addf(b, "\"%s\":%lld", key, (long long)value);
}

static void limit(struct bh_buf *b, const char *key, int64_t value) {
    if (value != 0)
        number(b, key, value);
}

static void set(struct bh_buf *b, const char *key, const char *list) {
    if (list == NULL || list[0] == 0)
        return;
    comma(b);
    key_str(b, key, list);
}

/* Swap without limit is what a new cgroup has. */
static void memory_limits(struct bh_buf *b, const struct rt_limits *l) {
    bh_buf_adds(b, ",\"memory\":{");
    limit(b, "limit", (int64_t)l->memory);
    limit(b, "reservation", (int64_t)l->reservation);
    limit(b, "swap", l->swap > 0 ? l->swap : 0);
    if (l->flags & RT_LIMIT_SWAPPINESS)
        number(b, "swappiness", l->swappiness);
    if (l->flags & RT_LIMIT_NO_OOM_KILL) {
        comma(b);
        bh_buf_adds(b, "\"disableOOMKiller\":true");
    }
    bh_buf_addc(b, '}');
}

/* A tenth of a second is the period of processors. */
static void cpu_limits(struct bh_buf *b, const struct rt_limits *l) {
    bh_buf_adds(b, ",\"cpu\":{");
    limit(b, "shares", l->shares);
    limit(b, "period", l->nano_cpus != 0 ? 100000 : l->period);
    limit(b, "quota", l->nano_cpus != 0 ? l->nano_cpus / 10000 : l->quota);
    set(b, "cpus", l->cpus);
    set(b, "mems", l->mems);
    bh_buf_addc(b, '}');
}

static void limits(struct bh_buf *b, const struct rt_limits *l) {
    memory_limits(b, l);
    cpu_limits(b, l);
    if (l->pids > 0)
        bh_buf_addf(b, ",\"pids\":{\"limit\":%lld}", (long long)l->pids);
    if (l->blkio_weight != 0)
        bh_buf_addf(b, ",\"blockIO\":{\"weight\":%u}", l->blkio_weight);
}

static void device_rules(struct bh_buf *b, const struct lnc_oci *c) {
    /* null zero full random urandom tty console ptmx pts; making nodes of any kind is allowed, opening is not */
    static const char *const open_to_all[] = {"1,\"minor\":3", "1,\"minor\":5", "1,\"minor\":7",
                                              "1,\"minor\":8", "1,\"minor\":9", "5,\"minor\":0",
                                              "5,\"minor\":1", "5,\"minor\":2", "136"};

    if (c->spec->flags & RT_PRIVILEGED) {
        bh_buf_adds(b, "\"devices\":[{\"allow\":true,\"access\":\"rwm\"}]");
        return;
    }
    bh_buf_adds(b, "\"devices\":[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,\"type\":\"c\",\"access\":\"m\"},"
                   "{\"allow\":true,\"type\":\"b\",\"access\":\"m\"}");
    for (size_t i = 0; i < BH_ARRAY_LEN(open_to_all); i++)
        bh_buf_addf(b, ",{\"allow\":true,\"type\":\"c\",\"major\":%s,\"access\":\"rwm\"}", open_to_all[i]);
    for (uint32_t i = 0; i < c->n_devices; i++) {
        const struct lnc_device *d = &c->devices[i];

        if (strspn(d->access, "rwm") == strlen(d->access))
            bh_buf_addf(b, ",{\"allow\":true,\"type\":\"%s\",\"major\":%u,\"minor\":%u,\"access\":\"%s\"}",
                        d->block ? "b" : "c", d->major, d->minor, d->access[0] != 0 ? d->access : "rwm");
    }
    bh_buf_addc(b, ']');
}

/* Names that belong to a namespace of the container's own; anything else would change the host. */
static bool sysctl_allowed(const struct rt_spec *s, const char *name) {
    static const char *const ipc[] = {"kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue."};

    if (strpbrk(name, "+/ \n") != NULL)
        return false;
    if (bh_str_starts(name, "net."))
        return !(s->flags & RT_NET_HOST);
    for (size_t i = 0; i < BH_ARRAY_LEN(ipc); i++)
        if (bh_str_starts(name, ipc[i]))
            return !(s->flags & RT_IPC_HOST);
    return false;
}

static void sysctls(struct bh_buf *b, const struct lnc_oci *c) {
    bh_buf_adds(b, ",\"sysctl\":{");
    if (!(c->spec->flags & RT_NET_HOST)) /* as docker: no port needs a right, everybody may ping */
        bh_buf_addf(b, "\"net.ipv4.ip_unprivileged_port_start\":\"0\",\"net.ipv4.ping_group_range\":\"0 %u\"",
                    c->userns ? LNC_IDS - 1 : INT32_MAX);
    for (uint32_t i = 0; i < c->spec->sysctls.n; i++) {
        BH_SCOPE_FREE char *name = bh_xstrdup(c->spec->sysctls.item[i]);
        char *value = strchr(name, '=');

        if (value == NULL)
            continue;
        *value++ = 0;
        if (!sysctl_allowed(c->spec, name))
            continue;
        comma(b);
        key_str(b, name, value);
    }
    bh_buf_addc(b, '}');
}

static void seccomp_arg(struct bh_buf *b, const struct rt_seccomp_arg *a) {
    comma(b);
    bh_buf_addf(b, "{\"index\":%u,\"value\":%llu,\"valueTwo\":%llu,", a->index, (unsigned long long)a->value,
                (unsigned long long)a->value_two);
    key_str(b, "op", a->op);
    bh_buf_addc(b, '}');
}

static void strings(struct bh_buf *b, const struct rt_strings *list) {
    for (uint32_t i = 0; i < list->n; i++) {
        comma(b);
        str(b, list->item[i]);
    }
}

/* The number goes with ERRNO and TRACE alone. */
static void seccomp_action(struct bh_buf *b, const char *key, const char *errno_key, const char *action, uint32_t n) {
    key_str(b, key, action);
    if (strcmp(action, "SCMP_ACT_ERRNO") == 0 || strcmp(action, "SCMP_ACT_TRACE") == 0)
        bh_buf_addf(b, ",\"%s\":%u", errno_key, n);
}

static void own_rule(struct bh_buf *b, const struct rt_seccomp_rule *r) {
    comma(b);
    bh_buf_adds(b, "{\"names\":[");
    strings(b, &r->names);
    bh_buf_adds(b, "],");
    seccomp_action(b, "action", "errnoRet", r->action, r->errno_ret);
    if (r->n_args > 0) {
        bh_buf_adds(b, ",\"args\":[");
        for (uint32_t i = 0; i < r->n_args; i++)
            seccomp_arg(b, &r->args[i]);
        bh_buf_addc(b, ']');
    }
    bh_buf_addc(b, '}');
}

/* The profile that came with the specification. */
static void own_seccomp(struct bh_buf *b, const struct rt_seccomp *c) {
    bh_buf_adds(b, ",\"seccomp\":{");
    seccomp_action(b, "defaultAction", "defaultErrnoRet", c->action, c->errno_ret);
    if (c->arches.n > 0) {
        bh_buf_adds(b, ",\"architectures\":[");
        strings(b, &c->arches);
        bh_buf_addc(b, ']');
    }
    if (c->flags.n > 0) {
        bh_buf_adds(b, ",\"flags\":[");
        strings(b, &c->flags);
        bh_buf_addc(b, ']');
    }
    bh_buf_adds(b, ",\"syscalls\":[");
    for (uint32_t i = 0; i < c->n_rules; i++)
        own_rule(b, &c->rules[i]);
    bh_buf_adds(b, "]}");
}

static void seccomp_rule(struct bh_buf *b, const char *names, const char *rest) {
    bh_buf_adds(b, ",{\"names\":[");
    words(b, names);
    bh_buf_addf(b, "]%s}", rest);
}

static void default_seccomp(struct bh_buf *b, const struct lnc_oci *c) {
    static const char allow[] = ",\"action\":\"SCMP_ACT_ALLOW\"";
    bool admin = c->spec->caps & ((uint64_t)1 << SECCOMP_CAP_ADMIN);
    char rest[160];

    bh_buf_adds(b,
                ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"syscalls\":[{\"names\":[");
    words(b, seccomp_allowed);
    bh_buf_addf(b, "]%s}", allow);
    for (size_t i = 0; i < BH_ARRAY_LEN(seccomp_with_arg); i++) {
        if (admin && seccomp_with_arg[i].not_admin)
            continue;
        snprintf(rest, sizeof(rest), "%s,\"args\":[{\"index\":0,\"value\":%llu,\"valueTwo\":0,\"op\":\"%s\"}]", allow,
                 (unsigned long long)seccomp_with_arg[i].value, seccomp_with_arg[i].op);
        seccomp_rule(b, seccomp_with_arg[i].call, rest);
    }
    if (!admin)
        seccomp_rule(b, "clone3", ",\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38"); /* libc then takes clone */
    for (size_t i = 0; i < BH_ARRAY_LEN(seccomp_with_cap); i++)
        if (c->spec->caps & ((uint64_t)1 << seccomp_with_cap[i].cap))
            seccomp_rule(b, seccomp_with_cap[i].calls, allow);
    bh_buf_adds(b, "]}");
}

static void seccomp(struct bh_buf *b, const struct lnc_oci *c) {
    if (c->spec->seccomp.action != NULL && c->spec->seccomp.action[0] != 0)
        own_seccomp(b, &c->spec->seccomp);
    else if (!(c->spec->flags & (RT_PRIVILEGED | RT_SECCOMP_UNCONFINED)))
        default_seccomp(b, c);
}

static void hidden_paths(struct bh_buf *b, const struct lnc_oci *c) {
    if (c->spec->flags & (RT_PRIVILEGED | RT_UNMASKED))
        return;
    bh_buf_adds(b, ",\"maskedPaths\":[");
    words(b, "/proc/asound /proc/acpi /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list "
             "/proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap");
    bh_buf_adds(b, "],\"readonlyPaths\":[");
    words(b, "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger");
    bh_buf_addc(b, ']');
}

static const char *propagation(const struct rt_spec *s) {
    const char *p = "rprivate";

    for (uint32_t i = 0; i < s->n_mounts; i++) {
        if (s->mounts[i].propagation == RT_PROP_SHARED || s->mounts[i].propagation == RT_PROP_RSHARED)
            return "rshared";
        if (s->mounts[i].propagation == RT_PROP_SLAVE || s->mounts[i].propagation == RT_PROP_RSLAVE)
            p = "rslave";
    }
    return p;
}

void lnc_oci_config(struct bh_buf *b, const struct lnc_oci *c) {
    const struct rt_spec *s = c->spec;

    bh_buf_addf(b, "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"%s/rootfs\",\"readonly\":%s},\"process\":", c->stage,
                s->flags & RT_READONLY_ROOTFS ? "true" : "false");
    lnc_oci_process(b, c);
    if (!(s->flags & RT_UTS_HOST)) {
        bh_buf_addc(b, ',');
        key_str(b, "hostname", s->hostname);
        if (s->domainname[0] != 0) {
            bh_buf_addc(b, ',');
            key_str(b, "domainname", s->domainname);
        }
    }
    mounts(b, c);
    bh_buf_addf(b, ",\"linux\":{\"rootfsPropagation\":\"%s\"", propagation(s));
    namespaces(b, c);
    if (c->cgroup)
        bh_buf_addf(b, ",\"cgroupsPath\":\"/bulkhead/%s\",\"resources\":{", c->id);
    else
        bh_buf_adds(b, ",\"resources\":{");
    if (c->cgroup) {
        device_rules(b, c);
        limits(b, &c->spec->limits);
    }
    bh_buf_addc(b, '}');
    devices(b, c);
    sysctls(b, c);
    seccomp(b, c);
    hidden_paths(b, c);
    bh_buf_adds(b, "}}\n");
}
