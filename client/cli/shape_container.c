/*
 * shape_container.c - the container document of `inspect`.
 *
 * Room: client.  Fields of the Engine API that have no meaning here are there with their zero, because
 * readers index into them; what is not known yet (networks with addresses) is empty.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/shape.h"

static json_t *shape_state(const bulkhead_value *state) {
    const char *status = bulkhead_get_str(state, "status");
    json_t *out = json_object();

    json_object_set_new(out, "Status", shape_text(status));
    json_object_set_new(out, "Running", json_boolean(strcmp(status, "running") == 0 || strcmp(status, "paused") == 0));
    json_object_set_new(out, "Paused", json_boolean(strcmp(status, "paused") == 0));
    json_object_set_new(out, "Restarting", json_false());
    json_object_set_new(out, "OOMKilled", json_boolean(bulkhead_get_bool(state, "oom_killed")));
    json_object_set_new(out, "Dead", json_boolean(strcmp(status, "dead") == 0));
    json_object_set_new(out, "Pid", json_integer(bulkhead_get_int(state, "pid")));
    json_object_set_new(out, "ExitCode", json_integer(bulkhead_get_int(state, "exit_code")));
    json_object_set_new(out, "Error", shape_text(bulkhead_get_str(state, "error")));
    json_object_set_new(out, "StartedAt", shape_time(bulkhead_get_int(state, "started_ns")));
    json_object_set_new(out, "FinishedAt", shape_time(bulkhead_get_int(state, "finished_ns")));
    return out;
}

/* -v, not --mount: docker keeps what stood behind its last colon. */
static bool by_volume(const bulkhead_value *asked, const char *target) {
    for (size_t i = 0; i < bulkhead_count(asked); i++) {
        const bulkhead_value *m = bulkhead_at(asked, i);

        if (strcmp(bulkhead_get_str(m, "target"), target) == 0)
            return bulkhead_get_bool(m, "make_source");
    }
    return false;
}

/* asked: as they came with the request. */
static json_t *shape_mounts(const bulkhead_value *mounts, const bulkhead_value *asked) {
    json_t *out = json_array();

    for (size_t i = 0; i < bulkhead_count(mounts); i++) {
        const bulkhead_value *m = bulkhead_at(mounts, i);
        const char *propagation = bulkhead_get_str(m, "propagation");
        json_t *one = json_object();

        json_object_set_new(one, "Type", shape_text(bulkhead_get_str(m, "type")));
        json_object_set_new(one, "Source", shape_text(bulkhead_get_str(m, "source")));
        json_object_set_new(one, "Destination", shape_text(bulkhead_get_str(m, "target")));
        json_object_set_new(
            one, "Mode",
            json_string(bulkhead_get_bool(m, "read_only") && by_volume(asked, bulkhead_get_str(m, "target")) ? "ro"
                                                                                                             : ""));
        json_object_set_new(one, "RW", json_boolean(!bulkhead_get_bool(m, "read_only")));
        json_object_set_new(one, "Propagation", shape_text(propagation[0] != '\0' ? propagation : "rprivate"));
        json_array_append_new(out, one);
    }
    return out;
}

static json_t *or_null(const bulkhead_value *list) {
    return bulkhead_count(list) == 0 ? json_null() : shape_strings(list);
}

/* As docker keeps them: CAP_NET_ADMIN, but ALL. */
static json_t *shape_caps(const bulkhead_value *list) {
    json_t *out = bulkhead_count(list) == 0 ? json_null() : json_array();

    for (size_t i = 0; i < bulkhead_count(list); i++) {
        char *name = bh_xasprintf("CAP_%s", bulkhead_str(bulkhead_at(list, i)));
        const char *from = strncasecmp(name + 4, "CAP_", 4) == 0 || strcasecmp(name + 4, "ALL") == 0 ? name + 4 : name;

        for (char *p = name; *p != '\0'; p++)
            *p = (char)toupper((unsigned char)*p);
        json_array_append_new(out, shape_text(from));
        free(name);
    }
    return out;
}

static json_t *shape_tmpfs(const bulkhead_value *mounts) {
    json_t *out = json_object();

    for (size_t i = 0; i < bulkhead_count(mounts); i++) {
        const bulkhead_value *m = bulkhead_at(mounts, i), *more = bulkhead_get(m, "option");
        struct bh_buf text = BH_BUF_INIT;

        if (strcmp(bulkhead_get_str(m, "type"), "tmpfs") != 0)
            continue;
        if (bulkhead_get_bool(m, "read_only"))
            bh_buf_adds(&text, ",ro");
        if (bulkhead_get_uint(m, "tmpfs_size") != 0)
            bh_buf_addf(&text, ",size=%llu", (unsigned long long)bulkhead_get_uint(m, "tmpfs_size"));
        if (bulkhead_get_uint(m, "tmpfs_mode") != 0)
            bh_buf_addf(&text, ",mode=%llo", (unsigned long long)bulkhead_get_uint(m, "tmpfs_mode"));
        for (size_t k = 0; k < bulkhead_count(more); k++)
            bh_buf_addf(&text, ",%s", bulkhead_str(bulkhead_at(more, k)));
        json_object_set_new(out, bulkhead_get_str(m, "target"), shape_text(text.len > 0 ? bh_buf_str(&text) + 1 : ""));
        bh_buf_fini(&text);
    }
    return out;
}

/* What came by --mount; -v is in Binds. */
static json_t *shape_long_mounts(const bulkhead_value *mounts) {
    json_t *out = json_array();

    for (size_t i = 0; i < bulkhead_count(mounts); i++) {
        const bulkhead_value *m = bulkhead_at(mounts, i);
        json_t *one;

        if (strcmp(bulkhead_get_str(m, "type"), "bind") != 0 || bulkhead_get_bool(m, "make_source"))
            continue;
        one = json_object();
        json_object_set_new(one, "Type", json_string("bind"));
        json_object_set_new(one, "Source", shape_text(bulkhead_get_str(m, "source")));
        json_object_set_new(one, "Target", shape_text(bulkhead_get_str(m, "target")));
        if (bulkhead_get_bool(m, "read_only"))
            json_object_set_new(one, "ReadOnly", json_true());
        json_array_append_new(out, one);
    }
    return out;
}

static void set_if_any(json_t *out, const char *key, json_t *take) {
    if (json_array_size(take) > 0 || json_object_size(take) > 0)
        json_object_set(out, key, take);
    json_decref(take);
}

static json_t *shape_binds(const bulkhead_value *mounts) {
    json_t *out = json_array();

    for (size_t i = 0; i < bulkhead_count(mounts); i++) {
        const bulkhead_value *m = bulkhead_at(mounts, i);
        char *text;

        if (strcmp(bulkhead_get_str(m, "type"), "bind") != 0 || !bulkhead_get_bool(m, "make_source"))
            continue;
        text = bh_xasprintf("%s:%s%s", bulkhead_get_str(m, "source"), bulkhead_get_str(m, "target"),
                            bulkhead_get_bool(m, "read_only") ? ":ro" : "");
        json_array_append_new(out, shape_text(text));
        free(text);
    }
    if (json_array_size(out) > 0)
        return out;
    json_decref(out);
    return json_null();
}

static json_t *shape_ulimits(const bulkhead_value *list) {
    json_t *out = json_array();

    for (size_t i = 0; i < bulkhead_count(list); i++) {
        const bulkhead_value *u = bulkhead_at(list, i);

        json_array_append_new(out, json_pack("{s:s,s:I,s:I}", "Name", bulkhead_get_str(u, "name"), "Hard",
                                             (json_int_t)bulkhead_get_uint(u, "hard"), "Soft",
                                             (json_int_t)bulkhead_get_uint(u, "soft")));
    }
    return out;
}

static json_t *shape_devices(const bulkhead_value *list) {
    json_t *out = json_array();

    for (size_t i = 0; i < bulkhead_count(list); i++) {
        const bulkhead_value *d = bulkhead_at(list, i);

        json_array_append_new(out, json_pack("{s:s,s:s,s:s}", "PathOnHost", bulkhead_get_str(d, "source"),
                                             "PathInContainer", bulkhead_get_str(d, "target"), "CgroupPermissions",
                                             bulkhead_get_str(d, "access")));
    }
    return out;
}

/* "K=V" each. */
static json_t *shape_words(const bulkhead_value *list) {
    json_t *out = json_object();

    for (size_t i = 0; i < bulkhead_count(list); i++) {
        char *word = bh_xstrdup(bulkhead_str(bulkhead_at(list, i)));
        char *value = strchr(word, '=');

        if (value != NULL)
            *value++ = '\0';
        json_object_set_new(out, word, shape_text(value != NULL ? value : ""));
        free(word);
    }
    return out;
}

/* Fields of docker's that say the same of every container here, so that scripts find them. */
static const char same_of_all[] =
    "{\"VolumeDriver\":\"\",\"VolumesFrom\":null,\"ConsoleSize\":[0,0],\"Cgroup\":\"\",\"Links\":null,"
    "\"PublishAllPorts\":false,\"ContainerIDFile\":\"\",\"Isolation\":\"\","
    "\"CgroupParent\":\"\",\"BlkioWeightDevice\":[],\"BlkioDeviceReadBps\":[],"
    "\"BlkioDeviceWriteBps\":[],\"BlkioDeviceReadIOps\":[],\"BlkioDeviceWriteIOps\":[],"
    "\"CpuRealtimePeriod\":0,\"CpuRealtimeRuntime\":0,\"DeviceCgroupRules\":"
    "null,"
    "\"DeviceRequests\":null}";

static const char no_paths[] = "{\"ResolvConfPath\":\"\",\"HostnamePath\":\"\",\"HostsPath\":\"\",\"MountLabel\":\"\","
                               "\"ProcessLabel\":\"\",\"AppArmorProfile\":\"\"}";
static const char no_network[] =
    "{\"Bridge\":\"\",\"SandboxID\":\"\",\"SandboxKey\":\"\",\"HairpinMode\":false,\"LinkLocalIPv6Address\":\"\","
    "\"LinkLocalIPv6PrefixLen\":0,\"SecondaryIPAddresses\":null,\"SecondaryIPv6Addresses\":null,\"EndpointID\":\"\","
    "\"GlobalIPv6Address\":\"\",\"GlobalIPv6PrefixLen\":0,\"IPv6Gateway\":\"\"}";
static const char no_endpoint[] =
    "{\"IPAMConfig\":null,\"Links\":null,\"Aliases\":null,\"DriverOpts\":null,\"EndpointID\":\"\","
    "\"IPPrefixLen\":0,\"IPv6Gateway\":\"\",\"GlobalIPv6Address\":\"\","
    "\"GlobalIPv6PrefixLen\":0,\"DNSNames\":null}";

static json_t *private_unless(const char *mode) {
    return shape_text(mode[0] != '\0' ? mode : "private");
}

static void shape_rest(json_t *out, const char *text) {
    json_t *rest = json_loads(text, 0, NULL);

    json_object_update_missing(out, rest);
    json_decref(rest);
}

/* Null is what was not asked for, where docker has it so. */
static void shape_limits(const bulkhead_value *limits, json_t *out) {
    static const struct {
        const char *key, *field;
    } numbers[] = {{"CpuShares", "cpu_shares"},
                   {"Memory", "memory"},
                   {"NanoCpus", "nano_cpus"},
                   {"BlkioWeight", "blkio_weight"},
                   {"CpuPeriod", "cpu_period"},
                   {"CpuQuota", "cpu_quota"},
                   {"MemoryReservation", "memory_reservation"},
                   {"MemorySwap", "memory_swap"}};
    int64_t pids = bulkhead_get_int(limits, "pids_limit");

    for (size_t i = 0; i < BH_ARRAY_LEN(numbers); i++)
        json_object_set_new(out, numbers[i].key, json_integer(bulkhead_get_int(limits, numbers[i].field)));
    json_object_set_new(out, "CpusetCpus", shape_text(bulkhead_get_str(limits, "cpuset_cpus")));
    json_object_set_new(out, "CpusetMems", shape_text(bulkhead_get_str(limits, "cpuset_mems")));
    json_object_set_new(out, "MemorySwappiness",
                        bulkhead_get_bool(limits, "memory_swappiness_set")
                            ? json_integer(bulkhead_get_int(limits, "memory_swappiness"))
                            : json_null());
    json_object_set_new(out, "OomKillDisable",
                        bulkhead_get_bool(limits, "oom_kill_disable_set")
                            ? json_boolean(bulkhead_get_bool(limits, "oom_kill_disable"))
                            : json_null());
    json_object_set_new(out, "PidsLimit", pids != 0 ? json_integer(pids) : json_null());
}

static json_t *shape_host_config(const bulkhead_value *spec) {
    const char *network = bulkhead_get_str(spec, "network"), *driver = bulkhead_get_str(spec, "log_driver");
    json_t *out = json_object(), *log = json_object(), *restart = json_object();

    json_object_set_new(out, "Binds", shape_binds(bulkhead_get(spec, "mount")));
    json_object_set_new(log, "Type", shape_text(driver[0] != '\0' ? driver : "json-file"));
    json_object_set_new(log, "Config", shape_pairs(bulkhead_get(spec, "log_opt")));
    json_object_set_new(out, "LogConfig", log);
    json_object_set_new(out, "NetworkMode", shape_text(network[0] != '\0' ? network : "none"));
    json_object_set_new(out, "PortBindings", json_object());
    json_object_set_new(restart, "Name", json_string("no"));
    json_object_set_new(restart, "MaximumRetryCount", json_integer(0));
    json_object_set_new(out, "RestartPolicy", restart);
    json_object_set_new(out, "AutoRemove", json_boolean(bulkhead_get_bool(spec, "auto_remove")));
    json_object_set_new(out, "CapAdd", shape_caps(bulkhead_get(spec, "cap_add")));
    json_object_set_new(out, "CapDrop", shape_caps(bulkhead_get(spec, "cap_drop")));
    json_object_set_new(out, "CgroupnsMode", private_unless(bulkhead_get_str(spec, "cgroupns")));
    json_object_set_new(out, "Dns", or_null(bulkhead_get(spec, "dns")));
    json_object_set_new(out, "DnsOptions", or_null(bulkhead_get(spec, "dns_option")));
    json_object_set_new(out, "DnsSearch", or_null(bulkhead_get(spec, "dns_search")));
    json_object_set_new(out, "ExtraHosts", or_null(bulkhead_get(spec, "extra_host")));
    json_object_set_new(out, "GroupAdd", or_null(bulkhead_get(spec, "group_add")));
    json_object_set_new(out, "IpcMode", private_unless(bulkhead_get_str(spec, "ipc")));
    json_object_set_new(out, "OomScoreAdj", json_integer(bulkhead_get_int(spec, "oom_score_adj")));
    json_object_set_new(out, "PidMode", shape_text(bulkhead_get_str(spec, "pid")));
    json_object_set_new(out, "Privileged", json_boolean(bulkhead_get_bool(spec, "privileged")));
    json_object_set_new(out, "ReadonlyRootfs", json_boolean(bulkhead_get_bool(spec, "read_only")));
    json_object_set_new(out, "SecurityOpt", or_null(bulkhead_get(spec, "security_opt")));
    json_object_set_new(out, "UTSMode", shape_text(bulkhead_get_str(spec, "uts")));
    json_object_set_new(out, "UsernsMode", shape_text(bulkhead_get_str(spec, "userns")));
    json_object_set_new(out, "ShmSize", json_integer((json_int_t)bulkhead_get_uint(spec, "shm_size")));
    json_object_set_new(out, "Init", json_boolean(bulkhead_get_bool(spec, "init")));
    set_if_any(out, "Tmpfs", shape_tmpfs(bulkhead_get(spec, "mount")));
    set_if_any(out, "Mounts", shape_long_mounts(bulkhead_get(spec, "mount")));
    json_object_set_new(out, "Ulimits", shape_ulimits(bulkhead_get(spec, "ulimit")));
    json_object_set_new(out, "Devices", shape_devices(bulkhead_get(spec, "device")));
    if (bulkhead_count(bulkhead_get(spec, "sysctl")) > 0)
        json_object_set_new(out, "Sysctls", shape_words(bulkhead_get(spec, "sysctl")));
    shape_limits(bulkhead_get(spec, "limits"), out);
    shape_rest(out, same_of_all);
    return out;
}

static json_t *shape_config(const bulkhead_value *reply) {
    const bulkhead_value *spec = bulkhead_get(reply, "spec"), *summary = bulkhead_get(reply, "summary");
    json_t *out = shape_run_config(bulkhead_get(bulkhead_get(reply, "config"), "config"));

    json_object_set_new(out, "AttachStdin", json_boolean(bulkhead_get_bool(spec, "attach_stdin")));
    json_object_set_new(out, "AttachStdout", json_boolean(bulkhead_get_bool(spec, "attach_stdout")));
    json_object_set_new(out, "AttachStderr", json_boolean(bulkhead_get_bool(spec, "attach_stderr")));
    json_object_set_new(out, "Tty", json_boolean(bulkhead_get_bool(spec, "tty")));
    json_object_set_new(out, "OpenStdin", json_boolean(bulkhead_get_bool(spec, "open_stdin")));
    json_object_set_new(out, "StdinOnce", json_boolean(bulkhead_get_bool(spec, "stdin_once")));
    if (bulkhead_get_bool(spec, "stop_timeout_set"))
        json_object_set_new(out, "StopTimeout", json_integer(bulkhead_get_int(spec, "stop_timeout")));
    json_object_set_new(out, "Image", shape_text(bulkhead_get_str(summary, "image")));
    json_object_set_new(out, "Labels", shape_pairs(bulkhead_get(summary, "label")));
    return out;
}

/* Exposed and not published: null. */
static json_t *shape_ports(const bulkhead_value *list) {
    json_t *out = json_object();

    for (size_t i = 0; i < bulkhead_count(list); i++)
        json_object_set_new(out, bulkhead_str(bulkhead_at(list, i)), json_null());
    return out;
}

static json_t *shape_network(const bulkhead_value *summary) {
    const char *mode = bulkhead_get_str(summary, "network");
    json_t *out = json_object(), *networks = json_object(), *one = json_object();

    json_object_set_new(one, "NetworkID", json_string(""));
    json_object_set_new(one, "Gateway", json_string(""));
    json_object_set_new(one, "IPAddress", json_string(""));
    json_object_set_new(one, "MacAddress", json_string(""));
    shape_rest(one, no_endpoint);
    json_object_set_new(networks, mode[0] != '\0' ? mode : "none", one);
    json_object_set_new(out, "Ports", shape_ports(bulkhead_get(summary, "port")));
    json_object_set_new(out, "Gateway", json_string(""));
    json_object_set_new(out, "IPAddress", json_string(""));
    json_object_set_new(out, "IPPrefixLen", json_integer(0));
    json_object_set_new(out, "MacAddress", json_string(""));
    json_object_set_new(out, "Networks", networks);
    shape_rest(out, no_network);
    return out;
}

json_t *shape_container(const bulkhead_value *reply, bool size) {
    const bulkhead_value *summary = bulkhead_get(reply, "summary");
    char *name = bh_xasprintf("/%s", bulkhead_get_str(summary, "name"));
    json_t *out = json_object(), *driver = json_object();

    json_object_set_new(out, "Id", shape_text(bulkhead_get_str(summary, "id")));
    json_object_set_new(out, "Created", shape_time(bulkhead_get_int(summary, "created_ns")));
    json_object_set_new(out, "Path", shape_text(bulkhead_get_str(reply, "path")));
    json_object_set_new(out, "Args", shape_strings(bulkhead_get(reply, "args")));
    json_object_set_new(out, "State", shape_state(bulkhead_get(summary, "state")));
    json_object_set_new(out, "Image", shape_text(bulkhead_get_str(summary, "image_id")));
    json_object_set_new(out, "LogPath", shape_text(bulkhead_get_str(reply, "log_path")));
    json_object_set_new(out, "Name", shape_text(name));
    json_object_set_new(out, "RestartCount", json_integer(bulkhead_get_int(summary, "restart_count")));
    json_object_set_new(driver, "Data", json_null());
    json_object_set_new(driver, "Name", json_string("bulkhead"));
    json_object_set_new(out, "Driver", json_string("bulkhead"));
    json_object_set_new(out, "Platform", json_string("linux"));
    json_object_set_new(out, "ExecIDs", or_null(bulkhead_get(reply, "exec_id")));
    json_object_set_new(out, "HostConfig", shape_host_config(bulkhead_get(reply, "spec")));
    json_object_set_new(out, "GraphDriver", driver);
    if (size) {
        json_object_set_new(out, "SizeRw", json_integer((json_int_t)bulkhead_get_uint(summary, "size_rw")));
        json_object_set_new(out, "SizeRootFs", json_integer((json_int_t)bulkhead_get_uint(summary, "size_root")));
    }
    json_object_set_new(
        out, "Mounts",
        shape_mounts(bulkhead_get(summary, "mount"), bulkhead_get(bulkhead_get(reply, "spec"), "mount")));
    json_object_set_new(out, "Config", shape_config(reply));
    json_object_set_new(out, "NetworkSettings", shape_network(summary));
    json_object_set_new(out, "IdBase", json_integer((json_int_t)bulkhead_get_uint(reply, "id_base")));
    json_object_set_new(out, "OciRuntime", shape_text(bulkhead_get_str(reply, "oci_runtime")));
    json_object_set_new(out, "StorageForm", shape_text(bulkhead_get_str(reply, "storage_form")));
    shape_rest(out, no_paths);
    free(name);
    return out;
}
