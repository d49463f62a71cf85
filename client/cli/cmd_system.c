/*
 * cmd_system.c - the engine itself: system df, prune, check, rooms; info; version.
 *
 * Room: client.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/shape.h"
#include "cli/table.h"

static const char format_help[] = "table, table TEMPLATE, json, or a template";

const struct cli_opt cmd_system_df_opts[] = {
    {.name = "format", .kind = CLI_STRING, .help = format_help},
    {.name = "verbose", .letter = 'v', .kind = CLI_BOOL, .help = "Show every image and container"},
    {0},
};
const struct cli_opt cmd_system_prune_opts[] = {
    {.name = "all", .letter = 'a', .kind = CLI_BOOL, .help = "Remove every unused image, not only dangling ones"},
    {.name = "filter", .kind = CLI_LIST, .help = "Only what matches KEY=VALUE (until, label)", .metavar = "filter"},
    {.name = "force", .letter = 'f', .kind = CLI_BOOL, .help = "Do not ask"},
    {.name = "volumes", .kind = CLI_BOOL, .flags = CLI_OPT_LATER, .help = "Also remove volumes"},
    {0},
};
const struct cli_opt cmd_system_check_opts[] = {
    {.name = "quick", .kind = CLI_BOOL, .help = "Do not read the contents of layers and blobs"},
    {.name = "repair", .kind = CLI_BOOL, .help = "Put right what can be put right"},
    {0},
};
const struct cli_opt cmd_system_rooms_opts[] = {
    {.name = "format", .kind = CLI_STRING, .help = format_help},
    {0},
};
const struct cli_opt cmd_info_opts[] = {
    {.name = "format", .letter = 'f', .kind = CLI_STRING, .help = "json, or a template"},
    {0},
};
const struct cli_opt cmd_version_opts[] = {
    {.name = "format", .letter = 'f', .kind = CLI_STRING, .help = "json, or a template"},
    {0},
};

/* ---- df ---------------------------------------------------------------------------------- */

static const struct cli_field df_fields[] = {
    {"Type", "TYPE"}, {"TotalCount", "TOTAL"},        {"Active", "ACTIVE"},
    {"Size", "SIZE"}, {"Reclaimable", "RECLAIMABLE"}, {0},
};
static const struct cli_list df_list = {
    .fields = df_fields,
    .table = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
};

static void df_row(json_t *rows, const char *type, uint64_t total, uint64_t active, uint64_t size, uint64_t reclaim) {
    char text[CLI_CELL_SIZE], cell[CLI_CELL_SIZE];
    json_t *row = json_object();

    json_object_set_new(row, "Type", json_string(type));
    snprintf(text, sizeof text, "%" PRIu64, total);
    json_object_set_new(row, "TotalCount", json_string(text));
    snprintf(text, sizeof text, "%" PRIu64, active);
    json_object_set_new(row, "Active", json_string(text));
    cli_cell_size(text, sizeof text, size);
    json_object_set_new(row, "Size", json_string(text));
    cli_cell_size(cell, sizeof cell, reclaim);
    if (size > 0)
        snprintf(text, sizeof text, "%s (%" PRIu64 "%%)", cell, reclaim * 100 / size);
    else
        bh_str_copy(text, sizeof text, cell);
    json_object_set_new(row, "Reclaimable", json_string(text));
    json_array_append_new(rows, row);
}

static void df_verbose(struct cli_ctx *ctx, const bulkhead_value *df, const bulkhead_value *containers) {
    const bulkhead_value *images = bulkhead_get(df, "image");

    cli_put(ctx->out, "Images space usage:\n\n");
    {
        struct bh_buf text = BH_BUF_INIT, laid = BH_BUF_INIT;

        bh_buf_adds(&text, "REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\tSHARED SIZE\tUNIQUE SIZE\tCONTAINERS\n");
        for (size_t i = 0; i < bulkhead_count(images); i++) {
            const bulkhead_value *image = bulkhead_at(images, i);
            const char *name = bulkhead_str(bulkhead_at(bulkhead_get(image, "repo_tags"), 0));
            const char *colon = strrchr(name, ':');
            char id[CLI_CELL_SIZE * 2], ago[CLI_CELL_SIZE], size[3][CLI_CELL_SIZE];

            cli_cell_id(id, sizeof id, bulkhead_get_str(image, "id"), false);
            cli_cell_ago(ago, sizeof ago, bulkhead_get_int(image, "created_ns"), bh_now_ns());
            cli_cell_size(size[0], CLI_CELL_SIZE, bulkhead_get_uint(image, "size"));
            cli_cell_size(size[1], CLI_CELL_SIZE, bulkhead_get_uint(image, "shared_size"));
            cli_cell_size(size[2], CLI_CELL_SIZE, bulkhead_get_uint(image, "unique_size"));
            bh_buf_addf(&text, "%.*s\t%s\t%s\t%s\t%s\t%s\t%s\t%" PRIu64 "\n", colon != NULL ? (int)(colon - name) : 6,
                        colon != NULL ? name : "<none>", colon != NULL ? colon + 1 : "<none>", id, ago, size[0],
                        size[1], size[2], bulkhead_get_uint(image, "containers"));
        }
        cli_tabs_layout(bh_buf_str(&text), text.len, 10, 3, &laid);
        cli_put_text(ctx->out, bh_buf_str(&laid), laid.len);
        bh_buf_fini(&text);
        bh_buf_fini(&laid);
    }
    cli_put(ctx->out, "\nContainers space usage:\n\n");
    {
        struct bh_buf text = BH_BUF_INIT, laid = BH_BUF_INIT;

        bh_buf_adds(&text, "CONTAINER ID\tIMAGE\tSIZE\tCREATED\tSTATUS\tNAMES\n");
        for (size_t i = 0; i < bulkhead_count(containers); i++) {
            const bulkhead_value *c = bulkhead_at(containers, i);
            char id[CLI_CELL_SIZE * 2], ago[CLI_CELL_SIZE], size[CLI_CELL_SIZE];

            cli_cell_id(id, sizeof id, bulkhead_get_str(c, "id"), false);
            cli_cell_ago(ago, sizeof ago, bulkhead_get_int(c, "created_ns"), bh_now_ns());
            cli_cell_size(size, sizeof size, bulkhead_get_uint(c, "size_rw"));
            bh_buf_addf(&text, "%s\t%s\t%s\t%s\t%s\t%s\n", id, bulkhead_get_str(c, "image"), size, ago,
                        bulkhead_get_str(bulkhead_get(c, "state"), "status"), bulkhead_get_str(c, "name"));
        }
        cli_tabs_layout(bh_buf_str(&text), text.len, 10, 3, &laid);
        cli_put_text(ctx->out, bh_buf_str(&laid), laid.len);
        bh_buf_fini(&text);
        bh_buf_fini(&laid);
    }
}

int cmd_system_df(struct cli_ctx *ctx, const struct cli_args *args) {
    struct cli_list_opts opts = {.format = cli_str(args, "format")};
    bulkhead_value *df = NULL, *list = NULL, *request = bulkhead_map_new();
    const bulkhead_value *containers;
    uint64_t running = 0, size_rw = 0, idle = 0;
    struct bh_err err = BH_ERR_INIT;
    json_t *rows;
    int status;

    bulkhead_set_bool(request, "all", true);
    bulkhead_set_bool(request, "size", true);
    if ((status = cli_call_take(ctx, "runtime", "ContainerList", request, &list)) != 0)
        return status;
    if ((status = cli_call(ctx, "store", "Df", NULL, &df)) != 0) {
        bulkhead_value_free(list);
        return status;
    }
    containers = bulkhead_get(list, "container");
    for (size_t i = 0; i < bulkhead_count(containers); i++) {
        const bulkhead_value *c = bulkhead_at(containers, i);
        bool runs = strcmp(bulkhead_get_str(bulkhead_get(c, "state"), "status"), "running") == 0;

        running += runs;
        size_rw += bulkhead_get_uint(c, "size_rw");
        idle += runs ? 0 : bulkhead_get_uint(c, "size_rw");
    }
    rows = json_array();
    df_row(rows, "Images", bulkhead_get_uint(df, "images"), bulkhead_get_uint(df, "images_active"),
           bulkhead_get_uint(df, "images_size"), bulkhead_get_uint(df, "images_reclaimable"));
    df_row(rows, "Containers", bulkhead_count(containers), running, size_rw, idle);
    df_row(rows, "Local Volumes", 0, 0, 0, 0);
    df_row(rows, "Build Cache", 0, 0, 0, 0);
    if (cli_bool(args, "verbose"))
        df_verbose(ctx, df, containers);
    else if (cli_list_print(ctx->out, &df_list, &opts, rows, &err) != 0)
        status = cli_fail(ctx->out, &err);
    json_decref(rows);
    bulkhead_value_free(df);
    bulkhead_value_free(list);
    return status;
}

/* ---- prune ------------------------------------------------------------------------------- */

static int prune_containers(struct cli_ctx *ctx, const struct cli_args *args, uint64_t *reclaimed) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    const bulkhead_value *ids;
    int status;

    if ((status = cli_set_filters(ctx, args, request)) != 0) {
        bulkhead_value_free(request);
        return status;
    }
    if ((status = cli_call_take(ctx, "runtime", "ContainerPrune", request, &reply)) != 0)
        return status;
    ids = bulkhead_get(reply, "id");
    if (bulkhead_count(ids) > 0) {
        cli_put(ctx->out, "Deleted Containers:\n");
        for (size_t i = 0; i < bulkhead_count(ids); i++)
            cli_put(ctx->out, "%s\n", bulkhead_str(bulkhead_at(ids, i)));
        cli_put(ctx->out, "\n");
    }
    *reclaimed += bulkhead_get_uint(reply, "reclaimed");
    bulkhead_value_free(reply);
    return 0;
}

static int prune_images(struct cli_ctx *ctx, const struct cli_args *args, uint64_t *reclaimed) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    const bulkhead_value *items;
    int status;

    bulkhead_set_bool(request, "all", cli_bool(args, "all"));
    if ((status = cli_set_filters(ctx, args, request)) != 0) {
        bulkhead_value_free(request);
        return status;
    }
    if ((status = cli_call_take(ctx, "store", "ImagePrune", request, &reply)) != 0)
        return status;
    items = bulkhead_get(reply, "item");
    if (bulkhead_count(items) > 0) {
        cli_put(ctx->out, "Deleted Images:\n");
        for (size_t i = 0; i < bulkhead_count(items); i++) {
            const bulkhead_value *item = bulkhead_at(items, i);
            bool name = bulkhead_get_str(item, "untagged")[0] != '\0';

            cli_put(ctx->out, name ? "untagged: " : "deleted: ");
            cli_put_word(ctx->out, bulkhead_get_str(item, name ? "untagged" : "deleted"));
            cli_put(ctx->out, "\n");
        }
        cli_put(ctx->out, "\n");
    }
    *reclaimed += bulkhead_get_uint(reply, "reclaimed");
    bulkhead_value_free(reply);
    return 0;
}

int cmd_system_prune(struct cli_ctx *ctx, const struct cli_args *args) {
    char size[CLI_CELL_SIZE];
    uint64_t reclaimed = 0;
    int status;

    if (!cli_bool(args, "force") &&
        !cli_confirm(ctx->out, 0,
                     cli_bool(args, "all") ? "WARNING! This will remove:\n  - all stopped containers\n  - all images "
                                             "without at least one container associated to them\n\n"
                                           : "WARNING! This will remove:\n  - all stopped containers\n  - all dangling "
                                             "images\n\n"))
        return 0;
    if ((status = prune_containers(ctx, args, &reclaimed)) != 0 || (status = prune_images(ctx, args, &reclaimed)) != 0)
        return status;
    cli_cell_size(size, sizeof size, reclaimed);
    cli_put(ctx->out, "Total reclaimed space: %s\n", size);
    return 0;
}

/* ---- check ------------------------------------------------------------------------------- */

int cmd_system_check(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *request = bulkhead_map_new(), *finding = NULL;
    struct bulkhead_error error = {0};
    bulkhead *b = cli_engine(ctx);
    bulkhead_stream *s = NULL;
    unsigned open = 0;
    int r;

    bulkhead_set_bool(request, "repair", cli_bool(args, "repair"));
    bulkhead_set_bool(request, "quick", cli_bool(args, "quick"));
    r = b == NULL ? BULKHEAD_UNAVAILABLE : bulkhead_stream_open(b, "store", "Check", request, NULL, 0, &s, &error);
    bulkhead_value_free(request);
    if (b == NULL)
        return CLI_EXIT_FAILED;
    while (r == 0 && (r = bulkhead_stream_recv_value(s, &finding, &error)) == 0 && finding != NULL) {
        bool done = bulkhead_get_bool(finding, "done"), repaired = bulkhead_get_bool(finding, "repaired");

        if (!done) {
            cli_put(ctx->out, "%s ", bulkhead_get_str(finding, "kind"));
            cli_put_word(ctx->out, bulkhead_get_str(finding, "object"));
            cli_put(ctx->out, ": ");
            open += !repaired;
        }
        cli_put_word(ctx->out, bulkhead_get_str(finding, "text"));
        cli_put(ctx->out, repaired ? " (repaired)\n" : "\n");
        bulkhead_value_free(finding);
    }
    if (r == 0)
        r = bulkhead_stream_finish(s, NULL, &error);
    bulkhead_stream_free(s);
    if (r != 0)
        return cli_fail_engine(ctx, &error);
    return open > 0 ? CLI_EXIT_FAILED : 0;
}

/* ---- rooms ------------------------------------------------------------------------------- */

static const struct cli_field room_fields[] = {
    {"Name", "ROOM"},         {"State", "STATE"},
    {"Pid", "PID"},           {"Uid", "UID"},
    {"Caps", "CAPS"},         {"Seccomp", "SECCOMP"},
    {"NoNewPrivs", "NNP"},    {"Namespaces", "NAMESPACES"},
    {"Restarts", "RESTARTS"}, {"Threads", "THREADS"},
    {"Fds", "FDS"},           {"Rss", "RSS"},
    {"Uptime", "UP"},         {0},
};
static const struct cli_list room_list = {
    .fields = room_fields,
    .table = "{{.Name}}\t{{.State}}\t{{.Pid}}\t{{.Uid}}\t{{.Caps}}\t{{.Seccomp}}\t{{.NoNewPrivs}}\t{{.Namespaces}}\t"
             "{{.Restarts}}\t{{.Rss}}",
};

static void caps_cell(char *dst, size_t size, uint64_t caps) {
    int n = __builtin_popcountll(caps);

    if (n == 0)
        bh_str_copy(dst, size, "none");
    else
        snprintf(dst, size, "%d (%llx)", n, (unsigned long long)caps);
}

static json_t *room_row(const bulkhead_value *room) {
    static const char *const modes[] = {"off", "strict", "filter"};
    const bulkhead_value *ns = bulkhead_get(room, "own_namespace");
    char caps[CLI_CELL_SIZE], rss[CLI_CELL_SIZE], up[CLI_CELL_SIZE], names[128] = "";
    uint64_t mode = bulkhead_get_uint(room, "seccomp_mode");
    json_t *row = json_object();
    size_t used = 0;

    for (size_t i = 0; i < bulkhead_count(ns); i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? "," : "",
                                 bulkhead_str(bulkhead_at(ns, i)));
    caps_cell(caps, sizeof caps, bulkhead_get_uint(room, "cap_effective") | bulkhead_get_uint(room, "cap_permitted"));
    cli_cell_size(rss, sizeof rss, bulkhead_get_uint(room, "rss_kb") * 1024);
    bh_human_duration(up, sizeof up, (bh_now_ns() - bulkhead_get_int(room, "started_ns")) / BH_NSEC);
    json_object_set_new(row, "Name", shape_text(bulkhead_get_str(room, "name")));
    json_object_set_new(row, "State", shape_text(bulkhead_get_str(room, "state")));
    json_object_set_new(row, "Pid", json_integer(bulkhead_get_int(room, "pid")));
    json_object_set_new(row, "Uid", json_integer(bulkhead_get_int(room, "uid")));
    json_object_set_new(row, "Gid", json_integer(bulkhead_get_int(room, "gid")));
    json_object_set_new(row, "Caps", json_string(caps));
    json_object_set_new(row, "CapEffective", json_integer(bulkhead_get_int(room, "cap_effective")));
    json_object_set_new(row, "CapPermitted", json_integer(bulkhead_get_int(room, "cap_permitted")));
    json_object_set_new(row, "CapBounding", json_integer(bulkhead_get_int(room, "cap_bounding")));
    json_object_set_new(row, "CapInheritable", json_integer(bulkhead_get_int(room, "cap_inheritable")));
    json_object_set_new(row, "CapAmbient", json_integer(bulkhead_get_int(room, "cap_ambient")));
    json_object_set_new(row, "Seccomp", json_string(mode < 3 ? modes[mode] : "?"));
    json_object_set_new(row, "NoNewPrivs", json_string(bulkhead_get_bool(room, "no_new_privs") ? "yes" : "no"));
    json_object_set_new(row, "Namespaces", json_string(names[0] != '\0' ? names : "-"));
    json_object_set_new(row, "Restarts", json_integer(bulkhead_get_int(room, "restarts")));
    json_object_set_new(row, "Threads", json_integer(bulkhead_get_int(room, "threads")));
    json_object_set_new(row, "Fds", json_integer(bulkhead_get_int(room, "open_fds")));
    json_object_set_new(row, "Rss", json_string(rss));
    json_object_set_new(row, "Uptime", json_string(up));
    return row;
}

int cmd_system_rooms(struct cli_ctx *ctx, const struct cli_args *args) {
    struct cli_list_opts opts = {.format = cli_str(args, "format")};
    struct bh_err err = BH_ERR_INIT;
    bulkhead_value *reply = NULL;
    const bulkhead_value *rooms;
    json_t *rows;
    int status = cli_call(ctx, "runtime", "Rooms", NULL, &reply);

    if (status != 0)
        return status;
    rows = json_array();
    rooms = bulkhead_get(reply, "room");
    for (size_t i = 0; i < bulkhead_count(rooms); i++)
        json_array_append_new(rows, room_row(bulkhead_at(rooms, i)));
    if (cli_list_print(ctx->out, &room_list, &opts, rows, &err) != 0)
        status = cli_fail(ctx->out, &err);
    json_decref(rows);
    bulkhead_value_free(reply);
    return status;
}

/* ---- info -------------------------------------------------------------------------------- */

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

/* ---- version ----------------------------------------------------------------------------- */

static json_t *version_side(const char *version, const char *api) {
    json_t *out = json_object();
    struct utsname u;

    uname(&u);
    json_object_set_new(out, "Version", shape_text(version));
    json_object_set_new(out, "ApiVersion", shape_text(api));
    json_object_set_new(out, "Os", json_string("linux"));
    json_object_set_new(out, "Arch",
                        json_string(strcmp(u.machine, "x86_64") == 0    ? "amd64"
                                    : strcmp(u.machine, "aarch64") == 0 ? "arm64"
                                                                        : u.machine));
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
    json_t *client = version_side(bulkhead_version(), "v1"), *server = NULL;
    struct bulkhead_error error = {0};
    bulkhead_value *reply = NULL;
    bulkhead *b = cli_engine(ctx);
    int status, r;

    r = b == NULL ? BULKHEAD_UNAVAILABLE : bulkhead_call(b, "store", "Version", NULL, 0, &reply, &error);
    if (r == 0) {
        char api[32];

        snprintf(api, sizeof api, "v%llu.%llu", (unsigned long long)bulkhead_get_uint(reply, "proto_major"),
                 (unsigned long long)bulkhead_get_uint(reply, "proto_minor"));
        server = version_side(bulkhead_get_str(reply, "version"), api);
    }
    status = version_print(ctx, cli_str(args, "format"), client, server);
    if (r != 0 && b != NULL)
        status = cli_fail_engine(ctx, &error);
    json_decref(client);
    json_decref(server);
    bulkhead_value_free(reply);
    return b == NULL ? CLI_EXIT_FAILED : status;
}
