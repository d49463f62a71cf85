/*
 * cmd_info.c - `info` and `version`: what the engine is and has found.
 *
 * Room: client.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/shape.h"
#include "cli/table.h"

const struct cli_opt cmd_info_opts[] = {
    {.name = "format", .letter = 'f', .kind = CLI_STRING, .help = "json, or a template"},
    {0},
};

const struct cli_opt cmd_version_opts[] = {
    {.name = "format", .letter = 'f', .kind = CLI_STRING, .help = "json, or a template"},
    {0},
};

/* What docker tells as well and scripts ask for: it is the same of every engine of this kind. */
static const char rest_of_info[] =
    "{\"ID\":\"\",\"DriverStatus\":[],\"Plugins\":{\"Volume\":[],\"Network\":[\"host\",\"none\"],\"Authorization\":"
    "null,"
    "\"Log\":[\"json-file\",\"local\",\"none\"]},\"LoggingDriver\":\"json-file\",\"Debug\":false,\"HttpProxy\":\"\","
    "\"HttpsProxy\":\"\",\"NoProxy\":\"\",\"Labels\":[],\"ExperimentalBuild\":false,\"LiveRestoreEnabled\":true,"
    "\"IndexServerAddress\":\"https://index.docker.io/v1/\",\"Swarm\":{\"LocalNodeState\":\"inactive\"},"
    "\"InitBinary\":\"bulkhead-init\",\"Isolation\":\"\",\"DockerRootDir\":\"\"}";

static void add_missing(json_t *out, const char *text) {
    json_t *rest = json_loads(text, 0, NULL);

    json_object_update_missing(out, rest);
    json_decref(rest);
}

/* {"crun": {"path": ".."}}, as docker has the runtimes that it may take. */
static json_t *runtimes(const bulkhead_value *runtime) {
    const char *name = bulkhead_get_str(runtime, "oci_runtime");
    json_t *out = json_object(), *one = json_object();

    json_object_set_new(one, "path", shape_text(bulkhead_get_str(runtime, "oci_runtime_path")));
    if (name[0] != '\0')
        json_object_set(out, name, one);
    json_decref(one);
    return out;
}

static json_t *client_info(void) {
    return json_pack("{s:b,s:s,s:s,s:[],s:n}", "Debug", 0, "Context", "default", "Version", bulkhead_version(),
                     "Plugins", "Warnings");
}

static bool has_word(const bulkhead_value *list, const char *word) {
    for (size_t i = 0; i < bulkhead_count(list); i++)
        if (strcmp(bulkhead_str(bulkhead_at(list, i)), word) == 0)
            return true;
    return false;
}

/* What containers can be limited in, by docker's names of it; warnings where docker warns. */
static void add_limits(const bulkhead_value *runtime, json_t *out) {
    static const struct {
        const char *key, *word, *warning;
    } rows[] = {{"MemoryLimit", "memory", "WARNING: No memory limit support"},
                {"SwapLimit", "swap", "WARNING: No swap limit support"},
                {"OomKillDisable", "oom-kill", NULL}, /* there is none in version 2 */
                {"CpuCfsPeriod", "cpu-cfs", "WARNING: No cpu cfs period support"},
                {"CpuCfsQuota", "cpu-cfs", "WARNING: No cpu cfs quota support"},
                {"CPUShares", "cpu-shares", "WARNING: No cpu shares support"},
                {"CPUSet", "cpuset", "WARNING: No cpuset support"},
                {"PidsLimit", "pids", "WARNING: No pids limit support"}};
    const bulkhead_value *limits = bulkhead_get(runtime, "limit");
    json_t *warnings = json_array();

    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        bool there = has_word(limits, rows[i].word);

        json_object_set_new(out, rows[i].key, json_boolean(there));
        if (!there && rows[i].warning != NULL)
            json_array_append_new(warnings, json_string(rows[i].warning));
    }
    json_object_set_new(out, "Warnings", json_array_size(warnings) > 0 ? json_incref(warnings) : json_null());
    json_decref(warnings);
}

static json_t *info_document(const bulkhead_value *runtime, const bulkhead_value *store) {
    json_t *out = json_object(), *limits = shape_pairs(bulkhead_get(store, "limit"));

    json_object_set_new(out, "Containers", json_integer(bulkhead_get_int(runtime, "containers")));
    json_object_set_new(out, "ContainersRunning", json_integer(bulkhead_get_int(runtime, "running")));
    json_object_set_new(out, "ContainersPaused", json_integer(bulkhead_get_int(runtime, "paused")));
    json_object_set_new(out, "ContainersStopped", json_integer(bulkhead_get_int(runtime, "stopped")));
    json_object_set_new(out, "Images", json_integer(bulkhead_get_int(store, "images")));
    json_object_set_new(out, "Names", json_integer(bulkhead_get_int(store, "names")));
    json_object_set_new(out, "Layers", json_integer(bulkhead_get_int(store, "layers")));
    json_object_set_new(out, "DiskBytes", json_integer(bulkhead_get_int(store, "disk_bytes")));
    json_object_set_new(out, "DiskFreeBytes", json_integer(bulkhead_get_int(store, "free_bytes")));
    json_object_set_new(out, "KeepBlobs", shape_text(bulkhead_get_str(store, "keep")));
    json_object_set_new(out, "Driver", shape_text(bulkhead_get_str(runtime, "storage_form")));
    json_object_set_new(out, "StorageForm", shape_text(bulkhead_get_str(runtime, "storage_form")));
    json_object_set_new(out, "StorageFormReason", shape_text(bulkhead_get_str(runtime, "storage_form_why")));
    json_object_set_new(out, "OciRuntime", shape_text(bulkhead_get_str(runtime, "oci_runtime")));
    json_object_set_new(out, "OciRuntimePath", shape_text(bulkhead_get_str(runtime, "oci_runtime_path")));
    json_object_set_new(out, "OciRuntimeVersion", shape_text(bulkhead_get_str(runtime, "oci_runtime_version")));
    json_object_set_new(out, "OciRuntimeReason", shape_text(bulkhead_get_str(runtime, "oci_runtime_why")));
    json_object_set_new(out, "KernelFeatures", shape_strings(bulkhead_get(runtime, "feature_found")));
    json_object_set_new(out, "KernelFeaturesMissing", shape_strings(bulkhead_get(runtime, "feature_missing")));
    json_object_set_new(out, "KernelVersion", shape_text(bulkhead_get_str(runtime, "kernel")));
    json_object_set_new(out, "OperatingSystem", shape_text(bulkhead_get_str(runtime, "os")));
    json_object_set_new(out, "OSType", json_string("linux"));
    json_object_set_new(out, "Architecture", shape_text(bulkhead_get_str(runtime, "architecture")));
    json_object_set_new(out, "NCPU", json_integer(bulkhead_get_int(runtime, "cpus")));
    json_object_set_new(out, "MemTotal", json_integer(bulkhead_get_int(runtime, "memory")));
    json_object_set_new(out, "Name", shape_text(bulkhead_get_str(runtime, "hostname")));
    json_object_set_new(out, "CgroupVersion", shape_text(bulkhead_get_str(runtime, "cgroup")));
    json_object_set_new(out, "SecurityOptions", shape_strings(bulkhead_get(runtime, "security_option")));
    json_object_set_new(out, "Limits", limits);
    json_object_set_new(out, "ServerVersion", json_string(bulkhead_version()));
    json_object_set_new(out, "CgroupDriver",
                        json_string(strcmp(bulkhead_get_str(runtime, "cgroup"), "none") == 0 ? "none" : "cgroupfs"));
    json_object_set_new(out, "DefaultRuntime", shape_text(bulkhead_get_str(runtime, "oci_runtime")));
    json_object_set_new(out, "Runtimes", runtimes(runtime));
    json_object_set_new(out, "ClientInfo", client_info());
    add_limits(runtime, out);
    add_missing(out, rest_of_info);
    return out;
}

static void put_list(struct cli_ctx *ctx, const char *label, const bulkhead_value *list) {
    cli_put(ctx->out, " %s:", label);
    for (size_t i = 0; i < bulkhead_count(list); i++) {
        cli_put(ctx->out, " ");
        cli_put_word(ctx->out, bulkhead_str(bulkhead_at(list, i)));
    }
    cli_put(ctx->out, bulkhead_count(list) == 0 ? " none\n" : "\n");
}

static void put_line(struct cli_ctx *ctx, const char *label, const char *value) {
    cli_put(ctx->out, " %s: ", label);
    cli_put_word(ctx->out, value);
    cli_put(ctx->out, "\n");
}

/* Behind all the rest, on standard error. */
static void put_warnings(struct cli_ctx *ctx, const bulkhead_value *runtime) {
    json_t *out = json_object(), *warnings;

    add_limits(runtime, out);
    warnings = json_object_get(out, "Warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++)
        cli_say(ctx->out, "%s", json_string_value(json_array_get(warnings, i)));
    json_decref(out);
}

static void info_text(struct cli_ctx *ctx, const bulkhead_value *runtime, const bulkhead_value *store) {
    char size[CLI_CELL_SIZE];

    cli_put(ctx->out, "Client:\n Version: %s\n\nServer:\n", bulkhead_version());
    cli_put(ctx->out, " Containers: %lld\n  Running: %lld\n  Paused: %lld\n  Stopped: %lld\n",
            (long long)bulkhead_get_int(runtime, "containers"), (long long)bulkhead_get_int(runtime, "running"),
            (long long)bulkhead_get_int(runtime, "paused"), (long long)bulkhead_get_int(runtime, "stopped"));
    cli_put(ctx->out, " Images: %lld\n Layers: %lld\n", (long long)bulkhead_get_int(store, "images"),
            (long long)bulkhead_get_int(store, "layers"));
    cli_cell_size(size, sizeof size, bulkhead_get_uint(store, "disk_bytes"));
    put_line(ctx, "Disk used", size);
    cli_cell_size(size, sizeof size, bulkhead_get_uint(store, "free_bytes"));
    put_line(ctx, "Disk free", size);
    put_line(ctx, "Kept blobs", bulkhead_get_str(store, "keep"));
    cli_put(ctx->out, " Storage form: %s", bulkhead_get_str(runtime, "storage_form"));
    if (bulkhead_get_str(runtime, "storage_form_why")[0] != '\0')
        cli_put(ctx->out, " (%s)", bulkhead_get_str(runtime, "storage_form_why"));
    cli_put(ctx->out, "\n OCI runtime: %s %s", bulkhead_get_str(runtime, "oci_runtime"),
            bulkhead_get_str(runtime, "oci_runtime_path"));
    if (bulkhead_get_str(runtime, "oci_runtime_why")[0] != '\0')
        cli_put(ctx->out, " (%s)", bulkhead_get_str(runtime, "oci_runtime_why"));
    cli_put(ctx->out, "\n");
    put_line(ctx, "OCI runtime version", bulkhead_get_str(runtime, "oci_runtime_version"));
    put_line(ctx, "Cgroup version", bulkhead_get_str(runtime, "cgroup"));
    put_list(ctx, "Security options", bulkhead_get(runtime, "security_option"));
    put_list(ctx, "Kernel features", bulkhead_get(runtime, "feature_found"));
    put_list(ctx, "Kernel features missing", bulkhead_get(runtime, "feature_missing"));
    put_line(ctx, "Kernel version", bulkhead_get_str(runtime, "kernel"));
    put_line(ctx, "Operating system", bulkhead_get_str(runtime, "os"));
    put_line(ctx, "Architecture", bulkhead_get_str(runtime, "architecture"));
    cli_put(ctx->out, " CPUs: %lld\n", (long long)bulkhead_get_int(runtime, "cpus"));
    cli_cell_size(size, sizeof size, bulkhead_get_uint(runtime, "memory"));
    put_line(ctx, "Total memory", size);
    put_line(ctx, "Name", bulkhead_get_str(runtime, "hostname"));
    put_list(ctx, "Limits of containers", bulkhead_get(runtime, "limit"));
    put_warnings(ctx, runtime);
}

/* A document through --format; documents are printed without the array of inspect. */
static int put_document(struct cli_ctx *ctx, const char *format, const json_t *document) {
    struct bh_err err = BH_ERR_INIT;
    json_t *rows = json_array();
    int status = 0;

    json_array_append(rows, (json_t *)(uintptr_t)document);
    if (strcmp(format, "json") == 0) {
        struct bh_buf text = BH_BUF_INIT;

        bh_tmpl_print_json(&text, document, false);
        cli_put_raw(ctx->out, bh_buf_str(&text), text.len);
        cli_put(ctx->out, "\n");
        bh_buf_fini(&text);
    } else if (cli_inspect_print(ctx->out, format, rows, &err) != 0) {
        status = cli_fail(ctx->out, &err);
        if (strcmp(err.reason, "template") == 0)
            status = 64;
    }
    json_decref(rows);
    return status;
}

int cmd_info(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *runtime = NULL, *store = NULL;
    const char *format = cli_str(args, "format");
    int status;

    if ((status = cli_call(ctx, "runtime", "Info", NULL, &runtime)) != 0)
        return status;
    if ((status = cli_call(ctx, "store", "Info", NULL, &store)) == 0) {
        if (format != NULL && format[0] != '\0') {
            json_t *document = info_document(runtime, store);

            status = put_document(ctx, format, document);
            json_decref(document);
        } else {
            info_text(ctx, runtime, store);
        }
    }
    bulkhead_value_free(runtime);
    bulkhead_value_free(store);
    return status;
}

static json_t *version_side(const char *version, const char *api, bool server) {
    static const char both[] =
        "{\"Platform\":{\"Name\":\"Bulkhead\"},\"GitCommit\":\"\",\"GoVersion\":\"\",\"BuildTime\":\"\"}";
    json_t *out = json_object();
    struct utsname u;

    uname(&u);
    json_object_set_new(out, "Version", shape_text(version));
    json_object_set_new(out, "ApiVersion", shape_text(api));
    json_object_set_new(out, "APIVersion", shape_text(api)); /* as docker's templates have it */
    json_object_set_new(out, server ? "MinAPIVersion" : "DefaultAPIVersion", shape_text(api));
    json_object_set_new(out, "Os", json_string("linux"));
    if (server) {
        json_object_set_new(out, "KernelVersion", shape_text(u.release)); /* engine and client share a host */
        json_object_set_new(out, "Experimental", json_false());
    } else {
        json_object_set_new(out, "Context", json_string("default"));
    }
    json_object_set_new(out, "Arch",
                        json_string(strcmp(u.machine, "x86_64") == 0    ? "amd64"
                                    : strcmp(u.machine, "aarch64") == 0 ? "arm64"
                                                                        : u.machine));
    add_missing(out, both);
    return out;
}

static int version_print(struct cli_ctx *ctx, const char *format, const json_t *client, const json_t *server) {
    const json_t *sides[2] = {client, server};
    static const char *const names[2] = {"Client", "Server"};

    if (format != NULL && format[0] != '\0') {
        json_t *document = json_object();
        int status;

        json_object_set(document, "Client", (json_t *)(uintptr_t)client);
        json_object_set(document, "Server", server != NULL ? (json_t *)(uintptr_t)server : json_null());
        status = put_document(ctx, format, document);
        json_decref(document);
        return status;
    }
    for (int i = 0; i < 2 && sides[i] != NULL; i++) {
        cli_put(ctx->out, "%s%s:\n", i > 0 ? "\n" : "", names[i]);
        cli_put(ctx->out, " Version:      %s\n", json_string_value(json_object_get(sides[i], "Version")));
        cli_put(ctx->out, " API version:  %s\n", json_string_value(json_object_get(sides[i], "ApiVersion")));
        cli_put(ctx->out, " OS/Arch:      %s/%s\n", json_string_value(json_object_get(sides[i], "Os")),
                json_string_value(json_object_get(sides[i], "Arch")));
    }
    return 0;
}

int cmd_version(struct cli_ctx *ctx, const struct cli_args *args) {
    json_t *client = version_side(bulkhead_version(), "v1", false), *server = NULL;
    struct bulkhead_error error = {0};
    bulkhead_value *reply = NULL;
    bulkhead *b = cli_engine(ctx);
    int status, r;

    r = b == NULL ? BULKHEAD_UNAVAILABLE : bulkhead_call(b, "store", "Version", NULL, 0, &reply, &error);
    if (r == 0) {
        char api[32];

        snprintf(api, sizeof api, "v%llu.%llu", (unsigned long long)bulkhead_get_uint(reply, "proto_major"),
                 (unsigned long long)bulkhead_get_uint(reply, "proto_minor"));
        server = version_side(bulkhead_get_str(reply, "version"), api, true);
    }
    status = version_print(ctx, cli_str(args, "format"), client, server);
    if (r != 0 && b != NULL)
        status = cli_fail_engine(ctx, &error);
    json_decref(client);
    json_decref(server);
    bulkhead_value_free(reply);
    return b == NULL ? CLI_EXIT_FAILED : status;
}
