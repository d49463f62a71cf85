/*
 * spec.c - see spec.h: the option table of run and create, and what becomes of each option.
 *
 * Room: client.
 */
#include "cli/spec.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/engine.h"
#include "cli/list_file.h"
#include "cli/spec_mount.h"
#include "cli/tty.h"
#include "oci/port.h"

#define LATER(n, k, h)                                                                                                 \
    { .name = (n), .kind = (k), .flags = CLI_OPT_LATER, .help = (h) }
#define IGNORED(n, k, h)                                                                                               \
    { .name = (n), .kind = (k), .flags = CLI_OPT_IGNORED | CLI_OPT_HIDDEN, .help = (h) }

const struct cli_opt cli_spec_opts[] = {
    {.name = "add-host", .kind = CLI_LIST, .help = "Add a line to /etc/hosts, as HOST=IP or HOST:IP"},
    {.name = "annotation", .kind = CLI_LIST, .help = "Add an annotation, as KEY=VALUE"},
    {.name = "attach",
     .letter = 'a',
     .kind = CLI_LIST,
     .help = "Attach to stdin, stdout or stderr",
     .complete = "stdin|stdout|stderr"},
    {.name = "blkio-weight", .kind = CLI_INT, .help = "Block input and output weight, 10 to 1000 (administrators)"},
    LATER("blkio-weight-device", CLI_LIST, "Block input and output weight of a device"),
    {.name = "cap-add", .kind = CLI_LIST, .help = "Add a capability (administrators)"},
    {.name = "cap-drop", .kind = CLI_LIST, .help = "Take a capability away"},
    LATER("cgroup-parent", CLI_STRING, "Parent cgroup"),
    {.name = "cgroupns", .kind = CLI_STRING, .help = "Cgroup namespace", .complete = "host|private"},
    {.name = "cidfile", .kind = CLI_STRING, .help = "Write the container's ID to this file", .complete = "file"},
    IGNORED("cpu-count", CLI_INT, "CPU count (Windows)"),
    IGNORED("cpu-percent", CLI_INT, "CPU percent (Windows)"),
    {.name = "cpu-period", .kind = CLI_INT, .help = "Period of the scheduler, in microseconds"},
    {.name = "cpu-quota", .kind = CLI_INT, .help = "Time of processors in each period, in microseconds"},
    LATER("cpu-rt-period", CLI_INT, "CPU real-time period"),
    LATER("cpu-rt-runtime", CLI_INT, "CPU real-time runtime"),
    {.name = "cpu-shares", .letter = 'c', .kind = CLI_INT, .help = "Weight where processors are short; most have 1024"},
    {.name = "cpus", .kind = CLI_FLOAT, .help = "Number of processors"},
    {.name = "cpuset-cpus", .kind = CLI_STRING, .help = "Processors to run on, as 0-2,5"},
    {.name = "cpuset-mems", .kind = CLI_STRING, .help = "Memory nodes to use, as 0-2,5"},
    {.name = "device", .kind = CLI_LIST, .help = "Add a host device (administrators)"},
    LATER("device-cgroup-rule", CLI_LIST, "Device cgroup rule"),
    LATER("device-read-bps", CLI_LIST, "Limit reading from a device"),
    LATER("device-read-iops", CLI_LIST, "Limit reads from a device"),
    LATER("device-write-bps", CLI_LIST, "Limit writing to a device"),
    LATER("device-write-iops", CLI_LIST, "Limit writes to a device"),
    IGNORED("disable-content-trust", CLI_BOOL, "Skip image verification"),
    {.name = "dns", .kind = CLI_LIST, .help = "DNS server"},
    {.name = "dns-opt", .kind = CLI_LIST, .flags = CLI_OPT_HIDDEN, .help = "DNS option"},
    {.name = "dns-option", .kind = CLI_LIST, .help = "DNS option"},
    {.name = "dns-search", .kind = CLI_LIST, .help = "DNS search domain"},
    {.name = "domainname", .kind = CLI_STRING, .help = "NIS domain name"},
    {.name = "entrypoint", .kind = CLI_STRING, .help = "Replace the image's ENTRYPOINT"},
    {.name = "env", .letter = 'e', .kind = CLI_LIST, .help = "Set an environment variable"},
    {.name = "env-file", .kind = CLI_LIST, .help = "Read environment variables from a file", .complete = "file"},
    {.name = "expose", .kind = CLI_LIST, .help = "Expose a port or a range, as PORT[-PORT][/tcp|udp|sctp]"},
    LATER("gpus", CLI_STRING, "GPUs to add"),
    {.name = "group-add", .kind = CLI_LIST, .help = "Add a supplementary group"},
    LATER("health-cmd", CLI_STRING, "Command to check health"),
    LATER("health-interval", CLI_DURATION, "Time between checks"),
    LATER("health-retries", CLI_INT, "Failures before unhealthy"),
    LATER("health-start-interval", CLI_DURATION, "Time between checks at the start"),
    LATER("health-start-period", CLI_DURATION, "Time to start before failures count"),
    LATER("health-timeout", CLI_DURATION, "Time one check may take"),
    {.name = "hostname", .letter = 'h', .kind = CLI_STRING, .help = "Host name of the container"},
    {.name = "init", .kind = CLI_BOOL, .help = "Run an init that passes signals on and reaps processes"},
    {.name = "interactive", .letter = 'i', .kind = CLI_BOOL, .help = "Keep standard input open"},
    IGNORED("io-maxbandwidth", CLI_BYTES, "Input and output bandwidth (Windows)"),
    IGNORED("io-maxiops", CLI_INT, "Input and output operations (Windows)"),
    LATER("ip", CLI_STRING, "IPv4 address"),
    LATER("ip6", CLI_STRING, "IPv6 address"),
    {.name = "ipc", .kind = CLI_STRING, .help = "IPC namespace", .complete = "host|private"},
    IGNORED("isolation", CLI_STRING, "Isolation technology (Windows)"),
    IGNORED("kernel-memory", CLI_BYTES, "Kernel memory limit"),
    {.name = "label", .letter = 'l', .kind = CLI_LIST, .help = "Set a label, as KEY=VALUE"},
    {.name = "label-file", .kind = CLI_LIST, .help = "Read labels from a file", .complete = "file"},
    LATER("link", CLI_LIST, "Add a link to another container"),
    LATER("link-local-ip", CLI_LIST, "Link-local address"),
    {.name = "log-driver", .kind = CLI_STRING, .help = "How output is logged", .complete = "json-file|local|none"},
    {.name = "log-opt", .kind = CLI_LIST, .help = "max-size=BYTES, max-file=N"},
    LATER("mac-address", CLI_STRING, "MAC address"),
    {.name = "memory", .letter = 'm', .kind = CLI_BYTES, .help = "Memory limit, 6m or more"},
    {.name = "memory-reservation",
     .kind = CLI_BYTES,
     .help = "Memory that it is pressed down to where memory is short"},
    {.name = "memory-swap",
     .kind = CLI_STRING,
     .help = "Memory and swap limit, -1: all the swap; default twice the memory"},
    {.name = "memory-swappiness", .kind = CLI_INT, .help = "Readiness to swap, 0 to 100", .def = "-1"},
    {.name = "mount", .kind = CLI_LIST, .help = "Mount a folder of the host or a tmpfs"},
    {.name = "name", .kind = CLI_STRING, .help = "Name of the container"},
    {.name = "network", .kind = CLI_STRING, .help = "Network of the container (none)", .complete = "none|host"},
    LATER("network-alias", CLI_LIST, "Alias in the network"),
    {.name = "net", .kind = CLI_STRING, .flags = CLI_OPT_HIDDEN, .help = "Network of the container"},
    LATER("no-healthcheck", CLI_BOOL, "Do not check health"),
    {.name = "oom-kill-disable",
     .kind = CLI_BOOL,
     .help = "Stop processes at the memory limit instead of killing them (cgroup version 1)"},
    {.name = "oom-score-adj", .kind = CLI_INT, .help = "Preference of the out-of-memory killer"},
    {.name = "pid", .kind = CLI_STRING, .help = "PID namespace", .complete = "host"},
    {.name = "pids-limit", .kind = CLI_INT, .help = "Limit of processes and threads, -1: none"},
    {.name = "platform", .kind = CLI_STRING, .help = "Platform, as OS/ARCH[/VARIANT]"},
    {.name = "privileged", .kind = CLI_BOOL, .help = "All rights over the host (administrators)"},
    {.name = "publish", .letter = 'p', .kind = CLI_LIST, .flags = CLI_OPT_LATER, .help = "Publish a port"},
    {.name = "publish-all",
     .letter = 'P',
     .kind = CLI_BOOL,
     .flags = CLI_OPT_LATER,
     .help = "Publish all exposed ports"},
    {.name = "pull",
     .kind = CLI_STRING,
     .help = "Pull the image first",
     .def = "missing",
     .complete = "always|missing|never"},
    {.name = "quiet", .letter = 'q', .kind = CLI_BOOL, .help = "Do not show the progress of a pull"},
    {.name = "read-only", .kind = CLI_BOOL, .help = "Mount the root file system read-only"},
    {.name = "restart", .kind = CLI_STRING, .help = "Restart policy; only `no` for now", .def = "no"},
    {.name = "rm", .kind = CLI_BOOL, .help = "Remove the container when it exits"},
    LATER("runtime", CLI_STRING, "OCI runtime to use"),
    {.name = "security-opt",
     .kind = CLI_LIST,
     .help = "no-new-privileges; seccomp=FILE, a profile; seccomp=unconfined, systempaths=unconfined (administrators)"},
    {.name = "shm-size", .kind = CLI_BYTES, .help = "Size of /dev/shm", .def = "64m"},
    {.name = "stop-signal", .kind = CLI_STRING, .help = "Signal that stops the container"},
    {.name = "stop-timeout", .kind = CLI_INT, .help = "Seconds to wait before it is killed"},
    LATER("storage-opt", CLI_LIST, "Storage options"),
    {.name = "sysctl", .kind = CLI_LIST, .help = "Set a kernel parameter of the container's namespaces"},
    {.name = "tmpfs", .kind = CLI_LIST, .help = "Mount a tmpfs, as PATH[:OPTIONS]"},
    {.name = "tty", .letter = 't', .kind = CLI_BOOL, .help = "Give it a terminal"},
    {.name = "ulimit", .kind = CLI_LIST, .help = "Set a limit, as NAME=SOFT[:HARD]"},
    LATER("use-api-socket", CLI_BOOL, "Give the container the engine's socket"),
    {.name = "user", .letter = 'u', .kind = CLI_STRING, .help = "User, as NAME|UID[:GROUP|GID]"},
    {.name = "userns", .kind = CLI_STRING, .help = "User namespace", .complete = "host"},
    {.name = "uts", .kind = CLI_STRING, .help = "UTS namespace", .complete = "host"},
    {.name = "volume", .letter = 'v', .kind = CLI_LIST, .help = "Mount a folder of the host, as SRC:DST[:OPTIONS]"},
    LATER("volume-driver", CLI_STRING, "Volume driver"),
    LATER("volumes-from", CLI_LIST, "Mount the volumes of another container"),
    {.name = "workdir", .letter = 'w', .kind = CLI_STRING, .help = "Working folder in the container"},
    {0},
};

static int usage(struct bh_err *err, const char *option, const char *value, const char *why) {
    bh_err_set(err, BH_E_INVALID, "invalid argument \"%s\" for \"%s\" flag: %s", value, option, why);
    return bh_err_reason(err, "usage");
}

/* "K=V" as it is; "K" with our own value, or nothing when we have none. */
static void add_env(bulkhead_value *list, const char *entry) {
    const char *own;

    if (strchr(entry, '=') != NULL) {
        bulkhead_add_str(list, entry);
    } else if ((own = getenv(entry)) != NULL) {
        char *pair = bh_xasprintf("%s=%s", entry, own);

        bulkhead_add_str(list, pair);
        free(pair);
    }
}

int cli_env_of(const struct cli_args *args, bulkhead_value **out_list, struct bh_err *err) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < cli_count(args, "env-file"); i++) {
        if (cli_list_file("--env-file", cli_item(args, "env-file", i), add_env, list, err) != 0) {
            bulkhead_value_free(list);
            return err->code;
        }
    }
    for (size_t i = 0; i < cli_count(args, "env"); i++) {
        const char *entry = cli_item(args, "env", i);

        if (*entry == '=' || *entry == '\0') {
            bulkhead_value_free(list);
            return usage(err, "-e, --env", entry, "invalid environment variable: it needs a name");
        }
        add_env(list, entry);
    }
    *out_list = list;
    return 0;
}

/* As docker: a label has a name, and no blanks in it. */
static int check_label(const char *text, struct bh_err *err) {
    size_t n = strcspn(text, "=");

    if (n == 0)
        return usage(err, "-l, --label", text, "invalid label: empty name");
    return strcspn(text, " \t") < n ? usage(err, "-l, --label", text, "the name contains whitespaces") : 0;
}

static int set_labels(const struct cli_args *args, bulkhead_value *spec, struct bh_err *err) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < cli_count(args, "label-file"); i++) {
        if (cli_list_file("--label-file", cli_item(args, "label-file", i), cli_add_pair, list, err) != 0) {
            bulkhead_value_free(list);
            return err->code;
        }
    }
    for (size_t i = 0; i < cli_count(args, "label"); i++) {
        if (check_label(cli_item(args, "label", i), err) != 0) {
            bulkhead_value_free(list);
            return err->code;
        }
        cli_add_pair(list, cli_item(args, "label", i));
    }
    bulkhead_set(spec, "label", list);
    return 0;
}

static int set_mounts(const struct cli_args *args, bulkhead_value *spec, struct bh_err *err) {
    static const struct {
        const char *option;
        int (*make)(const char *text, bulkhead_value **out, struct bh_err *err);
    } kinds[] = {{"volume", cli_mount_volume}, {"mount", cli_mount_long}, {"tmpfs", cli_mount_tmpfs}};
    bulkhead_value *list = bulkhead_list_new();

    for (size_t k = 0; k < BH_ARRAY_LEN(kinds); k++) {
        for (size_t i = 0; i < cli_count(args, kinds[k].option); i++) {
            bulkhead_value *mount = NULL;

            if (kinds[k].make(cli_item(args, kinds[k].option, i), &mount, err) != 0) {
                bulkhead_value_free(list);
                return err->code;
            }
            bulkhead_add(list, mount);
        }
    }
    bulkhead_set(spec, "mount", list);
    return 0;
}

static int set_ulimits(const struct cli_args *args, bulkhead_value *spec, struct bh_err *err) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < cli_count(args, "ulimit"); i++) {
        const char *text = cli_item(args, "ulimit", i), *eq = strchr(text, '=');
        BH_SCOPE_FREE char *soft = eq != NULL ? bh_xstrdup(eq + 1) : NULL;
        char *colon = soft != NULL ? strchr(soft, ':') : NULL;
        int64_t s = 0, h = 0;
        bulkhead_value *limit;
        char *name;

        if (colon != NULL)
            *colon++ = '\0';
        if (soft == NULL || !bh_str_i64(soft, &s) || (colon != NULL && !bh_str_i64(colon, &h))) {
            bulkhead_value_free(list);
            return usage(err, "--ulimit", text, "invalid ulimit argument: it must be NAME=SOFT[:HARD]");
        }
        if (colon == NULL)
            h = s;
        limit = bulkhead_map_new();
        name = bh_xstrndup(text, (size_t)(eq - text));
        bulkhead_set_str(limit, "name", name);
        bulkhead_set_uint(limit, "soft", (uint64_t)s); /* -1 is "unlimited", which is all bits set */
        bulkhead_set_uint(limit, "hard", (uint64_t)h);
        bulkhead_add(list, limit);
        free(name);
    }
    bulkhead_set(spec, "ulimit", list);
    return 0;
}

/* In docker's words; the list goes on as it is. */
static int set_ports(const struct cli_args *args, bulkhead_value *spec, struct bh_err *err) {
    for (size_t i = 0; i < cli_count(args, "expose"); i++) {
        const char *text = cli_item(args, "expose", i);
        struct bh_err why = BH_ERR_INIT;
        struct bh_ports ports;

        if (strchr(text, ':') != NULL)
            bh_err_set(err, BH_E_INVALID, "invalid port format for --expose: %s", text);
        else if (bh_ports_parse(text, &ports, &why) != 0)
            bh_err_set(err, BH_E_INVALID, "invalid range format for --expose: %s, error: %s", text, why.msg);
        else
            continue;
        return bh_err_reason(err, "usage");
    }
    cli_set_list(args, "expose", spec, "expose");
    return 0;
}

static void set_devices(const struct cli_args *args, bulkhead_value *spec) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < cli_count(args, "device"); i++) {
        BH_SCOPE_FREE char *source = bh_xstrdup(cli_item(args, "device", i));
        char *target = strchr(source, ':'), *access = NULL;
        bulkhead_value *device = bulkhead_map_new();

        if (target != NULL) {
            *target++ = '\0';
            access = strchr(target, ':');
            if (access != NULL)
                *access++ = '\0';
        }
        if (target != NULL && target[0] != '/') { /* SRC:rwm */
            access = target;
            target = NULL;
        }
        bulkhead_set_str(device, "source", source);
        bulkhead_set_str(device, "target", target != NULL ? target : source);
        bulkhead_set_str(device, "access", access != NULL ? access : "rwm");
        bulkhead_add(list, device);
    }
    bulkhead_set(spec, "device", list);
}

static void set_text(const struct cli_args *args, const char *option, bulkhead_value *spec, const char *field) {
    if (cli_given(args, option))
        bulkhead_set_str(spec, field, cli_str(args, option));
}

static void set_texts(const struct cli_args *args, bulkhead_value *spec) {
    static const char *const same[] = {"workdir", "user", "hostname", "domainname", "userns",  "network",
                                       "pid",     "ipc",  "uts",      "cgroupns",   "platform"};
    static const struct {
        const char *option, *field;
    } lists[] = {{"group-add", "group_add"},  {"cap-add", "cap_add"}, {"cap-drop", "cap_drop"},
                 {"sysctl", "sysctl"},        {"dns", "dns"},         {"dns-search", "dns_search"},
                 {"dns-option", "dns_option"}};

    for (size_t i = 0; i < BH_ARRAY_LEN(same); i++)
        set_text(args, same[i], spec, same[i]);
    if (cli_given(args, "net") && !cli_given(args, "network"))
        bulkhead_set_str(spec, "network", cli_str(args, "net"));
    set_text(args, "stop-signal", spec, "stop_signal");
    set_text(args, "log-driver", spec, "log_driver");
    for (size_t i = 0; i < BH_ARRAY_LEN(lists); i++) {
        bulkhead_value *list = bulkhead_list_new();

        for (size_t k = 0; k < cli_count(args, lists[i].option); k++)
            bulkhead_add_str(list, cli_item(args, lists[i].option, k));
        if (strcmp(lists[i].option, "dns-option") == 0) /* docker's older name of it */
            for (size_t k = 0; k < cli_count(args, "dns-opt"); k++)
                bulkhead_add_str(list, cli_item(args, "dns-opt", k));
        bulkhead_set(spec, lists[i].field, list);
    }
}

int cli_hosts_of(const struct cli_args *args, bulkhead_value *out, struct bh_err *err) {
    bulkhead_value *list = bulkhead_list_new();
    int r = 0;

    for (size_t i = 0; i < cli_count(args, "add-host") && r == 0; i++) {
        const char *text = cli_item(args, "add-host", i), *at = strchr(text, '=');
        BH_SCOPE_FREE char *address = NULL;

        at = at != NULL ? at : strchr(text, ':');
        if (at == NULL || at == text || at[1] == '\0') {
            r = usage(err, "--add-host", text, "bad format for add-host: it must be HOST=IP or HOST:IP");
            continue;
        }
        address = bh_xstrdup(at + 1);
        if (address[0] == '[' && address[strlen(address) - 1] == ']') { /* an IPv6 address */
            address[strlen(address) - 1] = '\0';
            memmove(address, address + 1, strlen(address));
        }
        BH_SCOPE_FREE char *entry = bh_xasprintf("%.*s:%s", (int)(at - text), text, address);
        bulkhead_add_str(list, entry);
    }
    bulkhead_set(out, "extra_host", list);
    return r;
}

static void set_command(const struct cli_args *args, bulkhead_value *spec) {
    bulkhead_value *command = bulkhead_list_new(), *entrypoint = bulkhead_list_new();
    const char *given = cli_str(args, "entrypoint");

    bulkhead_set_str(spec, "image", args->operands[0]);
    for (int i = 1; i < args->operand_count; i++)
        bulkhead_add_str(command, args->operands[i]);
    bulkhead_set(spec, "command", command);
    if (cli_given(args, "entrypoint")) {
        if (given != NULL && given[0] != '\0')
            bulkhead_add_str(entrypoint, given);
        bulkhead_set_bool(spec, "entrypoint_set", true);
    }
    bulkhead_set(spec, "entrypoint", entrypoint);
}

static int set_attach(const struct cli_args *args, bulkhead_value *spec, struct bh_err *err) {
    bool in = false, out = false, both = false, stdin_open = cli_bool(args, "interactive");

    for (size_t i = 0; i < cli_count(args, "attach"); i++) {
        const char *which = cli_item(args, "attach", i);

        if (strcasecmp(which, "stdin") == 0)
            in = true;
        else if (strcasecmp(which, "stdout") == 0)
            out = true;
        else if (strcasecmp(which, "stderr") == 0)
            both = true;
        else
            return usage(err, "-a, --attach", which, "valid streams are STDIN, STDOUT and STDERR");
    }
    if (cli_count(args, "attach") == 0) {
        in = stdin_open;
        out = both = true;
    }
    bulkhead_set_bool(spec, "tty", cli_bool(args, "tty"));
    bulkhead_set_bool(spec, "open_stdin", stdin_open);
    bulkhead_set_bool(spec, "attach_stdin", in);
    bulkhead_set_bool(spec, "attach_stdout", out);
    bulkhead_set_bool(spec, "attach_stderr", both);
    return 0;
}

static void set_numbers(const struct cli_args *args, bulkhead_value *spec) {
    struct cli_tty_size size;

    bulkhead_set_bool(spec, "init", cli_bool(args, "init"));
    bulkhead_set_bool(spec, "privileged", cli_bool(args, "privileged"));
    bulkhead_set_bool(spec, "read_only", cli_bool(args, "read-only"));
    bulkhead_set_bool(spec, "auto_remove", cli_bool(args, "rm"));
    bulkhead_set_uint(spec, "shm_size", cli_bytes(args, "shm-size"));
    bulkhead_set_int(spec, "oom_score_adj", cli_int(args, "oom-score-adj"));
    if (cli_given(args, "stop-timeout")) {
        bulkhead_set_bool(spec, "stop_timeout_set", true);
        bulkhead_set_int(spec, "stop_timeout", cli_int(args, "stop-timeout"));
    }
    if (cli_bool(args, "tty") && cli_tty_size(1, &size)) {
        bulkhead_set_uint(spec, "tty_rows", size.rows);
        bulkhead_set_uint(spec, "tty_cols", size.columns);
    }
}

int cli_spec_of(const struct cli_args *args, bulkhead_value **out, struct bh_err *err) {
    const char *restart = cli_str(args, "restart");
    bulkhead_value *spec = bulkhead_map_new(), *env = NULL;

    if (strcmp(restart, "no") != 0 && restart[0] != '\0') {
        bulkhead_value_free(spec);
        return usage(err, "--restart", restart, "restart policies come with a later version");
    }
    if (cli_env_of(args, &env, err) != 0) {
        bulkhead_value_free(spec);
        return err->code;
    }
    bulkhead_set(spec, "env", env);
    set_command(args, spec);
    set_texts(args, spec);
    set_devices(args, spec);
    set_numbers(args, spec);
    cli_set_pairs(args, "annotation", spec, "annotation");
    cli_set_pairs(args, "log-opt", spec, "log_opt");
    if (set_attach(args, spec, err) != 0 || set_labels(args, spec, err) != 0 || set_mounts(args, spec, err) != 0 ||
        set_ulimits(args, spec, err) != 0 || set_ports(args, spec, err) != 0 || cli_security_of(args, spec, err) != 0 ||
        cli_hosts_of(args, spec, err) != 0 || cli_limits_of(args, spec, err) != 0) {
        bulkhead_value_free(spec);
        return err->code;
    }
    *out = spec;
    return 0;
}
